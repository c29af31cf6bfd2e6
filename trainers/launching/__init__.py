"""A run in several processes: who they are, how they are started, and what accelerate is told."""

"""What is learned, as pure functions: losses, advantages, rewards, pairs. Hand-derived tests, no trainer in sight."""

"""Supervised fine-tuning: answer-first rows, the grade token weighed against its rationale."""

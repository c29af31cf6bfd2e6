"""Tiers become models: training, scoring and evaluation from signed snapshots."""

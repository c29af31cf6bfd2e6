"""Rules: mined from judgments, proposed from disagreement, and held against judgments they never saw."""

"""A training run as it lies on disk and is told: its folder, its record, its progress, the list of them."""

"""Direct preference optimisation: right answers preferred to a run's own wrong ones."""

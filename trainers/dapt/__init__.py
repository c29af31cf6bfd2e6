"""Domain-adaptive pre-training: a model reads the shop's own texts before it learns to grade."""

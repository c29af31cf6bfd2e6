"""How good a model is, how sure that is, and whether it had seen what it is measured on."""

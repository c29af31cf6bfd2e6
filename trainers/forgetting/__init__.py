"""What reinforcement makes a model forget: measured on held-back pairs, tested against chance, told, and undone."""

"""What a trained model answers when it is asked several times: difficulty of pairs, and material for preferences."""

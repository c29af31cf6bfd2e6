"""From snapshot to token ids: rows as a model sees them, and the proof that its tokenizer can carry them."""

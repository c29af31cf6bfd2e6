"""A run told to people: one page that opens anywhere, and the card that lies beside its model."""

"""Labelling: from a pair to a candidate, by the lexical provider, by a server, or by its batch interface."""

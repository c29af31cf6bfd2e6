"""Numbered SQL files; `storage.migrate` applies each once."""

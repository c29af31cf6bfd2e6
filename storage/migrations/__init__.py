"""Numbered SQL files; `storage.process.migrate` applies each once."""

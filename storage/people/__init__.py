"""Accounts, their roles and keys, and what slows a guesser down."""

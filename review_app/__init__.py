"""Humans decide: responses, adjudication."""

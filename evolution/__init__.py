"""Machines propose: rules mined, pairs mutated and checked, grades and rationales written for people to judge."""

__all__: list[str] = []

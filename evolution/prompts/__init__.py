"""Prompt templates as text files, and the one way to fill them.

A template is named by the hash of its text, so a changed word is another call. Whatever comes from a query, a doc or a
rule goes in escaped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A text with `$name` places."""

    name: str
    text: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def fill(self, **values: str) -> str:
        """Return the text with every place filled; KeyError for one without a value."""
        return Template(self.text).substitute(values)


@cache
def load_prompt(name: str) -> PromptTemplate:
    """Read a template from this folder."""
    return PromptTemplate(name, (FOLDER / f"{name}.txt").read_text(encoding="utf-8").strip())

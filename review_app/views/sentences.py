"""Whole sentences one after the other, as the language writes them."""

from __future__ import annotations

from collections.abc import Sequence

from review_app.page import Page


def together(page: Page, sentences: Sequence[str]) -> str:
    """Return sentences as one paragraph: Chinese puts nothing between them."""
    return ("" if page.language == "zh" else " ").join(sentences)

"""Pairs changed in ways that must not move a judge: longer, stuffed, shown in another order, asked in other words.

Each change is a pure function of what is shown, without a model, so that no judge is measured by another. Query and
title keep a line of their own wherever they are shown, so that an erasure finds whoever was asked about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import cycle

from curation.text import is_unspaced
from evolution.mutations.lexicon import FURNITURE, FURNITURE_UNSPACED
from storage.ids import digest

MAX_BODY_CHARACTERS = 700  # of what is shown, so that what is added stands within sight
PADDING_CHARACTERS, PADDING_UNSPACED = 600, 250
N_STUFFED = 5  # times the query is repeated
# They end in a colon: what follows it is the query as it was typed.
ASKED_AS = ("I am looking for: {}", "Show me: {}", "Where do I find: {}")
ASKED_AS_UNSPACED = ("我想找: {}", "请帮我找: {}", "哪里有: {}")


class Bias(StrEnum):
    """What a line of a card measures."""

    LENGTH_PADDING = "length_padding"
    KEYWORD_STUFFING = "keyword_stuffing"
    ORDER = "order"
    PARAPHRASE = "paraphrase"
    OVER_RATING = "over_rating"


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair as a judge sees it; with `is_reversed` the doc stands first and the highest grade is listed first."""

    pair_id: str
    query: str
    title: str
    body: str
    fields: Mapping[str, str]
    is_reversed: bool = False


def shortened(shown: Shown) -> Shown:
    """Cut the body, so that all that is added to it is read too."""
    return replace(shown, body=shown.body[:MAX_BODY_CHARACTERS])


def padded(shown: Shown) -> Shown:
    """Add page furniture that says nothing of the doc and has no word of the query."""
    unspaced = is_unspaced(shown.title or shown.body or shown.query)
    lines, room = (FURNITURE_UNSPACED, PADDING_UNSPACED) if unspaced else (FURNITURE, PADDING_CHARACTERS)
    told = [line for line in lines if not _shares_words(line, shown.query)] or list(lines)
    padding = ""
    for line in cycle(told):
        if len(padding) >= room:
            break
        padding = f"{padding} {line}"
    return replace(shown, body=f"{shown.body}{padding}".strip())


def stuffed(shown: Shown) -> Shown:
    """Repeat the query behind the body, as pages do that want to be found."""
    return replace(shown, body=f"{shown.body} {', '.join([shown.query] * N_STUFFED)}".strip())


def reordered(shown: Shown) -> Shown:
    """Show the doc before the query, and the grades from the highest down."""
    return replace(shown, is_reversed=not shown.is_reversed)


def paraphrased(shown: Shown) -> Shown:
    """Ask for the same in another sentence, which one the pair decides."""
    frames = ASKED_AS_UNSPACED if is_unspaced(shown.query) else ASKED_AS
    frame = frames[int(digest(shown.pair_id)[:8], 16) % len(frames)]
    return replace(shown, query=frame.replace("{}", shown.query))


PERTURBATIONS: Mapping[Bias, Callable[[Shown], Shown]] = {
    Bias.LENGTH_PADDING: padded,
    Bias.KEYWORD_STUFFING: stuffed,
    Bias.ORDER: reordered,
    Bias.PARAPHRASE: paraphrased,
}


def _shares_words(line: str, query: str) -> bool:
    """Say whether a line of padding speaks of what is asked: a word of it, two neighbouring signs where none are."""
    folded = query.casefold()
    if is_unspaced(query):
        return any(folded[at : at + 2] in line for at in range(len(folded) - 1))
    words = {"".join(c for c in word if c.isalnum()) for word in line.casefold().split()}
    return bool(words & set(folded.split()))

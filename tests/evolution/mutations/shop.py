"""A shop of mugs, bowls and lamps that the tests of the operators share; every claim below can be read off it."""

from __future__ import annotations

import random

from evolution.mutations import Corpus
from evolution.mutations.operator import SourcePair
from storage.grades import Scale

SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
FOUR = Scale((0, 1, 2, 3), ("irrelevant", "partly", "substantially", "fully"))
DOCS = [
    {"type": kind, "category": "tableware", "colour": colour, "brand": brand}
    for kind in ("mug", "bowl")
    for colour, brand in (("red", "acme"), ("blue", "acme"), ("sky blue", "zenith"))
]
DOCS += [
    {"type": "lamp", "category": "lighting", "colour": "brass", "brand": "lumen"},
    {"type": "bulb", "category": "lighting", "colour": "white", "brand": "lumen"},
]
CORPUS = Corpus(DOCS)


def pair(query: str, grade: int, **fields: str) -> SourcePair:
    return SourcePair(
        query, fields or {"type": "mug", "category": "tableware", "colour": "red", "brand": "acme"}, grade
    )


def draws(n: int = 20) -> list[random.Random]:
    return [random.Random(seed) for seed in range(n)]

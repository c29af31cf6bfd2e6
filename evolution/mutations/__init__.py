"""Pairs rewritten on purpose: the operators, what each declares of the grade, and what it may read to say so."""

from evolution.mutations.corpus import Corpus
from evolution.mutations.effects import Effect, holds, say_effect
from evolution.mutations.operator import Evidence, Operator, Side
from evolution.mutations.operators import OPERATORS, MutatedPair, Original, rewrite

__all__ = [
    "OPERATORS",
    "Corpus",
    "Effect",
    "Evidence",
    "MutatedPair",
    "Operator",
    "Original",
    "Side",
    "holds",
    "rewrite",
    "say_effect",
]

"""What the operators can do where docs have no fields: numbers in the text are attributes too.

A year, a model or a size in the query is met when the doc has the same number. Which other number to ask for is the
nearest of as many digits that other docs have: 2016 becomes 2015 and not 7.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from curation.text import normalise

N_CHOICES = 5
_NUMBER = re.compile(r"(?<![\d.,])\d{1,6}(?![\d.,]?\d)")


def find_numbers(text: str) -> list[str]:
    """Return the whole numbers of a text, each once, in order; decimals and longer codes are no such numbers."""
    return list(dict.fromkeys(_NUMBER.findall(normalise(text))))


class Numbers:
    """The numbers other docs have, by how many digits they have."""

    def __init__(self, texts: Iterable[str]) -> None:
        found: defaultdict[int, set[str]] = defaultdict(set)
        for text in texts:
            for number in find_numbers(text):
                found[len(number)].add(number)
        self._sorted = {n_digits: sorted(numbers) for n_digits, numbers in found.items()}

    def others(self, number: str, held: Iterable[str]) -> list[str]:
        """Return the numbers nearest to this one that the doc does not have, nearest first."""
        known = self._sorted.get(len(number), [])
        at = bisect_left(known, number)
        near = known[max(0, at - 2 * N_CHOICES) : at + 2 * N_CHOICES]
        free = [other for other in near if other != number and other not in set(held)]
        return sorted(free, key=lambda other: (abs(int(other) - int(number)), other))[:N_CHOICES]


def number_swaps(query: str, doc_text: str, numbers: Numbers) -> list[tuple[str, str, bool]]:
    """Return (number of the query, number to ask for, whether the doc has that one) for every swap that means one.

    A number the doc has gives way to one it has not; one it has not, to one it has of as many digits.
    """
    held = find_numbers(doc_text)
    asked = find_numbers(query)
    swaps: list[tuple[str, str, bool]] = []
    for number in asked:
        if number in held:
            swaps += [(number, other, False) for other in numbers.others(number, [*held, *asked])]
        else:
            fitting = [other for other in held if len(other) == len(number) and other not in asked]
            swaps += [(number, other, True) for other in fitting[:1]]
    return swaps


def numbers_to_add(query: str, doc_text: str, numbers: Numbers, *, draw: random.Random, wants_held: bool) -> str | None:
    """Return a number to ask for beside the query, None where the query names one already or the doc has none."""
    held = find_numbers(doc_text)
    if find_numbers(query) or not held:
        return None
    own = draw.choice(held)
    if wants_held:
        return own
    others = numbers.others(own, held)
    return draw.choice(others) if others else None


def replace_number(query: str, old: str, new: str) -> str | None:
    """Put one number in place of another; None where it does not stand in the query just once."""
    replaced, n_replaced = re.subn(rf"(?<![\d.,]){old}(?![\d.,]?\d)", new, query)
    return replaced if n_replaced == 1 else None

"""What can be asked instead of what, learnt from the train queries alone: for docs that have no fields.

Two queries that are equal but for one stretch show two stretches that stand for each other: from `北京 天气` and
`上海 天气` comes that one city may be asked for where the other is. No list of cities is needed, and no doc is read.
A stretch counts only where several queries use it, so that no single person's words are handed on.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from curation.text import is_unspaced, normalise

MIN_QUERIES = 3  # that use a stretch, before it is put into another query
MIN_FRAME = 2  # characters around a stretch that two queries share
MAX_FILL = 4  # characters (unspaced scripts) or 2 words
MAX_FRAME_FILLS = 40  # a frame that takes anything says nothing
N_CHOICES = 5
MAX_CHARACTERS = 40
_NUMBER = re.compile(r"(?<![\d.,])\d{1,6}(?![\d.,]?\d)")
_HOLE = "\0"


class QuerySlots:
    """Stretches of queries and what stands in their place elsewhere; and the numbers that go with a word."""

    def __init__(self, queries: Iterable[str]) -> None:
        texts = sorted({normalise(query).strip() for query in queries})
        frames: defaultdict[str, set[str]] = defaultdict(set)
        uses: Counter[str] = Counter()
        self._numbers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for text in texts:
            stretches = list(_stretches(text))
            uses.update({fill for _, fill in stretches})
            for frame, fill in stretches:
                frames[frame].add(fill)
            for number in _NUMBER.findall(text):
                self._numbers[_shape(number)][number] += 1
        self._others: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for fills in frames.values():
            known = sorted(fill for fill in fills if uses[fill] >= MIN_QUERIES)
            if 1 < len(known) <= MAX_FRAME_FILLS:
                for fill in known:
                    self._others[fill].update(other for other in known if other != fill and not _overlap(fill, other))

    def swaps(self, query: str) -> list[tuple[str, str]]:
        """Return (stretch of the query, what may stand there instead), the best shown first."""
        text = normalise(query).strip()
        found: dict[tuple[str, str], int] = {}
        for _, fill in _stretches(text):
            for other, n in self._others.get(fill, Counter[str]()).most_common(N_CHOICES):
                if text.count(fill) == 1:
                    found[fill, other] = n
        return sorted(found, key=lambda pair: (-found[pair], pair))[: 2 * N_CHOICES]

    def numbers_like(self, number: str, query: str) -> list[str]:
        """Return numbers other queries have, as long as this one, nearest first, none of the query's own."""
        known = [other for other in self._numbers[_shape(number)] if other not in _NUMBER.findall(query)]
        return sorted(known, key=lambda other: (abs(int(other) - int(number)), other))[:N_CHOICES]

    def years(self) -> list[str]:
        """Return the years that queries name, the commonest first."""
        years = Counter({number: n for number, n in self._numbers["4"].items() if number[:2] in ("19", "20")})
        return [year for year, _ in sorted(years.items(), key=lambda one: (-one[1], one[0]))][:N_CHOICES]


def find_numbers(text: str) -> list[str]:
    """Return the whole numbers of a text, each once, in order; decimals and longer codes are no such numbers."""
    return list(dict.fromkeys(_NUMBER.findall(normalise(text))))


def replace_number(query: str, old: str, new: str) -> str | None:
    """Put one number in place of another; None where it does not stand in the query just once."""
    replaced, n_replaced = re.subn(rf"(?<![\d.,]){old}(?![\d.,]?\d)", lambda _: new, query)
    return replaced if n_replaced == 1 else None


def _shape(number: str) -> str:
    return str(len(number))


def _overlap(first: str, second: str) -> bool:
    """Whether two stretches share an end: then less was swapped than it seems."""
    return first[0] == second[0] or first[-1] == second[-1]


def _stretches(text: str) -> Iterator[tuple[str, str]]:
    """Yield every (frame, fill): the text with a hole, and what stood there."""
    if len(text) > MAX_CHARACTERS or _HOLE in text:
        return
    if is_unspaced(text):
        ends = [(start, start + width) for width in range(2, MAX_FILL + 1) for start in range(len(text) - width + 1)]
    else:
        words = [match.span() for match in re.finditer(r"\S+", text)]
        ends = [
            (words[i][0], words[i + width - 1][1]) for width in (1, 2) for i in range(len(words) - width + 1)
        ]  # fmt: skip
    for start, end in ends:
        fill, rest = text[start:end], text[:start] + text[end:]
        if len(rest.strip()) >= MIN_FRAME and fill.replace(" ", "").isalpha():
            yield f"{text[:start]}{_HOLE}{text[end:]}", fill

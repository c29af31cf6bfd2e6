"""What a query means: the kind it asks for, what it wants, what it refuses and how large it may be.

The intent is the sample's own knowledge and is not part of the data; every bit of it can be read off the query text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from samples.homeware.assortment import KINDS


@dataclass(frozen=True, slots=True)
class Query:
    """One query. `cues` are words that are not fields but change what fits: gift, cheap, kids, travel, …"""

    text: str
    kind: str
    wants: dict[str, str] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    limit: str = ""
    cues: frozenset[str] = frozenset()
    is_chinese: bool = False

    @property
    def category(self) -> str:
        return KINDS[self.kind].category


def ask(text: str, kind: str, *, no: str = "", limit: str = "", cues: str = "", **wants: str) -> Query:
    """Write one query; `no` is `field=value`, `limit` a largest measure, `cues` words with a space between them."""
    refuses = dict([no.split("=", 1)]) if no else {}
    is_chinese = any("\u4e00" <= character <= "\u9fff" for character in text)
    return Query(text, kind, wants, refuses, limit, frozenset(cues.split()), is_chinese)

"""What a person types into the search box as an FTS5 match expression; whatever is typed, it never raises.

The syntax is Elasticsearch's simple query string with AND as the default: words, "a phrase", | for or, + for and,
- before what must be absent, word* for a start, parentheses, \\ before a sign meant literally. Operators bind alike,
from left to right. Signs that make no sense where they stand are passed over, as are ~1 (likeness) after words and
phrases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from review_app.argilla_search.text_terms import EVERY_RECORD, phrase_terms

MOST_CHARACTERS = 10_000
MOST_CLAUSES = 500
# FTS5 refuses trees deeper than 256 and its parser's stack holds about 100 open parentheses.
DEEPEST = 20

Joiner: TypeAlias = Literal["and", "or"]
_LIKENESS = re.compile(r"~\d*$")
_LIKENESS_AFTER = re.compile(r"~\d*")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Terms in a row; the last may be only a term's start."""

    terms: tuple[str, ...]
    is_start: bool


@dataclass(frozen=True, slots=True)
class Absent:
    """What a record must not hold."""

    clause: Clause


@dataclass(frozen=True, slots=True)
class Group:
    """Two and more clauses joined by one operator."""

    joiner: Joiner
    clauses: tuple[Clause, ...]


Clause: TypeAlias = Phrase | Absent | Group


@dataclass(slots=True)
class _Open:
    """A parenthesis being read: what stands so far, and what awaits the next clause."""

    so_far: Clause | None = None
    joiner: Joiner | None = None
    is_absent: bool = False
    depth: int = 0
    # The sign - before this parenthesis, kept for when it closes.
    closes_absent: bool = field(default=False)

    def add(self, clause: Clause | None) -> None:
        """Join a clause to what stands, by the operator read last or AND."""
        joiner = self.joiner or "and"
        is_absent, self.joiner, self.is_absent = self.is_absent, None, False
        if clause is None:
            return
        if is_absent:
            clause = Absent(clause)
        if self.so_far is None:
            self.so_far = clause
        elif isinstance(self.so_far, Group) and (self.so_far.joiner == joiner or self.depth >= DEEPEST):
            self.so_far = Group(self.so_far.joiner, (*self.so_far.clauses, clause))
        else:
            self.depth += 1
            self.so_far = Group(joiner, (self.so_far, clause))


def match_expression(query: str, columns: Sequence[str] = ()) -> str | None:
    """Return the FTS5 expression for what was typed, in the given columns (none: in any); None matches nothing.

    Reads at most MOST_CHARACTERS and MOST_CLAUSES; what nests deeper than DEEPEST is read as if flat.
    """
    clause = read_query(query)
    if clause is None:
        return None
    where = f"{{{' '.join(columns)}}} : " if columns else ""
    return _rendered(clause, where)


def read_query(query: str) -> Clause | None:
    """Return the tree of what was typed, None if it holds no term."""
    text = query[:MOST_CHARACTERS]
    stack = [_Open()]
    place = n_clauses = 0
    while place < len(text) and n_clauses < MOST_CLAUSES:
        sign, top = text[place], stack[-1]
        if sign.isspace():
            top.is_absent = False
        elif sign == "(":
            if len(stack) < DEEPEST:
                stack.append(_Open(depth=top.depth + 1, closes_absent=top.is_absent))
        elif sign == ")":
            if len(stack) > 1:
                _close(stack)
        elif sign in "|+":
            top.joiner = "or" if sign == "|" else "and"
        elif sign == "-":
            top.is_absent = not top.is_absent
        else:
            phrase, place = _phrase_at(text, place)
            n_clauses += phrase is not None
            top.add(phrase)
            continue
        place += 1
    while len(stack) > 1:
        _close(stack)
    return stack[0].so_far


def _close(stack: list[_Open]) -> None:
    closed = stack.pop()
    below = stack[-1]
    below.is_absent = closed.closes_absent
    below.depth = max(below.depth, closed.depth)
    below.add(closed.so_far)


def _phrase_at(text: str, place: int) -> tuple[Phrase | None, int]:
    """Return the quoted phrase or the word that starts here, and the place after it."""
    if text[place] == '"':
        literal, end = _read_until(text, place + 1, '"')
        if end < len(text):
            likeness = _LIKENESS_AFTER.match(text, end + 1)
            return _phrase(literal, False), likeness.end() if likeness else end + 1
        return None, place + 1  # never closed: only the sign is passed over
    literal, end = _read_until(text, place, '"|+()')
    is_start = text[place:end].endswith("*") and not text[place:end].endswith("\\*")
    return _phrase(_LIKENESS.sub("", literal), is_start), end


def _read_until(text: str, place: int, signs: str) -> tuple[str, int]:
    """Return the literal text up to an unescaped sign (for words, also a space) and the sign's place."""
    is_word = signs != '"'
    taken: list[str] = []
    while place < len(text) and text[place] not in signs and not (is_word and text[place].isspace()):
        if text[place] == "\\" and place + 1 < len(text):
            place += 1
        taken.append(text[place])
        place += 1
    return "".join(taken), place


def _phrase(literal: str, is_start: bool) -> Phrase | None:
    terms, ends_open = phrase_terms(literal)
    return Phrase(tuple(terms), is_start or ends_open) if terms else None


def _rendered(clause: Clause, where: str) -> str:
    if isinstance(clause, Phrase):
        return f'{where}"{" ".join(clause.terms)}"' + (" *" if clause.is_start else "")
    if isinstance(clause, Absent):
        return f'("{EVERY_RECORD}" NOT {_rendered(clause.clause, where)})'
    if clause.joiner == "or":
        return "(" + " OR ".join(_rendered(one, where) for one in clause.clauses) + ")"
    present = [_rendered(one, where) for one in clause.clauses if not isinstance(one, Absent)]
    absent = [_rendered(one.clause, where) for one in clause.clauses if isinstance(one, Absent)]
    found = "(" + " AND ".join(present or [f'"{EVERY_RECORD}"']) + ")"
    return f"({found} NOT ({' OR '.join(absent)}))" if absent else found

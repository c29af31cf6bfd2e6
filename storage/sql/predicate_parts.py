"""Take a predicate apart, to say why it is true of a row: its alternatives, and the columns each of them names."""

from __future__ import annotations

from collections.abc import Collection

from storage.sql.predicate_tokens import Kind, tokens


def alternatives(text: str) -> tuple[str, ...]:
    """Return what stands between the outermost `or`s of a predicate that passed its check; a row meets one at least."""
    parts, start, depth = [], 0, 0
    for token in tokens(text):
        if token.is_sign("(", "[") or token.is_word("case"):
            depth += 1
        elif token.is_sign(")", "]") or token.is_word("end"):
            depth -= 1
        elif token.is_word("or") and not depth:
            parts.append(text[start : token.place].strip())
            start = token.place + len("or")
    return (*parts, text[start:].strip())


def columns_named(text: str, columns: Collection[str]) -> tuple[str, ...]:
    """Return the columns a predicate names, in its order."""
    by_lower = {column.lower(): column for column in columns}
    named = [by_lower.get(token.value.lower()) for token in tokens(text) if token.kind in (Kind.WORD, Kind.NAME)]
    return tuple(dict.fromkeys(column for column in named if column is not None))

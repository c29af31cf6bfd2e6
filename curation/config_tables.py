"""Checks for `[[…]]` tables of `afrel.toml`: every mistake is found before any is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from storage.errors import UserError
from storage.sql.predicates import check_predicate

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def table_mistakes(
    place: str,
    table: Mapping[str, Any],
    *,
    keys: Mapping[str, type],
    names: Sequence[str],
    predicate_key: str,
    columns: Mapping[str, str],
    known_elsewhere: Sequence[str] = (),
) -> list[str]:
    """Return what is wrong with one table: its keys, their types, counts below 1, ill-formed names, its predicate.

    `place` says where the table stands; `names` are the keys whose text is a name; `columns` are the predicate's.
    Keys `known_elsewhere` may stand there and are checked by whoever knows them.
    """
    known = (*keys, *known_elsewhere)
    mistakes = [f"{place}: unknown key {key!r}; known are {', '.join(known)}" for key in table if key not in known]
    mistakes += [f"{place}: {key} is missing" for key in keys if key not in table]
    for key, kind in keys.items():
        value = table.get(key)
        if value is None:
            continue
        if type(value) is not kind:
            mistakes.append(f"{place}: {key} = {value!r} is not {'a whole number' if kind is int else 'text'}")
        elif isinstance(value, int) and value < 1:
            mistakes.append(f"{place}: {key} = {value} is below 1")
        elif key in names and not _NAME.fullmatch(str(value)):
            mistakes.append(f"{place}: {key} = {value!r} is not a name of small letters, digits and underscores")
    predicate = table.get(predicate_key)
    if isinstance(predicate, str):
        try:
            check_predicate(predicate, columns=columns)
        except UserError as error:
            mistakes.append(f"{place}: {predicate_key}: {error}")
    return mistakes


def repeated(place: str, key: str, values: Sequence[Any]) -> list[str]:
    """Return a mistake for each value that several tables give the same key."""
    known = [value for value in values if isinstance(value, str | int)]  # a list is a mistake that is told elsewhere
    return [f"{place}: {key} = {value!r} is given twice" for value in dict.fromkeys(known) if known.count(value) > 1]


def raise_mistakes(mistakes: Sequence[str]) -> None:
    """Raise all mistakes as one UserError, if there are any."""
    if mistakes:
        listed = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise UserError(f"afrel.toml has {len(mistakes)} mistake(s); mend them and run the command again:\n{listed}")

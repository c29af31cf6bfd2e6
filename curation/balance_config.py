"""The keys of a tier's table in `afrel.toml` that say how its train rows are balanced: read, and every mistake told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curation.balance import Balance
from storage.errors import UserError
from storage.sql.predicates import check_predicate

BALANCE_KEYS = ("balance", "max_cv", "max_tokens", "max_per_source", "slices", "min_share")


def parse_balance(table: Mapping[str, Any]) -> Balance:
    """Return the balance of a table that has no mistakes."""
    share, cv = table.get("min_share"), table.get("max_cv")
    return Balance(
        by_grade="balance" in table,
        max_cv=None if cv is None else float(cv),
        max_tokens=table.get("max_tokens"),
        max_per_source=table.get("max_per_source"),
        slices=tuple(sorted(table.get("slices", {}).items())),
        min_share=None if share is None else float(share),
    )


def balance_mistakes(place: str, table: Mapping[str, Any], *, columns: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the keys of balance in one table; `columns` are those slices may speak of."""
    mistakes = []
    if table.get("balance", "grade") != "grade":
        mistakes.append(f'{place}: balance = {table["balance"]!r} is not "grade", the one thing to balance by')
    for key in ("max_tokens", "max_per_source"):
        value = table.get(key, 1)
        if type(value) is not int or value < 1:
            mistakes.append(f"{place}: {key} = {value!r} is not a whole number from 1")
    if not _is_number(table.get("max_cv", 0), low=0.0, high=float("inf")):
        mistakes.append(f"{place}: max_cv = {table['max_cv']!r} is not a number from 0, such as 0.3")
    if not _is_number(table.get("min_share", 1), low=1e-6, high=1.0):
        mistakes.append(f"{place}: min_share = {table['min_share']!r} is not a share above 0 and up to 1, such as 0.1")
    if ("slices" in table) != ("min_share" in table):
        mistakes.append(f"{place}: slices and min_share stand together: which slices, and the share each is to have")
    return mistakes + _slice_mistakes(place, table.get("slices", {}), columns)


def _slice_mistakes(place: str, slices: Any, columns: Mapping[str, str]) -> list[str]:
    if not isinstance(slices, dict) or not all(isinstance(where, str) for where in slices.values()):
        return [f'{place}: slices = {slices!r:.80} is not a table of predicates, such as {{ rare = "…" }}']
    mistakes = []
    for name, where in slices.items():
        try:
            check_predicate(where, columns=columns)
        except UserError as error:
            mistakes.append(f"{place}: slices.{name}: {error}")
    return mistakes


def _is_number(value: Any, *, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high

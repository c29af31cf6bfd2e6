"""Filters and sorts as SQL with bound parameters, over the tables of one dataset; pure.

A value is stored as a number or as a text. SQLite orders every number before every text, so a range over numbers is
closed by the empty text and meets no text. What is absent sorts last both ways.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

RECORD_PROPERTIES = ("id", "external_id", "status", "inserted_at", "updated_at")
TIMES = ("inserted_at", "updated_at")
_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d{2})?")


@dataclass(frozen=True, slots=True)
class OfRecord:
    """A property of the record itself, one of RECORD_PROPERTIES."""

    property: str


@dataclass(frozen=True, slots=True)
class OfMetadata:
    """A metadata property."""

    name: str


@dataclass(frozen=True, slots=True)
class OfSuggestion:
    """A suggestion's value, score, agent or type."""

    question: str
    property: str = "value"


@dataclass(frozen=True, slots=True)
class OfResponse:
    """The answers to a question, or the responses' status if no question is named; of one user or of all."""

    question: str | None = None
    user_id: str | None = None


Scope: TypeAlias = OfRecord | OfMetadata | OfSuggestion | OfResponse
Bound: TypeAlias = float | str
Kind: TypeAlias = Literal["value", "text", "time"]


@dataclass(frozen=True, slots=True)
class Terms:
    """Records with one of the values; of a response's status `pending` means that there is no response."""

    scope: Scope
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Records with a value between two bounds, both of them included; None leaves a side open."""

    scope: Scope
    ge: Bound | None = None
    le: Bound | None = None


@dataclass(frozen=True, slots=True)
class All:
    """Records that pass every filter."""

    filters: tuple[Filter, ...]


Filter: TypeAlias = Terms | Range | All


@dataclass(frozen=True, slots=True)
class Sort:
    """An order by one scope; responses are ordered by the mean of their answers."""

    scope: Scope
    direction: Literal["asc", "desc"] = "asc"


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a statement and what it binds, in order."""

    text: str
    values: tuple[Bound, ...] = ()


def number_of(value: object) -> float | None:
    """Return a JSON number or a text that writes one, None for all else and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def bindable(text: str) -> str:
    """Return the text as a database takes it: a lone half of a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def path_of(scope: OfMetadata | OfSuggestion) -> str:
    """Return what the values of a scope are stored under."""
    if isinstance(scope, OfMetadata):
        return f"metadata/{bindable(scope.name)}"
    return f"suggestion/{scope.property}/{bindable(scope.question)}"


def moment(value: Bound) -> str:
    """Return a time as it is stored, from ISO text (no offset means UTC) or milliseconds since 1970; ValueError."""
    written = str(value).strip()
    if isinstance(value, str) and _YEAR_OR_MONTH.fullmatch(written):
        written += "-01-01"[3 * written.count("-") :]
    milliseconds = number_of(value)
    try:
        if milliseconds is not None and written == str(value).strip():
            at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        else:
            at = datetime.fromisoformat(written)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{value!r} is not a time. Write it as 2026-05-20 or 2026-05-20T14:30:00") from error
    return at.replace(tzinfo=None).isoformat(timespec="microseconds")


def condition(filter_: Filter, tables: str) -> Sql:
    """Return the condition on `r`, a row of the records of the dataset whose tables start with `tables`."""
    if isinstance(filter_, All):
        parts = [condition(one, tables) for one in filter_.filters]
        return Sql(
            " and ".join(f"({part.text})" for part in parts) or "true", tuple(v for p in parts for v in p.values)
        )
    scope = filter_.scope
    if isinstance(scope, OfRecord):
        return _compared(filter_, f"r.{_column(scope)}", "time" if scope.property in TIMES else "text")
    if isinstance(scope, OfResponse):
        return _of_responses(filter_, scope, tables)
    compared = _compared(filter_, "value")
    return Sql(
        f"r.n in (select n from {tables}_values where path = ? and {compared.text})", (path_of(scope), *compared.values)
    )


def order(sort: Sort, tables: str) -> Sql:
    """Return the term of `order by` for a sort."""
    scope, way = sort.scope, "desc" if sort.direction == "desc" else "asc"
    if isinstance(scope, OfRecord):
        return Sql(f"r.{_column(scope)} {way} nulls last")
    if isinstance(scope, OfResponse):
        user, users = (" and user_id = ?", (scope.user_id,)) if scope.user_id else ("", ())
        if scope.question is None:
            # The plus keeps the database from walking the user's responses again for each record.
            user = user.replace("user_id", "+user_id")
            return Sql(f"(select min(status) from {tables}_responses where n = r.n{user}) {way} nulls last", users)
        # A mean where the answers are numbers; the first text where they are not.
        return Sql(
            f"(select coalesce(avg(case when value < '' then value end), min(value)) from {tables}_answers"
            f" where n = r.n and question = ?{user}) {way} nulls last",
            (bindable(scope.question), *users),
        )
    first = "max" if sort.direction == "desc" else "min"
    return Sql(
        f"(select {first}(value) from {tables}_values where n = r.n and path = ?) {way} nulls last", (path_of(scope),)
    )


def _column(scope: OfRecord) -> str:
    if scope.property not in RECORD_PROPERTIES:
        raise ValueError(f"records have no property {scope.property!r}; there are {', '.join(RECORD_PROPERTIES)}")
    return "record_id" if scope.property == "id" else scope.property


def _of_responses(filter_: Terms | Range, scope: OfResponse, tables: str) -> Sql:
    user, users = (" and user_id = ?", (scope.user_id,)) if scope.user_id else ("", ())
    if scope.question is not None:
        compared = _compared(filter_, "value")
        return Sql(
            f"r.n in (select n from {tables}_answers where question = ?{user} and {compared.text})",
            (bindable(scope.question), *users, *compared.values),
        )
    if not isinstance(filter_, Terms):
        raise ValueError("the status of responses has no order: filter it by its values")
    statuses = tuple(bindable(value) for value in filter_.values if value != "pending")
    # Sets, each read once: asked for record by record, the database may walk all of a user's responses for each.
    given = f"select n from {tables}_responses where true{user}"
    parts = []
    if "pending" in filter_.values:
        parts.append(Sql(f"r.n not in ({given})", users))
    if statuses:
        parts.append(Sql(f"r.n in ({given} and status in ({_places(statuses)}))", (*users, *statuses)))
    # No status is no filter, as in Elasticsearch's engine.
    return Sql(" or ".join(part.text for part in parts) or "true", tuple(v for part in parts for v in part.values))


def _compared(filter_: Terms | Range, column: str, kind: Kind = "value") -> Sql:
    if isinstance(filter_, Terms):
        values = _alternatives(filter_.values, kind)
        return Sql(f"{column} in ({_places(values)})", values)
    parts: list[Sql] = []
    bounds = [None if bound is None else _bound(bound, kind) for bound in (filter_.ge, filter_.le)]
    for sign, bound in zip((">=", "<="), bounds, strict=True):
        if bound is not None:
            parts.append(Sql(f"{column} {sign} ?", (bound,)))
    if any(isinstance(bound, float) for bound in bounds):
        parts.append(Sql(f"{column} < ''"))
    elif parts:
        parts.append(Sql(f"{column} >= ''"))
    return Sql(" and ".join(part.text for part in parts) or "true", tuple(v for part in parts for v in part.values))


def _alternatives(values: tuple[str, ...], kind: Kind) -> tuple[Bound, ...]:
    """Return what equals one of the typed values: the text, and the number that it writes."""
    if kind == "time":
        return tuple(moment(value) for value in values)
    numbers = (number_of(value) for value in values if kind == "value")
    return (*(bindable(value) for value in values), *(number for number in numbers if number is not None))


def _bound(bound: Bound, kind: Kind) -> Bound:
    if kind == "time":
        return moment(bound)
    number = number_of(bound) if kind == "value" else None
    return bindable(str(bound)) if number is None else number


def _places(values: tuple[Bound, ...]) -> str:
    return ", ".join("?" * len(values))

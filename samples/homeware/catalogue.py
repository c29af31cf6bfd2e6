"""The catalogue: docs drawn from the vocabulary, so that every query has hits and near misses to find.

A third is drawn freely; the rest is drawn around the queries, one field off at a time, as a shop's range follows
what its customers ask for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from samples.homeware import chinese, wording
from samples.homeware.assortment import KINDS
from samples.homeware.intents import Query
from samples.homeware.kinds import (
    BRANDS,
    BROKEN_BY,
    CLEAR_MATERIALS,
    DRAWN_FIELDS,
    EVASIONS,
    FIELDS,
    METALLIC_COLOURS,
    NEAR_BRANDS,
    NEAR_VALUES,
    UNPAINTED_MATERIALS,
    Kind,
)

N_DOCS = 1500
N_FREE_DOCS = 3  # of each kind, in English
N_FREE_CHINESE_DOCS = 1  # of each kind that has a Chinese name


@dataclass(frozen=True, slots=True)
class Doc:
    """One product. `fields` are in English whatever the doc's language; `written` is how the doc states them."""

    doc_id: str
    kind: str
    category: str
    is_chinese: bool
    fields: dict[str, str]
    written: dict[str, str]
    title: str
    body: str


def draw_fields(kind: Kind, fixed: dict[str, str | None], random: Random, *, is_chinese: bool) -> dict[str, str]:
    """Draw a doc's fields. `fixed` values are kept (None: leave the field out); a diet is never contradicted."""
    fields: dict[str, str] = {}
    brands = (chinese.BRANDS if is_chinese else BRANDS)[kind.brands].split("|")
    for field in FIELDS:
        if field == "category":
            fields[field] = kind.category
        elif field == "type":
            fields[field] = kind.name
        elif field in fixed:
            if (value := fixed[field]) is not None:
                fields[field] = value
        elif field == "brand":
            fields[field] = random.choice(brands)
        elif (values := [value for value in kind.values(field) if _is_possible(field, value, fields, is_chinese)]) and (
            random.random() < DRAWN_FIELDS[field]
        ):
            fields[field] = random.choice(values)
    if kind.name == "milk":
        fields["allergen"] = "milk"
    if kind.name in ("mixed nuts", "peanut butter"):
        fields.setdefault("allergen", "peanuts" if kind.name == "peanut butter" else "nuts")
    if kind.name == "chocolate" and fields.get("flavour") in ("milk", "white"):
        fields["allergen"] = "milk"
        if fields.get("dietary") in ("vegan", "dairy free"):
            del fields["dietary"]
    return {field: fields[field] for field in FIELDS if field in fields}


def _is_possible(field: str, value: str, fields: dict[str, str], is_chinese: bool) -> bool:
    if is_chinese and chinese.translate(value) is None:
        return False
    if field == "material" and fields.get("colour") == "clear" and value not in CLEAR_MATERIALS:
        return False
    if field == "material" and fields.get("colour") in METALLIC_COLOURS and value in UNPAINTED_MATERIALS:
        return False
    return not (field == "allergen" and value in BROKEN_BY.get(fields.get("dietary", ""), ()))


def variants(query: Query, kind: Kind) -> Iterable[dict[str, str | None]]:
    """Yield the field values of docs made for a query: exact hits, then one field off at a time, near value first."""
    exact: dict[str, str | None] = dict(query.wants)
    exact = {field: value for field, value in exact.items() if field == "brand" or value in kind.values(field)}
    if "pack" not in query.wants:
        exact["pack"] = None
    for field, value in query.refuses.items():
        yield exact | {field: value}
        if EVASIONS.get((field, value)) in kind.values(field):
            yield exact | {field: EVASIONS[field, value]}
            yield exact | {field: EVASIONS[field, value]}
        others = [other for other in kind.values(field) if other not in (value, EVASIONS.get((field, value)))]
        exact[field] = others[len(query.text) % len(others)]
    for _ in range(3):
        yield exact
    for field in query.wants:
        yield from _one_field_off(kind, exact, query, field)
    if query.limit:
        for size in kind.values("size"):
            yield exact | {"size": size}
    if kind.values("pack") and "pack" not in query.wants:
        for pack in kind.values("pack")[-2:]:
            yield exact | {"pack": pack}


def _one_field_off(
    kind: Kind, exact: dict[str, str | None], query: Query, field: str
) -> Iterable[dict[str, str | None]]:
    value, turn = query.wants[field], len(query.text)
    if field == "brand":
        yield {other: kept for other, kept in exact.items() if other != "brand"}
        yield {other: kept for other, kept in exact.items() if other != "brand"}
        if value in NEAR_BRANDS:
            yield exact | {"brand": NEAR_BRANDS[value]}
            yield exact | {"brand": NEAR_BRANDS[value]}
        return
    values = [other for other in kind.values(field) if other != value]
    near = NEAR_VALUES.get((field, value))
    if near in values:
        yield exact | {field: near}
        yield exact | {field: near}
    if values:
        yield exact | {field: values[turn % len(values)]}
        yield exact | {field: values[(turn + 1) % len(values)]}
    if field in ("dietary", "feature"):
        yield exact | {field: None}


def build_catalogue(queries: Iterable[Query], *, seed: int) -> tuple[Doc, ...]:
    """Return the catalogue's N_DOCS docs; no two have the same title."""
    draws = Random(f"catalogue {seed}")
    asked: list[tuple[Kind, dict[str, str | None], bool]] = []
    for query in queries:
        plant = next((f"{cue} drink" for cue in query.cues if f"{cue} drink" in KINDS), query.kind)
        kind = KINDS[plant]
        asked += [(kind, fixed, query.is_chinese) for fixed in variants(query, kind)]
    draws.shuffle(asked)
    free: list[tuple[Kind, dict[str, str | None], bool]] = [
        (kind, {}, False) for kind in KINDS.values() for _ in range(N_FREE_DOCS)
    ]
    free += [(KINDS[name], {}, True) for name in chinese.KINDS for _ in range(N_FREE_CHINESE_DOCS)]
    ordered = [*asked[: N_DOCS - len(free)], *free]
    return tuple(_write(ordered, draws))


def _write(ordered: list[tuple[Kind, dict[str, str | None], bool]], draws: Random) -> list[Doc]:
    drawn: dict[str, tuple[Kind, bool, dict[str, str], dict[str, str], str]] = {}
    for kind, fixed, is_chinese in ordered:
        for _ in range(50):
            fields = draw_fields(kind, fixed, draws, is_chinese=is_chinese)
            if is_chinese:
                written = wording.in_chinese(kind, fields)
                fields = {field: fields[field] for field in written}
                title, body = wording.write_chinese(kind, written, draws)
            else:
                written = fields
                title, body = wording.write_english(kind, fields, draws)
            if title not in drawn:
                drawn[title] = (kind, is_chinese, fields, written, body)
                break
    titles = sorted(drawn)
    draws.shuffle(titles)
    return [
        Doc(f"sku{10001 + place}", kind.name, kind.category, is_chinese, fields, written, title, body)
        for place, title in enumerate(titles)
        for kind, is_chinese, fields, written, body in (drawn[title],)
    ]

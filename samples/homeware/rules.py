"""The twenty frequent rules that decide most pairs, in the order they are tried; the first that holds decides.

A rule reads only what anybody can read: the query's intent and the doc's fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from samples.homeware.catalogue import Doc
from samples.homeware.intents import Query
from samples.homeware.kinds import ACCESSORIES, BED_SIZES, BROKEN_BY, SUBSTITUTES

Predicate = Callable[[Query, Doc], bool]
WRITTEN_OFF_FIELDS = ("brand", "colour", "material", "style", "size", "flavour")


@dataclass(frozen=True, slots=True)
class Rule:
    """A clause and its grade. A rare rule names the frequent rules it `overrides`; a frequent one overrides none."""

    rule_id: str
    text: str
    grade: int
    holds: Predicate
    overrides: tuple[str, ...] = ()


def conflicts(query: Query, doc: Doc) -> list[str]:
    """Return the fields where the doc states another value than the one the query names."""
    return [
        field
        for field in WRITTEN_OFF_FIELDS
        if field in query.wants and doc.fields.get(field, query.wants[field]) != query.wants[field]
    ]


def is_measured(size: str) -> bool:
    """Say whether a size is a measure (`28 cm`) and not a bed size (`king`)."""
    return bool(size) and size not in BED_SIZES


def measure(size: str) -> float:
    """Return a measure as one number in the smallest unit of its sort; of two edges (`120 x 170`) the longer."""
    words = size.split()
    if "x" in words:
        return max(float(word) for word in words if word != "x")
    scale = {"l": 1000.0, "kg": 1000.0}.get(words[1], 1.0)
    return float(words[0]) * scale


def is_accessory(query: Query, doc: Doc) -> bool:
    return query.kind in ACCESSORIES.get(doc.kind, ())


def is_substitute(query: Query, doc: Doc) -> bool:
    return query.kind != doc.kind and any({query.kind, doc.kind} <= group for group in SUBSTITUTES)


def is_refused(query: Query, doc: Doc) -> bool:
    return any(doc.fields.get(field) == value for field, value in query.refuses.items())


def breaks_diet(query: Query, doc: Doc) -> bool:
    return doc.fields.get("allergen") in BROKEN_BY.get(query.wants.get("dietary", ""), ())


def lacks_diet(query: Query, doc: Doc) -> bool:
    return "dietary" in query.wants and doc.fields.get("dietary") != query.wants["dietary"]


def is_over_limit(query: Query, doc: Doc) -> bool:
    size = doc.fields.get("size", "")
    return bool(query.limit) and is_measured(size) and measure(size) > measure(query.limit)


def is_other_bed_size(query: Query, doc: Doc) -> bool:
    return query.wants.get("size") in BED_SIZES and "size" in conflicts(query, doc)


def is_unasked_pack(query: Query, doc: Doc) -> bool:
    return "pack" in doc.fields and "pack" not in query.wants


def leaves_unstated(query: Query, doc: Doc) -> bool:
    return any(doc.fields.get(field) != value for field, value in query.wants.items())


def names_nothing(query: Query, _doc: Doc) -> bool:
    return not (query.wants or query.refuses or query.limit)


def differs(field: str) -> Predicate:
    """Return the predicate: the query names a value of `field` and the doc states another."""
    return lambda query, doc: field in conflicts(query, doc)


FREQUENT_RULES: tuple[Rule, ...] = (
    Rule("accessory", "The doc is an accessory or supply for the thing asked, not the thing itself.", 1, is_accessory),
    Rule("substitute", "The doc is a close relative that could stand in for the type asked.", 1, is_substitute),
    Rule(
        "other_department",
        "The doc is from another category than the thing asked.",
        0,
        lambda query, doc: query.category != doc.category,
    ),
    Rule(
        "other_type", "Same category, but a type that does another job.", 0, lambda query, doc: query.kind != doc.kind
    ),
    Rule("refused", "The query refuses a value (no, not, without) and the doc has it.", 0, is_refused),
    Rule("diet_broken", "The doc contains an allergen that breaks the dietary need asked.", 0, breaks_diet),
    Rule("diet_unmet", "A dietary need is asked and the doc does not state it.", 1, lacks_diet),
    Rule(
        "two_conflicts",
        "Two or more of brand, colour, material, style, size, flavour differ from what is asked.",
        1,
        lambda query, doc: len(conflicts(query, doc)) > 1,
    ),
    Rule("brand_differs", "A brand is asked and the doc is another brand.", 1, differs("brand")),
    Rule("bed_size_differs", "A bed size is asked and the doc is for another bed.", 1, is_other_bed_size),
    Rule("over_limit", "The query sets a largest size and the doc is over it.", 1, is_over_limit),
    Rule("flavour_differs", "A flavour or variety is asked and the doc is another.", 1, differs("flavour")),
    Rule("material_differs", "A material is asked and the doc is made of another.", 1, differs("material")),
    Rule("colour_differs", "Everything but the colour fits.", 2, differs("colour")),
    Rule("style_differs", "Everything but the style fits.", 2, differs("style")),
    Rule("size_differs", "Everything but the measured size or weight fits.", 2, differs("size")),
    Rule(
        "unasked_pack", "The right thing, but sold as a set, a pack or a part that was not asked.", 2, is_unasked_pack
    ),
    Rule("unstated", "Nothing conflicts, but an asked feature or value is not stated.", 2, leaves_unstated),
    Rule("plain_type", "The query names only a type and the doc is that type.", 3, names_nothing),
    Rule("all_fits", "The type is right and everything asked is there.", 3, lambda _query, _doc: True),
)

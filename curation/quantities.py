"""Numbers with their units and limits, so that `under 2m` can be held against `228 cm`.

A unit is reduced to its dimension (length, mass, …) in one base unit. A number without a known unit is compared only
with numbers in the same context (the word before or after it), so that `iphone 12` contradicts `iphone 13` and not
`12 pieces`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from curation.text import UNSPACED

# dimension: {spelling: size in the dimension's base unit}
_DIMENSIONS: dict[str, dict[str, float]] = {
    "length": {
        **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters", "毫米"), 1.0),
        **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters", "厘米", "公分"), 10.0),
        **dict.fromkeys(("m", "metre", "metres", "meter", "meters", "米"), 1000.0),
        **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers", "公里", "千米"), 1e6),
        **dict.fromkeys(("inch", "inches", '"', "″", "英寸", "寸"), 25.4),
        **dict.fromkeys(("ft", "foot", "feet", "英尺"), 304.8),
    },
    "mass": {
        **dict.fromkeys(("mg", "毫克"), 0.001),
        **dict.fromkeys(("g", "gram", "grams", "克"), 1.0),
        **dict.fromkeys(("kg", "kilo", "kilos", "kilogram", "kilograms", "公斤", "千克"), 1000.0),
        **dict.fromkeys(("lb", "lbs", "pound", "pounds"), 453.59),
        **dict.fromkeys(("oz", "ounce", "ounces"), 28.35),
        "斤": 500.0,
    },
    "volume": {
        **dict.fromkeys(("ml", "millilitre", "millilitres", "milliliter", "milliliters", "毫升"), 1.0),
        "cl": 10.0,
        **dict.fromkeys(("l", "litre", "litres", "liter", "liters", "升"), 1000.0),
    },
    "power": {**dict.fromkeys(("w", "watt", "watts", "瓦"), 1.0), **dict.fromkeys(("kw", "千瓦"), 1000.0)},
    "voltage": dict.fromkeys(("v", "volt", "volts", "伏"), 1.0),
    "charge": {"mah": 1.0, "ah": 1000.0, "毫安": 1.0},
    "storage": {"mb": 1.0, "gb": 1024.0, "tb": 1048576.0},
    "share": {"%": 1.0, "percent": 1.0},
    "money $": {"$": 1.0, "dollar": 1.0, "dollars": 1.0, "usd": 1.0, "美元": 1.0},
    "money €": {"€": 1.0, "euro": 1.0, "euros": 1.0, "eur": 1.0, "欧元": 1.0},
    "money £": {"£": 1.0, "gbp": 1.0},
    "money ¥": {"¥": 1.0, "元": 1.0, "块": 1.0, "rmb": 1.0, "cny": 1.0, "万元": 10000.0},
    "year": {"年": 1.0},
}
UNITS: dict[str, tuple[str, float]] = {
    spelling: (dimension, size) for dimension, sizes in _DIMENSIONS.items() for spelling, size in sizes.items()
}
YEARS = range(1900, 2100)
# Two unit systems round differently (6 ft, 183 cm); bare numbers must be equal.
TOLERANCE = 0.01


class Limit(StrEnum):
    EXACT = "exact"
    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in its dimension's base unit; `dimension` is None for a bare number, `context` its neighbours then."""

    value: float
    dimension: str | None
    limit: Limit = Limit.EXACT
    context: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class QuantityCounts:
    """How a doc's numbers answer a query's."""

    n_matches: int
    n_conflicts: int


_AT_MOST = (
    r"no more than|not more than|less than|up to|at most|under|below|within|maximum|max|before|<=?|≤"
    r"|不超过|小于|低于|少于|最多"
)
_AT_LEAST = (
    r"no less than|not less than|more than|at least|over|above|minimum|min|after|>=?|≥"
    r"|不少于|不低于|超过|大于|高于|至少"
)
_UNIT = "|".join(
    sorted((re.escape(unit) for unit in UNITS if not unit.isascii() or not unit.isalpha()), key=len, reverse=True)
)
_WORD_UNIT = "|".join(sorted((unit for unit in UNITS if unit.isascii() and unit.isalpha()), key=len, reverse=True))
_QUANTITY = re.compile(
    rf"(?:(?P<most>(?<![a-z])(?:{_AT_MOST}))|(?P<least>(?<![a-z])(?:{_AT_LEAST})))?\s*(?P<currency>[$€£¥])?\s*"
    r"(?<![\d.])(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    rf"(?:\s*(?P<unit>{_UNIT})|\s*(?P<word>{_WORD_UNIT})(?![a-z])|(?P<inch>in)(?![a-z]))?"
    r"(?P<after>\s*以[内下上])?"
)
_NEIGHBOUR_BEFORE = re.compile(rf"([^\W\d_{UNSPACED}]+|[{UNSPACED}])[\s\-]*$")
_NEIGHBOUR_AFTER = re.compile(rf"[\s\-]*([^\W\d_{UNSPACED}]+|[{UNSPACED}])")
_BETWEEN = re.compile(r"\s*[x×*~到至\-–]\s*")
_HAS_DIGIT = re.compile(r"\d")


def find_quantities(text: str) -> list[Quantity]:
    """Return the numbers of a text in normal form, with their units and limits, in order of appearance."""
    if not _HAS_DIGIT.search(text):
        return []
    found: list[Quantity] = []
    matches = list(_QUANTITY.finditer(text))
    for match in matches:
        limit = Limit.AT_MOST if match["most"] else Limit.AT_LEAST if match["least"] else Limit.EXACT
        if match["after"]:
            limit = Limit.AT_LEAST if match["after"].endswith("上") else Limit.AT_MOST
        unit = match["currency"] or match["unit"] or match["word"] or ("inch" if match["inch"] else None)
        found.append(_quantity(match["number"], unit, limit, text, match))
    for i in range(len(found) - 2, -1, -1):  # 120 x 60 cm: the unit is written once
        between = text[matches[i].end() : matches[i + 1].start()]
        unit_of_next = matches[i + 1]["unit"] or matches[i + 1]["word"]
        if found[i].dimension is None and unit_of_next and unit_of_next in UNITS and _BETWEEN.fullmatch(between):
            dimension, size = UNITS[unit_of_next]
            found[i] = replace(found[i], value=found[i].value * size, dimension=dimension)
    return found


def without_limits(text: str) -> str:
    """Return a normal text without the words that limit its numbers: `under 2m` asks for no word `under`."""
    if not _HAS_DIGIT.search(text):
        return text
    return _QUANTITY.sub(lambda match: match.group().removeprefix(match["most"] or match["least"] or ""), text)


def field_quantity(name: str, value: str) -> Quantity | None:
    """Return the quantity of a field that carries its unit in its name (`width_cm` 228), None when it is none."""
    unit = name.casefold().rpartition("_")[2]
    if unit == name.casefold() or unit not in UNITS or not re.fullmatch(r"\s*\d+(?:\.\d+)?\s*", value):
        return None
    dimension, size = UNITS[unit]
    return Quantity(float(value) * size, dimension)


def compare_quantities(asked: Sequence[Quantity], held: Sequence[Quantity]) -> QuantityCounts:
    """Count the asked numbers a doc meets and those it contradicts; one the doc does not speak of is neither.

    An upper limit is broken by any number of its dimension above it, a lower limit when none reaches it, and an exact
    number when others of its dimension stand there but not this one.
    """
    verdicts = [_is_met(quantity, held) for quantity in asked]
    return QuantityCounts(verdicts.count(True), verdicts.count(False))


def _quantity(number: str, unit: str | None, limit: Limit, text: str, match: re.Match[str]) -> Quantity:
    value = float(number.replace(",", ""))
    if unit is not None:
        dimension, size = UNITS[unit]
        if dimension != "year" or int(value) in YEARS:
            return Quantity(value * size, dimension, limit)
    if value in YEARS and "." not in number and "," not in number:
        return Quantity(value, "year", limit)
    before = _NEIGHBOUR_BEFORE.search(text, max(0, match.start() - 24), match.start())
    after = _NEIGHBOUR_AFTER.match(text, match.end("number"))
    context = [f"before {before[1]}"] if before else []
    context += [f"after {after[1]}"] if after else []
    return Quantity(value, None, limit, frozenset(context))


def _is_met(asked: Quantity, held: Sequence[Quantity]) -> bool | None:
    if asked.dimension is None:
        rivals = [other.value for other in held if other.dimension is None and other.context & asked.context]
        if asked.limit is Limit.EXACT and any(other.dimension is None and other.value == asked.value for other in held):
            return True
    else:
        rivals = [other.value for other in held if other.dimension == asked.dimension]
    if not rivals:
        return None
    slack = TOLERANCE * asked.value if asked.dimension not in (None, "year") else 0.0
    if asked.limit is Limit.AT_MOST:
        return max(rivals) <= asked.value + slack
    if asked.limit is Limit.AT_LEAST:
        return max(rivals) >= asked.value - slack
    return any(abs(value - asked.value) <= slack for value in rivals)

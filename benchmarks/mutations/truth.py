"""The true effect of a mutation on the bundled sample: its rules, asked again with what the rewritten query means.

The sample's rules decide a grade from a query's intent and a doc's fields. The intent of a query that nobody planned is
read off its words, by the sample's own vocabulary and neither by the operator nor by the verifier: what the old and the
new wording say differently is laid over the known intent of the old. A rewriting whose difference cannot be read has no
truth here, and is counted. Docs are rewritten in their text alone, which the rules do not read: their grade stays.

Two readings the sample does not spell out: a query that names a shelf (`tableware`) is met by every kind on it, one
that names no kind by every kind.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cache

from samples.homeware import chinese
from samples.homeware.assortment import KINDS
from samples.homeware.catalogue import Doc
from samples.homeware.intents import Query
from samples.homeware.kinds import BRANDS, DRAWN_FIELDS
from samples.homeware.truth import decide

# Same meaning by definition: a reader reads through the wording.
WORDING = frozenset({"typo", "slang", "paraphrase"})
DOC_SIDE = frozenset({"doc_truncation", "distractor_injection"})
_REFUSING = re.compile(r"(?:\bnot|\bno|\bwithout|不要|不含|不带)\s*$")
_LIMITING = re.compile(r"(?:\bunder|\bmax|\bbelow|\bup to)\s*$")
_IN_BASE = {
    "mm": ("cm", 0.1), "cm": ("cm", 1.0), "m": ("cm", 100.0), "inch": ("cm", 2.54), "毫米": ("cm", 0.1),
    "厘米": ("cm", 1.0), "米": ("cm", 100.0), "g": ("g", 1.0), "kg": ("g", 1000.0), "克": ("g", 1.0),
    "斤": ("g", 500.0), "公斤": ("g", 1000.0), "ml": ("ml", 1.0), "cl": ("ml", 10.0), "l": ("ml", 1000.0),
    "升": ("ml", 1000.0), "毫升": ("ml", 1.0),
}  # fmt: skip
_SIZE = re.compile(
    r"(?<![\d.])(\d+(?:\.\d+)?)\s*(mm|cm|ml|cl|kg|inch|毫米|厘米|毫升|公斤|m|g|l|米|克|斤|升)(?![a-z床])"
)


@dataclass(slots=True)
class Reading:
    """What the words of a query say."""

    kind: str | None = None
    shelf: str | None = None
    wants: dict[str, str] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    limit: str = ""


def true_grade(operator: str, intent: Query, doc: Doc, query: str) -> int | None:
    """Return the grade the sample's rules give the doc for a rewritten query, None where it cannot be read."""
    if operator in DOC_SIDE:
        return decide(intent, doc).rule.grade
    if operator in WORDING and not _names_other_things(intent.text, query):
        return _grade(replace(intent, is_chinese=_is_chinese(query)), doc)
    old, new = read_query(intent.text, intent.kind), read_query(query, intent.kind)
    if old == new and operator not in WORDING and operator not in ("unit_change", "language_mix"):
        return None
    return _grade(_changed(intent, old, new, doc, query), doc)


def read_query(text: str, kind: str) -> Reading:
    """Read a query's words. `kind` decides between two fields that share a value."""
    reading, rest = Reading(), f" {' '.join(text.casefold().split())} "
    for phrase, meant in _phrases():
        if phrase not in rest:
            continue
        pattern = re.escape(phrase) if not phrase.isascii() else rf"(?<![\w-]){re.escape(phrase)}(?:s|es)?(?![\w-])"
        for match in re.finditer(pattern, rest):
            before = rest[: match.start()]
            _note(reading, meant, kind, is_refused=bool(_REFUSING.search(before)))
            rest = f"{before}{'¦' * (match.end() - match.start())}{rest[match.end() :]}"
    for match in _SIZE.finditer(rest):
        size = _as_the_shop_writes(float(match[1]), match[2], kind)
        if _LIMITING.search(rest[: match.start()]) or rest[match.end() :].startswith("以"):
            reading.limit = size
        else:
            reading.wants["size"] = size
    return reading


def _note(reading: Reading, meant: tuple[tuple[str, str], ...], kind: str, *, is_refused: bool) -> None:

    def rank(one: tuple[str, str]) -> int:
        name, value = one
        if name in ("kind", "shelf"):
            return 0 if value == kind else 2
        return 1 if name == "brand" or value in KINDS[kind].values(name) else 3

    name, value = min(meant, key=rank)
    if name == "kind":
        reading.kind = reading.kind or value
    elif name == "shelf":
        reading.shelf = value
    elif is_refused:
        reading.refuses[name] = value
    else:
        reading.wants[name] = value


def _changed(intent: Query, old: Reading, new: Reading, doc: Doc, query: str) -> Query:
    """Lay the difference of two readings over the known intent."""
    kind = intent.kind
    if new.kind != old.kind and new.kind is not None:
        kind = new.kind
    elif new.kind is None and old.kind is not None:
        on_shelf = [name for name, one in KINDS.items() if one.category == new.shelf]
        kind = doc.kind if new.shelf in (None, doc.category) else on_shelf[0]
    limit = new.limit if new.limit != old.limit else intent.limit
    return replace(
        intent,
        text=query,
        kind=kind,
        wants=_laid_over(intent.wants, old.wants, new.wants),
        refuses=_laid_over(intent.refuses, old.refuses, new.refuses),
        limit=limit,
        is_chinese=_is_chinese(query),
    )


def _laid_over(known: dict[str, str], old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    gone = {name for name in old if name not in new}
    came = {name: value for name, value in new.items() if old.get(name) != value}
    return {name: value for name, value in known.items() if name not in gone} | came


def _grade(intent: Query, doc: Doc) -> int | None:
    try:
        return decide(intent, doc).rule.grade
    except (KeyError, ValueError, IndexError):  # a size that is none of the sample's measures
        return None


def _names_other_things(old: str, new: str) -> bool:
    """Whether a word that came in is a word of the shop: then a slip of the pen asks for something else."""
    came = set(new.casefold().split()) - set(old.casefold().split())
    return any(word in _words() for word in came)


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= sign <= "\u9fff" for sign in text)


def _as_the_shop_writes(number: float, unit: str, kind: str) -> str:
    """Return a measure in the spelling of the kind's own sizes where there is an equal one, else in the base unit."""
    base, factor = _IN_BASE[unit]
    value = round(number * factor, 6)
    for size in KINDS[kind].values("size"):
        match = _SIZE.fullmatch(size)
        if match and _IN_BASE[match[2]][0] == base and round(float(match[1]) * _IN_BASE[match[2]][1], 6) == value:
            return size
    return f"{value:g} {base}"


@cache
def _words() -> frozenset[str]:
    return frozenset(word for phrase, _ in _phrases() for word in phrase.split())


@cache
def _phrases() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return every phrase of the sample's vocabulary with what it may mean, the longest first."""
    found: defaultdict[str, dict[tuple[str, str], None]] = defaultdict(dict)
    for kind in KINDS.values():
        for noun in (kind.name, *kind.nouns.split("|")):
            found[noun.casefold()]["kind", kind.name] = None
        found[kind.category.casefold()]["shelf", kind.category] = None
        for name in DRAWN_FIELDS:
            for value in kind.values(name):
                if _SIZE.fullmatch(value):
                    continue  # measures are read as numbers
                found[value.casefold()][name, value] = None
                if (written := chinese.translate(value)) is not None:
                    found[written][name, value] = None
        if (shelf := chinese.translate(kind.category)) is not None:
            found[shelf]["shelf", kind.category] = None
    for name, (written, _) in chinese.KINDS.items():
        found[written]["kind", name] = None
    for brands in (*BRANDS.values(), *chinese.BRANDS.values()):
        for brand in brands.split("|"):
            found[brand.casefold()]["brand", brand] = None
    return tuple(
        sorted(((phrase, tuple(meant)) for phrase, meant in found.items()), key=lambda one: (-len(one[0]), one[0]))
    )

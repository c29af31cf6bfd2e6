"""Derive the ids of pairs, queries and docs from the texts beside them, by the column, and tell which do not fit.

Ids that are no hashes of content (given by hand, as in tests and imports of old) are counted and not judged.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from storage.ids import ID_HEX_DIGITS, canonical_json

ID_COLUMNS = ("pair_id", "query_id", "doc_id", "query", "title", "body", "fields")
_HASHED = re.compile(r"[pqd]_[0-9a-f]{16}")
_BLANK = r"[\s\x1c-\x1f\x85]+"  # what Python's str.split parts by
# What may not be its own normal form: any blank but a single space inside, and whatever NFC may change, which is marks,
# parts of Hangul syllables and a few characters that stand for others. Most texts of any script have none of it.
_NFC_CHANGES = (
    r"\p{M}\x{0340}-\x{0387}\x{0958}-\x{095F}\x{09DC}-\x{09DF}\x{0A33}-\x{0A5E}\x{0B5C}-\x{0B5D}\x{0F43}-\x{0FB9}"
    r"\x{1100}-\x{11FF}\x{1F00}-\x{1FFF}\x{2000}-\x{2001}\x{2126}-\x{212B}\x{2329}-\x{232A}\x{2ADC}"
    r"\x{F900}-\x{FAFF}\x{FB1D}-\x{FB4F}\x{1D15E}-\x{1D1C0}\x{2F800}-\x{2FA1F}"
)
_NOT_NORMAL = rf"[\s--[ ]]|[\x1c-\x1f{_NFC_CHANGES}]|  |^ | $"
_NOT_JSON = r"[\x00-\x1f\"\\]"
_ESCAPES = {char: json.dumps(char)[1:-1] for char in ['"', "\\", *map(chr, range(32))]}


@dataclass(frozen=True, slots=True)
class Derived:
    """What deriving ids found: `wrong` is id -> the id its content has; `n_given` are ids that are no hashes."""

    wrong: Mapping[str, str]
    n_given: int


def derive_ids(rows: pl.DataFrame) -> Derived:
    """Derive the ids of rows with columns `ID_COLUMNS`, some ten thousand at a time."""
    fields = pl.Series([_canonical(one) for one in rows["fields"].to_list()], dtype=pl.String)
    found = (
        _compare("p", rows["pair_id"], [_quoted(rows["query_id"]), _quoted(rows["doc_id"])]),
        _compare("q", rows["query_id"], [_text(rows["query"])]),
        _compare("d", rows["doc_id"], [_text(rows["title"]), _text(rows["body"]), fields]),
    )
    wrong = {held: right for one in found for held, right in one.wrong.items()}
    return Derived(wrong, sum(one.n_given for one in found))


def _compare(prefix: str, ids: pl.Series, parts: list[pl.Series]) -> Derived:
    """Derive ids from the canonical JSON of lists, made of their members' JSON."""
    between = [piece for place, part in enumerate(parts) for piece in (pl.lit("," if place else "["), pl.lit(part))]
    texts = pl.select(pl.concat_str(*between, pl.lit("]"))).to_series().to_list() if len(ids) else []
    n_given, wrong = 0, {}
    sha256, is_hash = hashlib.sha256, _HASHED.fullmatch
    for held, text in zip(ids.to_list(), texts, strict=True):
        derived = sha256(text.encode()).hexdigest()[:ID_HEX_DIGITS]
        if held[2:] == derived and held[:2] == f"{prefix}_":
            continue
        if is_hash(held):
            wrong[held] = f"{prefix}_{derived}"
        else:
            n_given += 1
    return Derived(wrong, n_given)


def _text(texts: pl.Series) -> pl.Series:
    """Return each text's JSON, normal as ids are made of it: NFC, runs of blanks as one, trimmed."""
    return _quoted(_where(texts, _NOT_NORMAL, _normal))


def _quoted(texts: pl.Series) -> pl.Series:
    escaped = _where(texts, _NOT_JSON, lambda some: some.str.replace_many(list(_ESCAPES), list(_ESCAPES.values())))
    return pl.select(pl.concat_str(pl.lit('"'), pl.lit(escaped), pl.lit('"'))).to_series() if len(texts) else texts


def _normal(texts: pl.Series) -> pl.Series:
    return texts.str.normalize("NFC").str.replace_all(_BLANK, " ").str.strip_chars(" ")


def _where(texts: pl.Series, pattern: str, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Return texts with those changed in which a pattern is found."""
    is_found = texts.str.contains(pattern)
    if not is_found.any():
        return texts
    places = pl.concat([(~is_found).arg_true(), is_found.arg_true()])
    return pl.concat([texts.filter(~is_found), change(texts.filter(is_found))]).gather(places.arg_sort())


@lru_cache(maxsize=1 << 14)
def _canonical(fields: str) -> str:
    """Return fields as ids are made of them; what is no JSON is given back, and makes another id."""
    try:
        return canonical_json(json.loads(fields))
    except (ValueError, RecursionError):
        return fields


def told(wrong: Mapping[str, str], prefixes: Iterable[str] = "pqd") -> list[str]:
    """Return a sentence for each kind of id that is wrong, with the first and what it should be."""
    names = {"p": "pair", "q": "query", "d": "doc"}
    said = []
    for prefix in prefixes:
        of_kind = sorted(one for one in wrong if one[0] == prefix)
        if of_kind:
            first = of_kind[0]
            said.append(
                f"{len(of_kind)} {names[prefix]} ids are not those of what they name, such as {first}, whose content "
                f"is {wrong[first]}"
            )
    return said

"""Derive the ids of pairs, queries and docs from the texts beside them, by the column, and tell which do not fit.

Ids that are no hashes of content (given by hand, as in tests and imports of old) are counted and not judged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache

import polars as pl

from storage.ids import ID_HEX_DIGITS, canonical_json

ID_COLUMNS = ("pair_id", "query_id", "doc_id", "query", "title", "body", "fields")
_HASHED = r"^{prefix}_[0-9a-f]{{16}}$"
_BLANK = r"[\s\x1c-\x1f\x85]+"  # what Python's str.split parts by
# What JSON escapes; nearly all texts have none of the rare ones.
_ESCAPES = {char: json.dumps(char)[1:-1] for char in ['"', "\\", *map(chr, range(32))]}
_Ids = dict[str, str]


class IdChecks:
    """Ids seen so far: `wrong` is a pair, query or doc id -> the id its content has; `n_given` are no hashes."""

    def __init__(self) -> None:
        self.wrong: dict[str, str] = {}
        self.n_given = 0
        self._queries: dict[str, int] = {}
        self._docs: dict[str, int] = {}

    def look_at(self, rows: pl.DataFrame) -> None:
        """Check the ids of rows (columns `ID_COLUMNS`); a query or doc that was seen with these texts is not hashed."""
        pairs = rows.select("pair_id", "query_id", "doc_id")
        self._compare("p", pairs["pair_id"], _array(_quoted("query_id"), _quoted("doc_id")), pairs)
        queries = _unseen(rows.select("query_id", "query"), "query_id", self._queries)
        self._compare("q", queries["query_id"], _array(_text("query")), queries)
        docs = _unseen(rows.select("doc_id", "title", "body", "fields"), "doc_id", self._docs)
        fields = docs["fields"].unique().to_list()
        docs = docs.with_columns(pl.col("fields").replace_strict(fields, [_canonical(one) for one in fields]))
        self._compare("d", docs["doc_id"], _array(_text("title"), _text("body"), pl.col("fields")), docs)

    def _compare(self, prefix: str, ids: pl.Series, content: pl.Expr, rows: pl.DataFrame) -> None:
        is_hash = ids.str.contains(_HASHED.format(prefix=prefix))
        self.n_given += int((~is_hash).sum())
        texts = rows.filter(is_hash).select(content.alias("content")).to_series().to_list()
        for held, text in zip(ids.filter(is_hash).to_list(), texts, strict=True):
            derived = hashlib.sha256(text.encode()).hexdigest()[:ID_HEX_DIGITS]
            if held[2:] != derived:
                self.wrong[held] = f"{prefix}_{derived}"


def _unseen(rows: pl.DataFrame, column: str, seen: dict[str, int]) -> pl.DataFrame:
    """Return the rows whose id was not seen with these texts, each once."""
    rows = rows.unique(maintain_order=True)
    hashes = rows.hash_rows(seed=1).to_list()
    ids = rows[column].to_list()
    is_new = [seen.get(one) != found for one, found in zip(ids, hashes, strict=True)]
    seen.update(zip(ids, hashes, strict=True))
    return rows.filter(pl.Series(is_new, dtype=pl.Boolean))


def _array(*parts: pl.Expr) -> pl.Expr:
    """Return the canonical JSON of a list whose members are JSON already."""
    between = [part for one in parts for part in (pl.lit(","), one)][1:]
    return pl.concat_str(pl.lit("["), *between, pl.lit("]"))


def _text(column: str) -> pl.Expr:
    """Return a text's JSON, normal as ids are made of it: NFC, runs of blanks as one, trimmed."""
    normal = pl.col(column).str.normalize("NFC").str.replace_all(_BLANK, " ").str.strip_chars(" ")
    return _in_quotes(normal)


def _quoted(column: str) -> pl.Expr:
    return _in_quotes(pl.col(column))


def _in_quotes(text: pl.Expr) -> pl.Expr:
    escaped = text.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))
    return pl.concat_str(pl.lit('"'), escaped, pl.lit('"'))


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

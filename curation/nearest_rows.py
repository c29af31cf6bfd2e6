"""The training rows most like a pair: what a model may have had in mind when it said what it said of it.

Likeness is the mean of two Jaccard indexes, that of the queries' words and that of the docs' words (scripts without
spaces by character bigrams). It is a view of the texts, not of the model: it says what the model was shown that reads
like this pair, not what it made of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.completion import CITATION
from curation.text import content_terms, tokenize
from storage.store import Store

N_NEAREST = 5
N_QUERIES_READ = 300  # that share words; of them those most alike go on
N_QUERIES = 12
N_ROWS = 1_000
N_READ_WHOLE = 40  # of whose docs more than the title is compared


@dataclass(frozen=True, slots=True)
class NearRow:
    """A training row: how alike it is (0 to 1), what it says, and the rules its rationale cites."""

    pair_id: str
    likeness: float
    query: str
    title: str
    tier: int
    grade: int
    rule_ids: tuple[str, ...]


def nearest_rows(
    store: Store,
    *,
    query: str,
    title: str,
    body: str,
    snapshot_id: str,
    tiers: Collection[int] | None,
    besides: str,
) -> list[NearRow]:
    """Return the rows of a snapshot's tiers (None: all) most like a pair, the most alike first, the pair itself aside.

    Only rows whose query shares a word with the pair's are looked at.
    """
    wanted = set(tokenize(query))
    found = store.read("train_queries_with_words", words=content_terms(tokenize(query)), n=N_QUERIES_READ).to_pylist()
    likeness = {row["query_id"]: _jaccard(wanted, set(tokenize(row["text"]))) for row in found}
    texts = {row["query_id"]: row["text"] for row in found}
    closest = sorted(likeness, key=lambda query_id: (-likeness[query_id], query_id))[:N_QUERIES]
    if not closest:
        return []
    rows = [
        row
        for row in store.read("train_rows_of_queries", query_ids=closest, snapshot_id=snapshot_id, n=N_ROWS).to_pylist()
        if row["pair_id"] != besides and (tiers is None or row["tier"] in tiers)
    ]
    own_title, own_words = set(tokenize(title)), set(tokenize(f"{title} {body}"))

    def by_title(row: Mapping[str, Any]) -> float:
        return (likeness[row["query_id"]] + _jaccard(own_title, set(tokenize(row["title"])))) / 2

    short = sorted(rows, key=lambda row: (-by_title(row), row["pair_id"]))[:N_READ_WHOLE]
    read = store.read("bodies_of_docs", doc_ids=[row["doc_id"] for row in short]).to_pylist()
    bodies = {row["doc_id"]: row["body"] for row in read}

    def by_doc(row: Mapping[str, Any]) -> float:
        words = set(tokenize(f"{row['title']} {bodies[row['doc_id']]}"))
        return (likeness[row["query_id"]] + _jaccard(own_words, words)) / 2

    scored = [(by_doc(row), row) for row in short]
    chosen = sorted(scored, key=lambda one: (-one[0], one[1]["pair_id"]))[:N_NEAREST]
    says = _what_they_say(store, [row for _, row in chosen])
    return [
        NearRow(
            row["pair_id"],
            score,
            texts[row["query_id"]],
            row["title"],
            row["tier"],
            says[row["judgment_id"]]["grade"],
            tuple(dict.fromkeys(CITATION.findall(says[row["judgment_id"]]["steps"] or ""))),
        )
        for score, row in chosen
        if row["judgment_id"] in says
    ]


def _what_they_say(store: Store, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    asked = {
        "judgment_ids": [row["judgment_id"] for row in rows],
        "candidate_ids": [row["candidate_id"] for row in rows if row["candidate_id"]],
    }
    return {row["judgment_id"]: row for row in store.read("train_row_says", **asked).to_pylist()}


def _jaccard(first: set[str], second: set[str]) -> float:
    return len(first & second) / len(first | second) if first or second else 0.0

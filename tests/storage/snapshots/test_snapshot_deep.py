"""What a snapshot states beyond its own files: ids of texts, and a lineage that resolves in the store."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.ingest import doc_id_of, pair_id_of, query_id_of
from storage.clock import now
from storage.snapshots.cutting import TierSpec
from storage.snapshots.deep import verify_deeply
from storage.snapshots.derived_ids import Derived, derive_ids, told
from storage.store import Store
from tests.storage.conftest import Cut, People, sample_rows

TEXTS = [
    ("red sofa", "Sofa", "a body\nof two lines", '{"colour": "red"}'),
    ("  rote\u00a0 Schuhe ", 'a "quoted" \\ title', "", "{}"),
    ("红色 鞋", "e\u0301te\u0301 ⁣\u2028", "tab\tand \x1c sign \x07", '{"b": "2", "a": "é"}'),
    ("حذاء أحمر", "😀 emoji", "x" * 10_000, "{}"),
]


def named_rows(texts: list[tuple[str, str, str, str]]) -> pl.DataFrame:
    """Return rows whose ids are those that an ingest gives them."""
    rows = []
    for query, title, body, fields in texts:
        query_id, doc_id = query_id_of(query), doc_id_of(title, body, json.loads(fields))
        rows.append(
            {
                "pair_id": pair_id_of(query_id, doc_id),
                "query_id": query_id,
                "doc_id": doc_id,
                "query": query,
                "title": title,
                "body": body,
                "fields": fields,
            }
        )
    return pl.DataFrame(rows)


def test_the_ids_that_an_ingest_gives_are_derived_from_their_texts() -> None:
    assert derive_ids(named_rows(TEXTS)) == Derived({}, 0)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(text, text, text), min_size=1, max_size=4))
def test_ids_of_any_texts_are_derived(texts: list[tuple[str, str, str]]) -> None:
    rows = named_rows([(query, title, body, "{}") for query, title, body in texts])
    assert derive_ids(rows) == Derived({}, 0)


def test_ids_of_every_single_character_are_derived() -> None:
    """Alone, and after a letter that marks and Hangul vowels join."""
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000 and chr(code).isprintable()]
    odd = [one for one in characters if len({unicodedata.normalize(form, f"x{one}") for form in ("NFC", "NFD")}) > 1]
    joined = [f"{first}{one}" for one in odd for first in "a가\u1100"]
    queries = [*(f"x{one}" for one in odd), *joined, *(chr(code) for code in range(0x3100))]
    rows = named_rows([(query, "t", "", "{}") for query in queries])
    assert len(odd) > 2000 and derive_ids(rows) == Derived({}, 0)


@pytest.mark.parametrize(
    ("column", "value", "kinds"),
    [
        ("query", "blue sofa", "q"),
        ("body", "another body", "d"),
        ("fields", '{"colour": "blue"}', "d"),
        ("fields", "no JSON", "d"),
        ("query_id", "q_0123456789abcdef", "pq"),
    ],
)
def test_an_id_that_is_not_of_its_texts_is_told(column: str, value: str, kinds: str) -> None:
    """The row stands twice, right and then changed: that the id was right once lets no other texts pass."""
    rows = named_rows(TEXTS[:1])
    found = derive_ids(pl.concat([rows, rows.with_columns(pl.lit(value).alias(column))]))
    assert sorted({one[0] for one in found.wrong}) == sorted(kinds)
    assert len(told(found.wrong)) == len(kinds)


def test_ids_that_were_given_are_counted_and_not_judged() -> None:
    rows = named_rows(TEXTS[:1]).with_columns(pl.lit("p_1").alias("pair_id"))
    assert derive_ids(rows) == Derived({}, 1)


STAMP = {"run_id": "run_1", "created_at": now()}


def rows_and_lineage() -> tuple[pa.Table, pa.Table]:
    """Return four train rows of grade 2 by one reviewer, of candidates c_0 to c_3, and where they come from."""
    names = named_rows(TEXTS)
    of_sample = sample_rows().to_pylist()[1]
    rows = [{**of_sample, **row, "grade": 2, "rule_ids": []} for row in names.to_dicts()]
    lineage = [
        {"pair_id": row["pair_id"], "judgment_id": f"j_{n}", "candidate_id": f"c_{n}", "reviewers": ["person r"]}
        for n, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(rows), pa.Table.from_pylist(lineage)


def registered(
    store: Store, cut: Cut, folder: Path, judged: dict[int, Any] | None = None, candidate: dict[str, Any] | None = None
) -> Path:
    """Cut the rows and put them and what they come from into the store; `judged` changes the first judgment."""
    rows, lineage = rows_and_lineage()
    manifest = cut(rows=rows, lineage=lineage, tiers=[TierSpec(1, "all", "true")], rule_book=[])
    directory = folder / manifest.snapshot_id
    held = pl.read_parquet(directory / "lineage.parquet")
    judgments, candidates, members = [], [], []
    for n, row in enumerate(held.sort("judgment_id").to_dicts()):
        judgment = {"judgment_id": f"j_{n}", "pair_id": row["pair_id"], "grade": 2, "origin": "consensus"}
        judgments.append(
            {**judgment, "response_ids": [], "is_replayed": False, **STAMP, **((judged or {}) if not n else {})}
        )
        proposal = {"candidate_id": f"c_{n}", "pair_id": row["pair_id"], "grade": 2, "steps": "[]", "rule_ids": []}
        candidates.append({**proposal, "proposer": "x", **STAMP, **((candidate or {}) if not n else {})})
        members.append(
            {
                "tier_member_id": f"tm_{n}",
                "snapshot_id": manifest.snapshot_id,
                "tier": 1,
                "pair_id": row["pair_id"],
                "row_hash": row["row_hash"],
                "judgment_id": f"j_{n}",
                "candidate_id": f"c_{n}",
            }
        )
    account = {"account_event_id": "a_1", "account": "rex", "role": "reviewer", "public_key": "0" * 64}
    store.append(
        {
            "judgments": judgments,
            "candidates": candidates,
            "tier_members": members,
            "accounts": [{**account, "pseudonym": "person r", "by_account": "ada", "created_at": now()}],
        }
    )
    return directory


def problems(directory: Path, people: People, store: Store | None) -> list[str]:
    return [str(problem) for problem in verify_deeply(directory, people.pins, store).verification.problems]


def test_a_lineage_that_resolves_has_no_problem(cut: Cut, people: People, store: Store, tmp_path: Path) -> None:
    directory = registered(store, cut, tmp_path / "snapshots")
    found = verify_deeply(directory, people.pins, store)
    assert (found.verification.problems, found.not_looked_at) == ((), ())


@pytest.mark.parametrize(
    ("judged", "candidate", "what"),
    [
        ({"judgment_id": "j_other"}, None, "1 rows name a judgment the store does not hold"),
        ({"pair_id": "p_other"}, None, "1 judgments are of another pair"),
        ({"grade": 0}, None, "1 rows have another grade than their judgment"),
        ({"origin": "adjudicated"}, None, "1 rows have another origin than their judgment"),
        (None, {"pair_id": "p_other"}, "1 rows name a candidate that the store does not hold, or of another pair"),
        (None, {"candidate_id": "c_other"}, "1 rows name a candidate that the store does not hold, or of another pair"),
    ],
)
def test_each_way_a_lineage_does_not_resolve_is_told(
    cut: Cut, people: People, store: Store, tmp_path: Path, judged: Any, candidate: Any, what: str
) -> None:
    directory = registered(store, cut, tmp_path / "snapshots", judged, candidate)
    (problem,) = problems(directory, people, store)
    assert problem.startswith(f"lineage.parquet: {what}, such as of pair p_")


def test_a_register_that_lacks_the_rows_and_a_stranger_are_told(
    cut: Cut, people: People, store: Store, tmp_path: Path
) -> None:
    rows, lineage = rows_and_lineage()
    manifest = cut(rows=rows, lineage=lineage, tiers=[TierSpec(1, "all", "true")], rule_book=[])
    found = problems(tmp_path / "snapshots" / manifest.snapshot_id, people, store)
    assert len(found) == 2
    assert "4 rows are not in the store's register: the cut was stopped before its last step" in found[0]
    assert "4 answers are by people the workspace does not know" in found[1]


def test_rows_of_other_texts_than_their_ids_say_are_told(cut: Cut, people: People, tmp_path: Path) -> None:
    """Such a snapshot is whole by itself: its hashes are over what it holds."""
    rows, lineage = rows_and_lineage()
    titles = pa.array(["another title", *rows.column("title").to_pylist()[1:]])
    changed = rows.set_column(rows.column_names.index("title"), "title", titles)
    manifest = cut(rows=changed, lineage=lineage, tiers=[TierSpec(1, "all", "true")], rule_book=[])
    (problem,) = problems(tmp_path / "snapshots" / manifest.snapshot_id, people, None)
    assert problem.startswith("manifest.json: 1 doc ids are not those of what they name, such as d_")


def test_away_from_the_store_it_says_what_it_did_not_see(cut: Cut, people: People, tmp_path: Path) -> None:
    manifest = cut()
    found = verify_deeply(tmp_path / "snapshots" / manifest.snapshot_id, people.pins, None)
    assert found.verification.problems == ()
    assert [one.split(":")[0] for one in found.not_looked_at] == [
        "the store",
        "18 ids that are no hashes of content, so nothing can be derived",
    ]


def test_an_altered_snapshot_is_looked_at_no_deeper(cut: Cut, people: People, tmp_path: Path) -> None:
    directory = tmp_path / "snapshots" / cut().snapshot_id
    (directory / "lineage.parquet").write_bytes(b"x")
    found = verify_deeply(directory, people.pins, None)
    assert found.verification.problems[0].path == "lineage.parquet"
    assert found.not_looked_at == ("ids and lineage: the files are not what the manifest names",)

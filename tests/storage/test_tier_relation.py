"""What tiers are cut from is read in one moment, and says which judgments answers stand against."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from storage.process.owner import Owner
from storage.reads.tier_relation import DISPUTED_SQL, PAIRS_SQL, UNSCREENED_SQL, WITHOUT_FEATURES_SQL
from storage.sql.console import run_query
from storage.store import Store, as_table
from tests.storage.process.store_rows import AT, answer, shop


def judgment(
    number: int, *, origin: str = "import:s", grade: int = 1, rests_on: list[str] | None = None
) -> dict[str, Any]:
    return {
        "judgment_id": f"j_{number}_{origin}",
        "pair_id": f"p_{number:016x}",
        "grade": grade,
        "origin": origin,
        "response_ids": rests_on or [],
        "is_replayed": False,
        "run_id": "run_1",
        "created_at": AT,
    }


def held_back_query(name: str) -> dict[str, Any]:
    return {
        "query_id": f"q_{name}",
        "text": name,
        "root_query_id": f"q_{name}",
        "split": "dev",
        "source": "s",
        "run_id": "run_1",
        "created_at": AT,
    }


def docs(n: int) -> list[dict[str, Any]]:
    stamp = {"source": "s", "run_id": "run_1", "created_at": AT}
    return [{"doc_id": f"d_{number:016x}", "title": "t", "body": "", "fields": "{}", **stamp} for number in range(n)]


def rule(rule_id: str) -> dict[str, Any]:
    stamp = {"origin": "lexical", "run_id": "run_1", "created_at": AT}
    return {"rule_id": rule_id, "text": "t", "condition": "term_overlap > 0", "grade": 1, **stamp}


def tables(**rows: list[dict[str, Any]]) -> dict[str, pa.Table]:
    return {table: as_table(held) for table, held in rows.items()}


def parts(reader: pa.RecordBatchReader, *first: pa.RecordBatch) -> dict[str, int]:
    seen = pa.Table.from_batches([*first, *reader], reader.schema)
    return dict(Counter(seen.column("part").to_pylist()))


@pytest.mark.parametrize("name", ["tier_relation", "tier_facts"])
def test_what_is_committed_while_the_relation_is_read_is_in_no_part_of_it(tmp_path: Path, name: str) -> None:
    """A judgment, a query and a rule come in one commit after the first rows were taken: none of them is seen."""
    owner = Owner(tmp_path)
    owner.fold([owner.admit(tables(**shop(3), docs=docs(3), judgments=[judgment(0)]))])
    with owner.answering(name, {}, sees_test=True) as reader:
        first = reader.read_next_batch()
        late = tables(judgments=[judgment(1)], queries=[held_back_query("late")], rules=[rule("r_late")])
        assert owner.fold([owner.admit(late)]) == [{"judgments": 1, "queries": 1, "rules": 1}]
        assert parts(reader, first) == {"judged": 1}
    with owner.answering(name, {}, sees_test=True) as reader:
        assert parts(reader) == {"judged": 2, "held_back": 1, "rule": 1}
    owner.close()


# origin of the judgment of grade 1, answers (account, grade; None: cannot tell), whether it rests on ana's, disputed
STANDS_AGAINST = [
    ("import:s", [], False, False),
    ("import:s", [("ana", 1)], False, False),
    ("import:s", [("ana", 2)], False, True),
    ("import:s", [("ana", 0), ("bo", 2)], False, True),
    ("import:s", [("ana", None)], False, True),
    ("consensus", [("ana", 1)], True, False),
    ("consensus", [("ana", 1), ("bo", 2)], True, True),
    ("consensus", [("ana", 2)], True, False),  # a majority's judgment rests on the answer it overrode
    ("adjudicated", [("ana", 0), ("bo", 2)], False, False),
]


@pytest.mark.parametrize(("origin", "answers", "rests_on_ana", "is_disputed"), STANDS_AGAINST)
def test_an_answer_that_a_judgment_does_not_rest_on_and_that_differs_stands_against_it(
    store: Store, origin: str, answers: list[tuple[str, int | None]], rests_on_ana: bool, is_disputed: bool
) -> None:
    given = [
        answer(0, who, act="cannot_tell") if grade is None else answer(0, who, grade=grade) for who, grade in answers
    ]
    rests_on = [given[0]["response_id"]] if rests_on_ana else []
    store.append({**shop(1), "docs": docs(1)})
    store.append({"responses": given})
    store.append({"judgments": [judgment(0, origin=origin, rests_on=rests_on)]})
    assert store.read("tier_facts").column("is_disputed").to_pylist() == [is_disputed]
    shown = run_query(store.publish(), DISPUTED_SQL).table
    assert shown.column("answered").to_pylist() == [
        grade for who, grade in answers if is_disputed and grade != 1 and not (rests_on_ana and who == "ana")
    ]


def test_the_queries_that_show_what_is_in_the_way_show_it(store: Store) -> None:
    """Of three settled pairs one has a candidate that no screen saw, and none has features."""
    held = shop(3)
    store.append({**held, "screenings": held["screenings"][1:], "docs": docs(3)})
    store.append({"judgments": [judgment(number) for number in range(3)]})
    assert store.read("tier_facts").column("n_unscreened").to_pylist().count(1) == 1
    copy = store.publish()
    assert run_query(copy, UNSCREENED_SQL).table.column("candidate_id").to_pylist() == [f"c_{0:016x}"]
    assert run_query(copy, WITHOUT_FEATURES_SQL).table.num_rows == 3
    asked = run_query(copy, PAIRS_SQL.format(ids=f"'p_{1:016x}'")).table
    assert asked.to_pylist() == [
        {"pair_id": f"p_{1:016x}", "split": "train", "query_id": "q_00000000000000aa", "query": "red sofa"}
    ]

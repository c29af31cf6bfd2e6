"""Kept answers: never older than what is committed, and only of reads for which that can be told."""

from __future__ import annotations

import pyarrow as pa

from storage.clock import now
from storage.process.answering import PARAMETER
from storage.process.kept_answers import KeptAnswers
from storage.reads import READS
from storage.rows import GradeRow
from storage.store import Store

OLD, NEW = pa.table({"grade": [0]}), pa.table({"grade": [0, 1]})


def test_a_committed_row_is_in_the_next_answer(store: Store) -> None:
    before = store.read("scale").num_rows
    assert store.read("scale").num_rows == before  # the kept one
    store.append({"grades": [GradeRow(grade_id="g_new", grade=7, name="beyond", created_at=now())]})
    assert store.read("scale").column("name").to_pylist()[-1] == "beyond"


def test_an_answer_read_before_a_commit_is_not_kept() -> None:
    kept = KeptAnswers()
    age = kept.age
    kept.forget(["grades"])
    kept.keep("scale", OLD, age=age)
    assert kept.find("scale") is None
    kept.keep("scale", NEW, age=kept.age)
    assert kept.find("scale") == NEW


def test_rows_of_other_tables_leave_an_answer_where_it_is() -> None:
    kept = KeptAnswers()
    kept.keep("scale", NEW, age=kept.age)
    kept.forget(["responses", "leases"])
    assert kept.find("scale") == NEW
    kept.forget(["accounts"])
    assert kept.find("scale") == NEW


def test_only_small_steady_reads_of_everybody_are_kept() -> None:
    kept = {name: read for name, read in READS.items() if read.made_of}
    assert set(kept) == {"scale", "accounts"}
    for name, read in kept.items():
        assert read.is_steady and not read.shows_test and not read.finds and not PARAMETER.findall(read.sql), name

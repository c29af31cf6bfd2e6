"""More rows than a row group of DuckDB's (122,880) in one transaction: all that two threads insert must be there."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from benchmarks import store_rows
from benchmarks.store_rows import Sizes, Texts
from storage.process.owner import Owner
from storage.store import Store

N = 150_000


@pytest.fixture
def stocked(tmp_path: Path) -> Store:
    """A store with a candidate on each of many pairs, none of them screened, so that none of them is in the queue."""
    sizes, numbers, texts = Sizes.of(N), np.arange(N, dtype=np.uint64), Texts(1)
    store = Store.embedded(tmp_path)
    store.append({"queries": store_rows.queries(texts, np.arange(sizes.n_queries, dtype=np.uint64))})
    store.append({"pairs": store_rows.pairs(sizes, numbers)})
    short = store_rows.candidates(Texts(2), numbers[:1]).drop_columns(["candidate_id", "pair_id"])
    repeated = short.take(pa.array(np.zeros(N, np.int64)))
    store.append(
        {
            "candidates": repeated.append_column("candidate_id", store_rows.ids("c", numbers)).append_column(
                "pair_id", store_rows.ids("p", numbers)
            )
        }
    )
    return store


def statuses(store: Store) -> dict[str, int]:
    rows = store.read("counts").to_pylist()
    return {row["which"]: row["n"] for row in rows if row["what"] == "candidates"}


def test_a_rebuild_of_many_candidates_finds_them_as_they_are(stocked: Store) -> None:
    before = statuses(stocked)
    assert sum(before.values()) == N
    assert stocked.rebuild() == {"candidate_status": 0}
    assert statuses(stocked) == before


def test_a_rebuild_mends_what_was_altered_and_keeps_the_rest(stocked: Store, tmp_path: Path) -> None:
    stocked.close()

    with duckdb.connect(str(tmp_path / "afrel.duckdb")) as connection:
        connection.execute("update candidate_status set status = 'settled' where rowid % 3 = 0").fetchall()
    again = Store.embedded(tmp_path)
    assert again.rebuild() == {"candidate_status": N // 3}
    assert statuses(again) == {"proposed": N}
    assert again.rebuild() == {"candidate_status": 0}
    again.close()


def test_a_rebuild_while_a_copy_is_being_published_rebuilds_the_stores_own(stocked: Store, tmp_path: Path) -> None:
    stocked.close()
    owner = Owner(tmp_path)
    cursor = owner._connection.cursor()
    cursor.execute("attach ':memory:' as published").fetchall()
    cursor.execute("create table published.candidate_status (candidate_id varchar)").fetchall()
    assert owner.rebuild() == {"candidate_status": 0}
    owner.close()

"""Named reads: every one runs, and those that find rows by index say the same as a scan would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from storage.process.places import ALSO_INDEXED
from storage.reads import READS
from storage.store import Store
from tests.storage.process.store_rows import answer, shop

GIVEN: dict[str, Any] = {"ids": ["x"], "snapshot_ids": ["x"], "n": 3, "seed": 1, "after_place": -1}


@pytest.mark.parametrize("name", sorted(READS))
def test_every_named_read_runs_on_an_empty_store(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    read = READS[name]
    words = set(re.findall(r"\$(\w+)", read.sql)) | {
        parameter for _, parameter in read.finds.values() if "." not in parameter
    }
    with Store.embedded(_empty(tmp_path_factory), sees_test=True) as store:
        store.read(name, **{word: GIVEN.get(word, "x") for word in words})


_FOLDERS: list[Path] = []


def _empty(factory: pytest.TempPathFactory) -> Path:
    if not _FOLDERS:
        _FOLDERS.append(factory.mktemp("empty"))
    return _FOLDERS[0]


NAMES = {"queries": "query_id", "pair_features": "pair_id"}


@pytest.mark.parametrize("name", sorted(name for name, read in READS.items() if read.finds))
def test_a_read_that_finds_rows_names_an_index_and_a_place_for_them(name: str) -> None:
    found: set[str] = set()
    for table, (column, parameter) in READS[name].finds.items():
        other, _, own = column.rpartition(".")
        assert own in ALSO_INDEXED.get(other or table, ()) or own == NAMES.get(table, f"{(other or table)[:-1]}_id")
        assert other in ("", table) or (table, other) == ("candidate_status", "candidates")  # whose rows are aligned
        assert "." not in parameter or parameter.split(".")[0] in found
        found.add(table)
        assert f"{{{table}}}" in READS[name].sql


def test_what_is_found_by_index_is_what_a_scan_finds(store: Store) -> None:
    store.append(shop(5))
    store.append({"responses": [answer(n, who) for n in range(5) for who in ("ana", "bo")]})
    (chain,) = store.read("why_candidate", id=f"c_{3:016x}").to_pylist()
    assert chain == {"pair_id": f"p_{3:016x}"}
    found = store.read("why_candidates", id=f"p_{3:016x}")["candidate_id"].to_pylist()
    assert found == [f"c_{3:016x}"]
    assert store.read("why_candidates", id="p_unknown").num_rows == 0

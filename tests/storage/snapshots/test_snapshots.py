"""A snapshot's id is its content and nothing else, and a cut is there whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import UserError
from storage.grades import Scale
from storage.ids import digest
from storage.snapshots.cutting import TierSpec, read_manifest, verify_snapshot
from storage.snapshots.rows import CONTENT_SCHEMA, conform, hash_rows
from tests.storage.conftest import RULE_BOOK, SCALE, TIERS, Cut, People, sample_lineage, sample_rows

ROWS = sample_rows().to_pylist()


def test_the_directory_holds_what_the_layout_says(cut: Cut, tmp_path: Path) -> None:
    manifest = cut()
    directory = tmp_path / "snapshots" / manifest.snapshot_id
    files = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    assert files == {
        "manifest.json",
        "provenance.json",
        "revocations.json",
        "lineage.parquet",
        "data/tier_1/train-00000-of-00001.parquet",
        "data/tier_1/dev-00000-of-00001.parquet",
        "data/tier_1/test-00000-of-00001.parquet",
        "data/tier_3/train-00000-of-00001.parquet",
    }
    assert [(entry.tier, dict(entry.n_rows)) for entry in manifest.tiers] == [
        (1, {"train": 2, "dev": 1, "test": 1}),
        (3, {"train": 2, "dev": 0, "test": 0}),
    ]
    assert manifest.n_rows == 6
    assert os.listdir(tmp_path / "snapshots") == [manifest.snapshot_id]


def test_what_is_written_reads_back_the_same(cut: Cut, tmp_path: Path) -> None:
    manifest = cut()
    directory = tmp_path / "snapshots" / manifest.snapshot_id
    assert read_manifest(directory).as_new() == manifest
    tables = [pq.ParquetFile(path).read() for path in sorted(directory.rglob("data/**/*.parquet"))]
    rows = {row["pair_id"]: row for table in tables for row in table.to_pylist()}
    for row in sample_rows().to_pylist():
        held = rows[row["pair_id"]]
        assert held == row | {"row_hash": digest(row)}
    lineage = pq.ParquetFile(directory / "lineage.parquet").read().to_pylist()
    assert {row["row_hash"]: row["pair_id"] for row in lineage} == {row["row_hash"]: key for key, row in rows.items()}


def test_the_id_is_the_digest_of_rows_predicates_scale_and_rule_book(cut: Cut) -> None:
    content = {
        "rows": sorted(digest(row) for row in sample_rows().to_pylist()),
        "tiers": [[1, "grade in (0, 2)"], [3, "is_revised"]],
        "scale": {"values": [0, 1, 2], "names": ["irrelevant", "partly", "fully"]},
        "rule_book": [RULE_BOOK[1], RULE_BOOK[0]],
    }
    assert cut().snapshot_id == "snap_" + digest(content)[:12]


def test_the_order_of_rows_columns_tiers_and_rules_and_who_cuts_change_nothing(cut: Cut, tmp_path: Path) -> None:
    rows = sample_rows().take([5, 3, 1, 0, 2, 4]).select(sorted(CONTENT_SCHEMA.names))
    first = cut(folder=tmp_path / "a")
    second = cut(
        folder=tmp_path / "b",
        by="ada",
        rows=rows,
        tiers=TIERS[::-1],
        rule_book=RULE_BOOK[::-1],
        provenance={"code_version": "other"},
    )
    assert first.snapshot_id == second.snapshot_id
    assert [entry.digest for entry in first.tiers] == [entry.digest for entry in second.tiers]


def test_the_name_of_a_tier_and_the_lineage_are_outside_the_id(cut: Cut, tmp_path: Path) -> None:
    lineage = sample_lineage().append_column("run_ids", pa.array([["run_1"]] * 6))
    named = [TierSpec(spec.tier, "other", spec.predicate) for spec in TIERS]
    assert (
        cut(folder=tmp_path / "a").snapshot_id == cut(folder=tmp_path / "b", tiers=named, lineage=lineage).snapshot_id
    )


CHANGES = {
    "a grade": {"rows": sample_rows().set_column(9, "grade", pa.array([0, 2, 2, 0, 1, 1]))},
    "a predicate": {"tiers": [TierSpec(1, "clear", "true"), TIERS[1]]},
    "the scale": {"scale": Scale((0, 1, 2), ("no", "partly", "fully"))},
    "a rule": {"rule_book": [RULE_BOOK[0], RULE_BOOK[1] | {"text": "other"}]},
    "no rules": {"rule_book": []},
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_part_of_the_content_changes_the_id(cut: Cut, change: str) -> None:
    assert cut(**CHANGES[change]).snapshot_id != cut().snapshot_id


def test_the_same_content_is_cut_once(cut: Cut, tmp_path: Path) -> None:
    first, second = cut(), cut(by="ada", provenance={"code_version": "later"})
    assert (first.is_new, second.is_new) == (True, False)
    assert second.as_new() == first
    assert os.listdir(tmp_path / "snapshots") == [first.snapshot_id]


def test_cutting_over_an_altered_snapshot_is_refused(cut: Cut, tmp_path: Path) -> None:
    directory = tmp_path / "snapshots" / cut().snapshot_id
    (directory / "lineage.parquet").write_bytes(b"x")
    with pytest.raises(UserError, match=r"is there already but altered: lineage.parquet.*\. Move it away.*mv "):
        cut()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": sample_rows().drop_columns(["evidence"])}, "lack the columns .'evidence'"),
        ({"rows": sample_rows().append_column("score", pa.array([1.0] * 6))}, "'score'"),
        ({"rows": sample_rows().set_column(5, "query", pa.array([None] * 6, pa.string()))}, "nulls in .'query'"),
        ({"rows": sample_rows().set_column(1, "split", pa.array(["valid"] * 6))}, "'split': .'valid'"),
        ({"rows": sample_rows().set_column(9, "grade", pa.array([7] * 6))}, "'grade': .7"),
        ({"tiers": TIERS[:1]}, "'tier': .3"),
        ({"tiers": [*TIERS, TIERS[0]]}, r"tiers \[1, 1, 3\]"),
        ({"rows": pa.concat_tables([sample_rows(), sample_rows().slice(0, 1)])}, "a pair stands twice"),
        ({"lineage": sample_lineage().slice(1)}, "1 differ, such as p_0"),
    ],
)
def test_rows_that_are_not_a_snapshot_are_refused_and_nothing_is_left(
    cut: Cut, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cut(**changed)
    assert not (tmp_path / "snapshots").exists() or os.listdir(tmp_path / "snapshots") == []


def test_a_snapshot_without_rows_is_one_too(cut: Cut, people: People, tmp_path: Path) -> None:
    manifest = cut(rows=sample_rows().slice(0, 0), lineage=sample_lineage().slice(0, 0))
    assert manifest.n_rows == 0
    assert verify_snapshot(tmp_path / "snapshots" / manifest.snapshot_id, people.pins).problems == ()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=80, deadline=None)
@given(
    st.fixed_dictionaries(
        dict.fromkeys(CONTENT_SCHEMA.names, texts)
        | {
            "tier": st.integers(0, 9),
            "grade": st.integers(-(2**31), 2**31 - 1),
            "rule_ids": st.lists(texts, max_size=3),
        }
        | {"steps": st.none() | texts, "operator": st.none() | texts}
    )
)
def test_a_row_hash_is_the_digest_of_the_row(row: dict[str, object]) -> None:
    assert hash_rows(conform(pa.RecordBatch.from_pylist([row], schema=CONTENT_SCHEMA))).to_list() == [digest(row)]


def test_each_row_of_many_has_the_hash_it_has_alone() -> None:
    """A rare control character anywhere sends the whole batch another way."""
    rows = [row | {"body": chr(code), "rule_ids": ["a", None, chr(code)]} for code in range(160) for row in ROWS[:1]]
    hashes = hash_rows(conform(pa.RecordBatch.from_pylist(rows, schema=CONTENT_SCHEMA)))
    assert hashes.to_list() == [digest(row) for row in rows]


def test_rows_that_do_not_fit_in_memory_make_the_same_snapshot(
    cut: Cut, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [ROWS[i % 6] | {"pair_id": f"p_{i}", "tier": TIERS[i % 2].tier} for i in range(500)]
    lineage = pa.table({"pair_id": [row["pair_id"] for row in many]})
    batches = [pa.RecordBatch.from_pylist(many[i : i + 50], schema=CONTENT_SCHEMA) for i in range(0, 500, 50)]
    whole = cut(folder=tmp_path / "whole", rows=pa.Table.from_batches(batches), lineage=lineage)
    # Each batch is put on disk at once, so that every file is put together from ten times sixteen parts.
    monkeypatch.setattr("storage.snapshots.files.HELD_BYTES", 1)
    reader = pa.RecordBatchReader.from_batches(CONTENT_SCHEMA, batches[::-1])
    parted = cut(folder=tmp_path / "parted", rows=reader, lineage=lineage)
    assert parted.tiers == whole.tiers
    assert parted.snapshot_id == whole.snapshot_id
    directory = tmp_path / "parted" / parted.snapshot_id
    assert verify_snapshot(directory, people.pins).problems == ()
    assert os.listdir(tmp_path / "parted") == [parted.snapshot_id]
    for path in sorted((tmp_path / "whole").rglob("data/**/*.parquet")):
        assert pq.ParquetFile(path).read() == pq.ParquetFile(directory / path.relative_to(path.parents[2])).read()


CUT_IN_A_LOOP = """
import sys
from pathlib import Path
from tests.storage.conftest import RULE_BOOK, SCALE, TIERS, new_key, sample_lineage, sample_rows
from storage.snapshots.cutting import TierSpec, write_snapshot
for number in range(10_000):
    tiers = [TierSpec(spec.tier, spec.name, f"{spec.predicate} and {number} = {number}") for spec in TIERS]
    write_snapshot(Path(sys.argv[1]), sample_rows(), tiers, scale=SCALE, rule_book=RULE_BOOK, lineage=sample_lineage(),
                   provenance={}, cutter=new_key("cy"), pseudonym="person c")
    print("cut", flush=True)
"""


def test_a_cut_killed_at_any_moment_leaves_none_or_a_whole_one(tmp_path: Path, people: People) -> None:
    for delay in (0.001, 0.005, 0.009, 0.013):
        folder = tmp_path / str(delay)
        cutting = subprocess.Popen([sys.executable, "-c", CUT_IN_A_LOOP, str(folder)], stdout=subprocess.PIPE)
        assert cutting.stdout is not None
        assert cutting.stdout.readline() == b"cut\n"
        time.sleep(delay)
        cutting.send_signal(signal.SIGKILL)
        cutting.wait()
        cutting.stdout.close()
        whole = list(folder.glob("snap_*"))
        assert whole
        for directory in whole:
            problems = [problem.path for problem in verify_snapshot(directory, people.pins).problems]
            # The key of the killed process is pinned nowhere: that, and nothing else, is wrong.
            assert problems == ["provenance.json", "revocations.json"]
        assert len(list(folder.iterdir())) - len(whole) in (0, 1)


def test_the_manifest_on_disk_is_readable_json(cut: Cut, tmp_path: Path) -> None:
    manifest = cut()
    content = json.loads((tmp_path / "snapshots" / manifest.snapshot_id / "manifest.json").read_text())
    assert content["format"] == 1
    assert content["scale"] == {"values": list(SCALE.values), "names": list(SCALE.names)}
    assert [rule["rule_id"] for rule in content["rule_book"]] == ["r_aaaa", "r_bbbb"]

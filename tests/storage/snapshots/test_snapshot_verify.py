"""Whatever is altered, missing or added in a snapshot is named, and training from it is refused."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import UserError
from storage.snapshots.cutting import read_manifest, require_trainable, revoke, sign_tier, verify_snapshot
from storage.snapshots.rows import ROW_SCHEMA, hash_rows, to_json
from tests.storage.conftest import Cut, People, Sample, sample_rows

FILES = [
    "manifest.json",
    "provenance.json",
    "revocations.json",
    "lineage.parquet",
    "data/tier_1/train-00000-of-00001.parquet",
    "data/tier_1/dev-00000-of-00001.parquet",
    "data/tier_1/test-00000-of-00001.parquet",
    "data/tier_3/train-00000-of-00001.parquet",
    "signatures/tier_1.jo.json",
]


@pytest.fixture
def signed(sample: Sample, people: People) -> Sample:
    sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)
    sign_tier(sample.directory, 3, key=people.keys["ada"], pins=people.pins)
    return sample


def _named(directory: Path, people: People) -> set[str]:
    return {problem.path for problem in verify_snapshot(directory, people.pins).problems}


def test_a_whole_snapshot_has_no_problem_and_is_trainable(signed: Sample, people: People) -> None:
    verification = verify_snapshot(signed.directory, people.pins)
    assert verification.problems == verification.not_counted == verification.revoked == ()
    assert verification.signed_tiers == {1: ("jo",), 3: ("ada",)}
    assert verification.cutter == people.pins["cy"]
    assert require_trainable(signed.directory, people.pins) == read_manifest(signed.directory)


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _link(path: Path) -> None:
    """Move a file out of the snapshot and leave a link to it: the same bytes, until somebody changes them there."""
    elsewhere = path.parents[3] / "elsewhere"
    os.rename(path, elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("damage", [_append, _flip, Path.unlink, _link])
@pytest.mark.parametrize("path", FILES)
def test_each_file_altered_or_missing_is_named_and_refused(
    signed: Sample, people: People, path: str, damage: Callable[[Path], None]
) -> None:
    damage(signed.directory / path)
    if (path, damage) == ("signatures/tier_1.jo.json", Path.unlink):
        assert verify_snapshot(signed.directory, people.pins).signed_tiers[1] == ()
    else:
        assert path in _named(signed.directory, people)
    with pytest.raises(UserError, match=r"snapshot snap_\w+ (is altered|tier 1 is not signed)"):
        require_trainable(signed.directory, people.pins)


def test_a_folder_that_is_a_link_is_named(signed: Sample, people: People, tmp_path: Path) -> None:
    os.rename(signed.directory / "data", tmp_path / "data")
    (signed.directory / "data").symlink_to(tmp_path / "data")
    assert "data" in _named(signed.directory, people)


@pytest.mark.parametrize(
    "path", ["x", "data/tier_1/x.parquet", "data/tier_9/train-00000-of-00001.parquet", "signatures/x", ".hidden"]
)
def test_a_file_too_many_is_named(signed: Sample, people: People, path: str) -> None:
    (signed.directory / path).parent.mkdir(exist_ok=True)
    (signed.directory / path).write_bytes(b"")
    assert _named(signed.directory, people) == {path}


def _set(content: dict[str, object], path: tuple[str | int, ...], value: object) -> None:
    place: object = content
    for name in path[:-1]:
        place = place[name]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]


MANIFEST_FIELDS: dict[tuple[str | int, ...], object] = {
    ("format",): 2,
    ("snapshot_id",): "snap_000000000000",
    ("scale", "values"): [0, 1, 3],
    ("scale", "names"): ["no", "partly", "fully"],
    ("rule_book",): [],
    ("rule_book", 0, "text"): "other",
    ("rule_book", 0, "condition"): "true",
    ("rule_book", 0, "grade"): 2,
    ("tiers", 0, "tier"): 2,
    ("tiers", 0, "name"): "other",
    ("tiers", 0, "predicate"): "true",
    ("tiers", 0, "digest"): "0" * 64,
    ("tiers", 0, "n_rows", "train"): 3,
    ("tiers", 0, "n_rows", "dev"): True,
    ("tiers",): [],
    ("files",): [],
    ("files", 0, "path"): "../x",
    ("files", 0, "sha256"): "0" * 64,
    ("files", 0, "n_bytes"): 1,
    ("more",): 1,
    ("tiers", 0, "more"): 1,
    ("tiers", 0, "n_rows", "more"): 0,
}


@pytest.mark.parametrize("field", MANIFEST_FIELDS, ids=str)
def test_each_field_of_the_manifest_is_held(sample: Sample, people: People, field: tuple[str | int, ...]) -> None:
    """Also without any tier signature: the cutter's covers the manifest."""
    path = sample.directory / "manifest.json"
    content = json.loads(path.read_text())
    _set(content, field, MANIFEST_FIELDS[field])
    path.write_text(to_json(content))
    assert _named(sample.directory, people) & {"manifest.json", "provenance.json"}
    with pytest.raises(UserError, match="altered"):
        require_trainable(sample.directory, people.pins)


@pytest.mark.parametrize(
    "name", ["snapshot_id", "tier", "tier_digest", "manifest_sha256", "account", "public_key", "at", "signature"]
)
def test_each_field_of_a_signature_is_held(signed: Sample, people: People, name: str) -> None:
    path = signed.directory / "signatures/tier_1.jo.json"
    content = json.loads(path.read_text())
    path.write_text(to_json(content | {name: 7 if name == "tier" else "0" * 64}))
    assert _named(signed.directory, people) == {"signatures/tier_1.jo.json"}


@pytest.mark.parametrize("name", ["code_version", "cutter", "cutter_public_key", "at", "signature"])
def test_each_field_of_the_provenance_is_held_even_with_a_manifest_to_match(
    sample: Sample, people: People, name: str
) -> None:
    path = sample.directory / "provenance.json"
    path.write_text(to_json(json.loads(path.read_text()) | {name: "0" * 64}))
    _match(sample.directory)
    assert "provenance.json" in _named(sample.directory, people)


def _match(directory: Path) -> None:
    """Set the manifest's files to what lies there, as somebody without a key could."""
    content = json.loads((directory / "manifest.json").read_text())
    for file in content["files"]:
        held = (directory / file["path"]).read_bytes()
        file |= {"sha256": hashlib.sha256(held).hexdigest(), "n_bytes": len(held)}
    (directory / "manifest.json").write_text(to_json(content))


def _rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.ParquetFile(path).read()), path)


def _regrade(rows: pa.Table) -> pa.Table:
    return rows.set_column(10, ROW_SCHEMA.field("grade"), pa.array([1] * rows.num_rows, pa.int32()))


def _rehash(rows: pa.Table) -> pa.Table:
    rows = _regrade(rows)
    hashes = pa.array(hash_rows(pl.DataFrame(rows)).to_list())
    return rows.set_column(0, ROW_SCHEMA.field("row_hash"), hashes).sort_by("row_hash")


def _join_hashes(rows: pa.Table) -> pa.Table:
    """Two rows as one, whose hash is the text between the quotes of both: the digest's text would be the same."""
    joined = '","'.join(rows.column("row_hash").to_pylist())
    return rows.slice(0, 1).set_column(0, ROW_SCHEMA.field("row_hash"), pa.array([joined]))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_regrade, "a row is not what its hash says"),
        (_rehash, "the digest of tier 1"),
        (_join_hashes, "a row hash is none"),
        (lambda rows: rows.slice(1), "it has 1 rows, the manifest says 2"),
        (lambda rows: rows.take([1, 0]), "out of order"),
        (lambda rows: rows.take([0, 0]), "repeated"),
        (lambda rows: rows.drop_columns(["evidence"]), "its columns"),
    ],
)
def test_rows_altered_with_a_manifest_to_match_are_found(
    sample: Sample, people: People, change: Callable[[pa.Table], pa.Table], what: str
) -> None:
    _rewrite(sample.directory / "data/tier_1/train-00000-of-00001.parquet", change)
    _match(sample.directory)
    problems = verify_snapshot(sample.directory, people.pins).problems
    assert any(what in str(problem) for problem in problems)
    assert any("the cutter's signature does not fit" in str(problem) for problem in problems)


def test_the_files_of_two_tiers_swapped_are_found(signed: Sample, people: People) -> None:
    first, third = (signed.directory / f"data/tier_{tier}/train-00000-of-00001.parquet" for tier in (1, 3))
    content = first.read_bytes()
    first.write_bytes(third.read_bytes())
    third.write_bytes(content)
    assert _named(signed.directory, people) == {str(path.relative_to(signed.directory)) for path in (first, third)}


def test_a_file_that_is_no_parquet_with_a_manifest_to_match_is_found(sample: Sample, people: People) -> None:
    (sample.directory / "data/tier_1/dev-00000-of-00001.parquet").write_bytes(b"PAR1 no")
    _match(sample.directory)
    problems = verify_snapshot(sample.directory, people.pins).problems
    assert any("no readable Parquet" in str(problem) for problem in problems)


def test_another_snapshot_in_the_directory_of_this_one_is_found(sample: Sample, people: People) -> None:
    other = sample.directory.rename(sample.directory.with_name("snap_000000000000"))
    assert _named(other, people) == {"manifest.json"}


def test_training_does_not_read_test_rows_but_holds_their_file(signed: Sample, people: People) -> None:
    path = signed.directory / "data/tier_1/test-00000-of-00001.parquet"
    verification = verify_snapshot(signed.directory, people.pins, reads_test=False)
    assert verification.problems == ()
    _flip(path)
    verification = verify_snapshot(signed.directory, people.pins, reads_test=False)
    assert [problem.path for problem in verification.problems] == ["data/tier_1/test-00000-of-00001.parquet"]


def test_an_unsigned_tier_is_refused_with_the_command_that_signs_it(sample: Sample, people: People) -> None:
    snapshot_id = sample.manifest.snapshot_id
    sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)
    require_trainable(sample.directory, people.pins, tiers=[1])
    with pytest.raises(UserError) as error:
        require_trainable(sample.directory, people.pins)
    assert str(error.value) == (
        f"snapshot {snapshot_id} tier 3 is not signed (0 of 1). Sign it: afrel --as ACCOUNT sign {snapshot_id} --tier 3"
    )


def test_a_tier_that_is_not_there_is_refused(signed: Sample, people: People) -> None:
    with pytest.raises(UserError, match="has no tier 2; it has 1, 3"):
        require_trainable(signed.directory, people.pins, tiers=[2])


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path, people: People) -> None:
    with pytest.raises(UserError, match="there is no snapshot at"):
        require_trainable(tmp_path / "snap_1", people.pins)


def test_a_revoked_tier_is_refused_with_the_reason_and_the_others_train(signed: Sample, people: People) -> None:
    revoke(signed.directory, people.keys["ada"], tier=3, reason="wrong rule", pins=people.pins)
    require_trainable(signed.directory, people.pins, tiers=[1])
    with pytest.raises(UserError, match=r"tier 3 was revoked by 'ada' on \d{4}-\d\d-\d\d: wrong rule\. Cut another"):
        require_trainable(signed.directory, people.pins, tiers=[1, 3])


def test_revocations_put_back_to_an_earlier_state_are_found_by_the_workspace(signed: Sample, people: People) -> None:
    path = signed.directory / "revocations.json"
    before = path.read_bytes()
    revoke(signed.directory, people.keys["ada"], tier=None, reason="wrong rule", pins=people.pins)
    path.write_bytes(before)
    with pytest.raises(UserError, match="it was put back"):
        require_trainable(signed.directory, people.pins, known_revoked=[None])
    with pytest.raises(UserError, match="it was put back"):
        require_trainable(signed.directory, people.pins, tiers=[3], known_revoked=[3])


def test_revocations_of_another_snapshot_do_not_stand_in(
    signed: Sample, people: People, cut: Cut, tmp_path: Path
) -> None:
    other = cut(rows=sample_rows().slice(0, 6).set_column(9, "grade", pa.array([0] * 6)))
    foreign = (tmp_path / "snapshots" / other.snapshot_id / "revocations.json").read_bytes()
    (signed.directory / "revocations.json").write_bytes(foreign)
    assert _named(signed.directory, people) == {"revocations.json"}

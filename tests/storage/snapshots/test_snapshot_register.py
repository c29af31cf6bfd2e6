"""A snapshot at a glance, and how far a long check or cut is."""

from __future__ import annotations

import os

import pytest

from storage.errors import UserError
from storage.progress import Stage
from storage.snapshots.cutting import sign_tier, verify_snapshot
from storage.snapshots.signatures import sign_tiers
from storage.snapshots.verify import glance_at
from tests.storage.conftest import Cut, People, Sample

Told = list[tuple[Stage, int, int]]


def test_a_glance_reads_no_data_file_and_tells_signatures(sample: Sample, people: People) -> None:
    sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)
    for path in sample.directory.rglob("*.parquet"):
        size = path.stat().st_size
        path.write_bytes(bytes(size))
    seen = glance_at(sample.directory, people.pins)
    assert seen.problems == () and seen.signed_tiers == {1: ("jo",), 3: ()}
    assert seen.cutter == people.pins["cy"]
    assert verify_snapshot(sample.directory, people.pins).problems != ()


def test_a_glance_sees_what_is_missing_longer_or_not_its_own(sample: Sample, people: People) -> None:
    (sample.directory / "lineage.parquet").unlink()
    (sample.directory / "stray.txt").write_text("x")
    with (sample.directory / "data/tier_1/train-00000-of-00001.parquet").open("ab") as file:
        file.write(b"x")
    (sample.directory / "revocations.json").write_text("{}")
    assert {problem.path for problem in glance_at(sample.directory, people.pins).problems} == {
        "lineage.parquet",
        "stray.txt",
        "data/tier_1/train-00000-of-00001.parquet",
        "revocations.json",
    }


def test_a_folder_without_a_manifest_is_told_at_a_glance(sample: Sample, people: People) -> None:
    os.unlink(sample.directory / "manifest.json")
    seen = glance_at(sample.directory, people.pins)
    assert seen.manifest is None and [problem.path for problem in seen.problems] == ["manifest.json"]


def test_tiers_are_signed_all_or_none(sample: Sample, people: People) -> None:
    with pytest.raises(UserError, match="has no tier 2"):
        sign_tiers(sample.directory, [1, 2], key=people.keys["jo"], pins=people.pins)
    assert glance_at(sample.directory, people.pins).signed_tiers == {1: (), 3: ()}
    assert sign_tiers(sample.directory, [1, 3], key=people.keys["jo"], pins=people.pins) == [1, 3]
    assert sign_tiers(sample.directory, [1, 3], key=people.keys["jo"], pins=people.pins) == []


def test_a_check_and_a_cut_tell_how_far_they_are_up_to_the_end(sample: Sample, people: People, cut: Cut) -> None:
    checked: Told = []
    verify_snapshot(sample.directory, people.pins, watch=lambda *told: checked.append(told))
    n_bytes = sum(file.n_bytes for file in sample.manifest.files)
    assert [told for told in checked if told[0] is Stage.CHECKING_FILES][-1] == (Stage.CHECKING_FILES, n_bytes, n_bytes)
    assert checked[-1] == (Stage.CHECKING_ROWS, 6, 6)
    written: Told = []
    cut(watch=lambda *told: written.append(told))
    assert written == [(Stage.HASHING, 6, 6), (Stage.WRITING, 4, 6), (Stage.WRITING, 6, 6)]

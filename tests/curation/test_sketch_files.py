from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from curation import sketch_files
from curation.sketch_files import MAX_PARTS, keep, read_kept
from curation.sketches import Sketches, sketch


def same(one: Sketches, other: Sketches) -> bool:
    return (
        one.ids == other.ids
        and one.sets.offsets.tolist() == other.sets.offsets.tolist()
        and one.sets.tokens.tolist() == other.sets.tokens.tolist()
        and one.bands.tolist() == other.bands.tolist()
    )


def some(*ids: str) -> Sketches:
    return sketch(ids, [f"a text about {one} and nothing else" for one in ids])


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    first = sketch(["d_1", "d_2", "d_3"], ["red desk lamp", "", "城市公共图书馆 kindle"])
    keep(tmp_path / "doc", first)
    assert same(read_kept(tmp_path / "doc"), first)
    assert len(read_kept(tmp_path / "query")) == 0


def test_parts_come_together_and_many_become_one(tmp_path: Path) -> None:
    for n in range(MAX_PARTS + 3):
        keep(tmp_path, some(f"d_{n}"))
    kept = read_kept(tmp_path)
    assert sorted(kept.ids) == sorted(f"d_{n}" for n in range(MAX_PARTS + 3))
    assert len(list(tmp_path.iterdir())) == 3  # sixteen became one with the next, two more came
    rows = np.array([kept.ids.index(f"d_{n}") for n in range(MAX_PARTS + 3)])
    assert same(kept.take(rows), some(*(f"d_{n}" for n in range(MAX_PARTS + 3))))


def test_two_that_sketched_the_same_text_at_once_leave_one(tmp_path: Path) -> None:
    keep(tmp_path, some("d_1", "d_2"))
    keep(tmp_path, some("d_2", "d_3"))
    assert sorted(read_kept(tmp_path).ids) == ["d_1", "d_2", "d_3"]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "foreign"])
def test_a_damaged_part_counts_as_absent_and_goes_with_the_next_writing(tmp_path: Path, damage: str) -> None:
    keep(tmp_path, some("d_1"))
    (part,) = tmp_path.iterdir()
    keep(tmp_path, some("d_2"))
    content = bytearray(part.read_bytes())
    if damage == "cut":
        part.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        part.write_bytes(b"")
    elif damage == "changed":
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
    else:
        part.rename(tmp_path / "mine.arrow")
    left_over, under_way = tmp_path / ".0000.part", tmp_path / ".0001.part"
    for path in (left_over, under_way):
        path.write_bytes(b"half written")
    os.utime(left_over, (0, 0))
    assert read_kept(tmp_path).ids == ["d_2"]
    keep(tmp_path, some("d_1"))
    assert sorted(read_kept(tmp_path).ids) == ["d_1", "d_2"]
    assert len(list(tmp_path.glob("*.arrow"))) == 2
    assert (left_over.exists(), under_way.exists()) == (False, True)


def test_sketches_of_another_layout_count_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, some("d_1"))
    monkeypatch.setattr(sketch_files, "LAYOUT", "of another version")
    assert len(read_kept(tmp_path)) == 0

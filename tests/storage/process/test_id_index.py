"""Ids as keys with places: found again, staged rows too, whatever the ids look like."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.process.id_index import IdIndex, keys_of

HASHED = [f"c_{number:016x}" for number in range(40)]
IDS = st.one_of(
    st.integers(0, 2**64 - 1).map(lambda n: f"c_{n:016x}"),
    st.integers(0, 2**64 - 1).map(lambda n: f"a_{n:016x}"),
    st.text(max_size=20),
)


def test_the_key_of_a_hashed_id_does_not_depend_on_its_company() -> None:
    together = keys_of(pa.array(HASHED))
    alone = np.concatenate([keys_of(pa.array([text])) for text in HASHED])
    among_others = keys_of(pa.array([*HASHED, "x", "", "c_1", "一"]))[: len(HASHED)]
    assert (together == alone).all() and (together == among_others).all()
    assert len(set(together.tolist())) == len(HASHED)


def test_the_same_digits_behind_another_prefix_are_another_key() -> None:
    a, c = keys_of(pa.array([f"a_{n:016x}" for n in range(9)])), keys_of(pa.array([f"c_{n:016x}" for n in range(9)]))
    assert not set(a.tolist()) & set(c.tolist())


def test_slices_and_chunks_give_the_keys_of_their_rows() -> None:
    whole = keys_of(pa.array(HASHED))
    assert (keys_of(pa.array(HASHED).slice(7, 20)) == whole[7:27]).all()
    assert (keys_of(pa.chunked_array([HASHED[:3], HASHED[3:]])) == whole).all()
    assert (keys_of(pa.chunked_array([pa.array(HASHED, pa.large_string())])) == whole).all()
    assert len(keys_of(pa.chunked_array([], pa.string()))) == 0


@given(st.lists(IDS, max_size=60))
def test_two_ids_have_one_key_only_when_they_are_equal(ids: list[str]) -> None:
    keys = keys_of(pa.array(ids, pa.string())).tolist()
    assert len(set(keys)) == len(set(ids))
    assert dict(zip(ids, keys, strict=True)) == {text: keys_of(pa.array([text])).tolist()[0] for text in ids}


@given(
    st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=12),
    st.lists(st.integers(0, 40), unique=True, max_size=10),
)
def test_every_row_of_a_key_is_found_after_any_number_of_commits(groups: list[list[int]], asked: list[int]) -> None:
    index, place, rows = IdIndex(), 0, []
    for group in groups:
        index.stage(np.array(group, np.uint64), 1000)  # staged at a place of the open transaction
        rows += [(key, place + at) for at, key in enumerate(group)]
        index.commit(place - 1000)
        place += len(group)
    wanted = sorted(at for key, at in rows if key in asked)
    assert index.find(np.array(asked, np.uint64)).tolist() == wanted
    held = index.holds(np.array(asked, np.uint64)).tolist()
    assert held == [any(key == one for key, _ in rows) for one in asked]
    assert len(index) == len(rows)


def test_what_is_staged_is_found_until_it_is_rolled_back() -> None:
    index = IdIndex((np.array([5], np.uint64), np.array([0], np.int64)))
    index.stage(np.array([7, 5], np.uint64), 100)
    assert index.find(np.array([5], np.uint64)).tolist() == [0, 101]
    index.rollback()
    assert index.find(np.array([5, 7], np.uint64)).tolist() == [0]


@pytest.mark.parametrize("ids", [["c_00000000000000zz"] * 6, ["C_" + "0" * 16] * 6, ["c-" + "0" * 16] * 6])
def test_ids_that_only_look_hashed_have_keys_too(ids: list[str]) -> None:
    assert len(set(keys_of(pa.array(ids)).tolist())) == 1

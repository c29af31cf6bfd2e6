from __future__ import annotations

from collections import Counter

import pytest

from curation.splits import normalise_split, split_of


def test_the_hash_parts_queries_eighty_ten_ten() -> None:
    counts = Counter(split_of(f"query number {i}") for i in range(5000))
    # binomial standard deviations over 5000: 28 and 21; the bounds are four of them wide
    assert abs(counts["train"] - 4000) < 113
    assert abs(counts["dev"] - 500) < 85
    assert abs(counts["test"] - 500) < 85


@pytest.mark.parametrize("spelling", ["Red Lamp", "red  lamp", "ＲＥＤ lamp!", " red lamp\n"])
def test_two_spellings_of_one_query_share_a_split(spelling: str) -> None:
    for i in range(20):
        assert split_of(f"{spelling} {i}") == split_of(f"red lamp {i}")


def test_the_split_of_a_query_is_the_same_on_any_machine() -> None:
    # SHA-256 of '"lamp"' starts ae9c37df, .682 of 2^32; of '"mirror"' e3d01325, .890; of '"spoon"' over .9
    assert [split_of(text) for text in ("lamp", "mirror", "spoon")] == ["train", "dev", "test"]


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("train", "train"),
        ("Validation", "dev"),
        ("valid", "dev"),
        ("val", "dev"),
        (" DEV ", "dev"),
        ("test", "test"),
        ("holdout", None),
        ("", None),
    ],
)
def test_a_source_s_word_for_a_split_is_understood_or_refused(word: str, split: str | None) -> None:
    assert normalise_split(word) == split

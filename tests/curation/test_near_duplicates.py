from __future__ import annotations

import random
import time

import numpy as np
import polars as pl
import pytest

from curation.near_duplicates import MAX_BUCKET, find_leaks, find_similar, nearest_earlier
from curation.sketches import sketch

TEN = "one two three four five six seven eight nine ten"


def pairs(*texts: str, asked: list[bool] | None = None, threshold: float = 0.7) -> dict[tuple[int, int], float]:
    found = find_similar(
        sketch([str(n) for n in range(len(texts))], texts),
        asked=None if asked is None else np.array(asked),
        threshold=threshold,
    )
    places = zip(found.earlier.tolist(), found.later.tolist(), strict=True)
    return dict(zip(places, found.score.tolist(), strict=True))


def leaks(train: list[str], held_back: list[str], threshold: float = 0.7) -> list[tuple[str, str, float]]:
    found = find_leaks(
        pl.DataFrame({"pair_id": [f"p{n}" for n in range(len(train))], "query": train}, schema_overrides=TEXT),
        pl.DataFrame({"query_id": [f"q{n}" for n in range(len(held_back))], "query": held_back}, schema_overrides=TEXT),
        threshold,
    )
    return list(found.select("pair_id", "matched_id", "score").iter_rows())


TEXT = {"query": pl.String, "pair_id": pl.String, "query_id": pl.String}


def test_similarity_is_the_share_of_words_that_both_have() -> None:
    # nine of ten words in common, one more in each: 9 / 11
    assert pairs(TEN, TEN.replace("ten", "zehn")) == {(0, 1): pytest.approx(9 / 11)}


def test_grams_of_three_measure_a_script_without_spaces() -> None:
    text = "城市公共图书馆的借阅时间是每天上午九点到晚上八点"  # 24 characters, 22 grams
    # the last character changed: one gram of each differs, 21 of 23 are shared
    assert pairs(text, text[:-1] + "半") == {(0, 1): pytest.approx(21 / 23)}


def test_below_the_threshold_nothing_is_told() -> None:
    # six of ten in common, four more in each: 6 / 14
    assert pairs(TEN, "one two three four five six a b c d") == {}
    assert pairs(TEN, TEN.replace("ten", "zehn"), threshold=0.9) == {}


@pytest.mark.parametrize("other", ["blue lamps", "blue", "blue lamp 2"])
def test_a_text_of_two_words_has_equals_only(other: str) -> None:
    assert pairs("blue lamp", other) == {}
    found = find_similar(sketch(["a", "b"], ["blue lamp", "Lamp, blue!"]))
    assert found.first.tolist() == [0, 0]


def test_texts_without_a_token_are_like_nothing() -> None:
    assert leaks(["", " "], ["", "!"]) == []
    assert pairs("", "", "!!!", "???") == {}


def test_only_pairs_with_a_row_that_is_asked_about_are_told() -> None:
    texts = [TEN, TEN + " eleven", TEN + " zwölf", "quite another text of some words"]
    assert set(pairs(*texts)) == {(0, 1), (0, 2), (1, 2)}
    assert set(pairs(*texts, asked=[False, False, True, True])) == {(0, 2), (1, 2)}
    assert pairs(*texts, asked=[False, False, False, True]) == {}


def test_a_row_whose_equal_is_asked_about_is_asked_about() -> None:
    found = pairs(TEN, TEN + " eleven", TEN.upper(), asked=[False, False, True])
    assert set(found) == {(0, 1)}  # row 2 is row 0


def test_ten_thousand_copies_are_quick_and_one() -> None:
    texts = [TEN + " eleven"] * 10_000 + [TEN] * 10_000
    started = time.process_time()
    assert set(pairs(*texts)) == {(0, 10_000)}
    assert time.process_time() - started < 10  # a bound on what is quadratic: 10,000² pairs would take minutes


def test_of_a_crowd_of_templates_each_finds_the_first() -> None:
    texts = [f"{TEN} eleven twelve {n}" for n in range(MAX_BUCKET * 4)]  # 12 of 14 in common
    found = pairs(*texts)
    firsts = {later for earlier, later in found if earlier == 0}
    assert len(firsts) >= 0.99 * (len(texts) - 1)


def test_recall_and_precision_against_every_pair_counted() -> None:
    rng = random.Random(7)
    words = [f"w{n}" for n in range(3000)]
    texts = [rng.choices(words, k=rng.randint(8, 60)) for _ in range(400)]
    for one in texts[:300]:
        edited = list(one)
        for _ in range(max(1, len(one) // rng.choice([7, 9, 12, 30]))):
            edited[rng.randrange(len(edited))] = rng.choice(words)
        texts.append(edited)
    sets = [set(one) for one in texts]
    real = {
        (i, j)
        for i in range(len(sets))
        for j in range(i + 1, len(sets))
        if len(sets[i] & sets[j]) >= 0.7 * len(sets[i] | sets[j])
    }
    found = pairs(*(" ".join(one) for one in texts))
    assert len(real) > 150
    assert set(found) <= real  # every pair is counted, so none is wrong
    assert len(found) >= 0.98 * len(real)
    for (i, j), score in found.items():
        assert score == pytest.approx(len(sets[i] & sets[j]) / len(sets[i] | sets[j]))


def test_the_nearest_earlier_row_is_named_and_of_equals_the_first() -> None:
    sketches = sketch(list("abcd"), [TEN, TEN + " eleven", TEN + " eleven", TEN + " eleven zwölf"])
    found = nearest_earlier(sketches, n_earlier=3)
    assert found.rows() == [(3, 1, pytest.approx(11 / 12))]


def test_leaks_name_the_held_back_query_and_how_near_it_is() -> None:
    held_back = ["blue desk lamp", "red kitchen table lamp big"]
    train = ["Blue, desk LAMP!", "red kitchen table lamp", "green rug", "Blue, desk LAMP!"]
    assert leaks(train, held_back) == [("p0", "q0", 1.0), ("p1", "q1", 0.8), ("p3", "q0", 1.0)]
    assert leaks(train, held_back, threshold=0.9) == [("p0", "q0", 1.0), ("p3", "q0", 1.0)]


@pytest.mark.parametrize(("train", "held_back"), [([], []), (["a b c"], []), ([], ["a b c"])])
def test_nothing_leaks_where_one_side_is_empty(train: list[str], held_back: list[str]) -> None:
    assert leaks(train, held_back) == []


def test_a_text_of_megabytes_is_compared() -> None:
    long = " ".join(f"w{n}" for n in range(300_000))
    assert pairs(long, long + " more", "short text of words") == {(0, 1): pytest.approx(300_000 / 300_001)}

"""Numbers as attributes: the nearest other one is asked for, and the declared effect follows what the doc has."""

from __future__ import annotations

import random

from evolution.mutations import Corpus, SourcePair, add_constraint, swap_attribute
from evolution.number_mutations import Numbers, find_numbers, number_swaps, replace_number
from evolution.verifier import Effect
from storage.grades import Scale

SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
TEXTS = ["2015年考研", "2016年考研", "2017年考研", "win7", "12 ways"]
CORPUS = Corpus([], TEXTS)


def test_whole_numbers_only() -> None:
    assert find_numbers("2016年 win7 3.5mm 1,000 12345678 2016") == ["2016", "7"]


def test_the_nearest_numbers_of_as_many_digits_that_the_doc_lacks() -> None:
    assert Numbers(TEXTS).others("2016", ["2016", "2015"]) == ["2017"]
    assert Numbers(TEXTS).others("7", ["7"]) == []


def test_a_met_number_gives_way_to_an_unmet_one_and_the_other_way_round() -> None:
    numbers = Numbers(TEXTS)
    assert number_swaps("2016考研", "2016年考研", numbers) == [("2016", "2015", False), ("2016", "2017", False)]
    assert number_swaps("2011考研", "2016年考研", numbers) == [("2011", "2016", True)]
    assert number_swaps("考研", "2016年考研", numbers) == []


def test_operators_fall_back_on_numbers_where_docs_have_no_fields() -> None:
    met = SourcePair("p_1", "2016考研时间", {}, 2, "2016年考研时间表")
    swapped = swap_attribute(met, CORPUS, scale=SCALE, draw=random.Random(0))
    assert swapped is not None and swapped.effect is Effect.LOWER
    assert swapped.query in {"2015考研时间", "2017考研时间"} and swapped.operator == "attribute_swap"
    bare = SourcePair("p_2", "考研时间", {}, 2, "2016年考研时间表")
    added = {add_constraint(bare, CORPUS, scale=SCALE, draw=random.Random(seed)) for seed in range(20)}
    assert {(m.query, m.effect) for m in added if m} == {
        ("考研时间 2016", Effect.KEEP),
        ("考研时间 2015", Effect.LOWER),
        ("考研时间 2017", Effect.LOWER),
    }


def test_no_swap_promises_what_the_scale_cannot_give() -> None:
    assert (
        swap_attribute(SourcePair("p", "2016考研", {}, 0, "2016年"), CORPUS, scale=SCALE, draw=random.Random(0)) is None
    )
    assert (
        swap_attribute(SourcePair("p", "2011考研", {}, 2, "2016年"), CORPUS, scale=SCALE, draw=random.Random(0)) is None
    )


def test_a_number_that_stands_twice_is_not_replaced() -> None:
    assert replace_number("7 of 7", "7", "8") is None
    assert replace_number("win7 17", "7", "8") == "win8 17"

"""Quantities: the same one in another unit keeps the grade, another one moves it as the doc's own size says."""

from __future__ import annotations

import random

import pytest

from evolution.mutations import Corpus, Effect
from evolution.mutations.operator import SourcePair
from evolution.mutations.query_slots import QuerySlots, find_numbers, replace_number
from evolution.mutations.size_forms import change_size, change_unit
from tests.evolution.mutations.shop import SCALE, draws


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("rice 1 kg", {"rice 1000 g"}),
        ("kettle 1.5l black", {"kettle 1500ml black", "kettle 150cl black"}),
        ("大米 2公斤", {"大米 2000克", "大米 4斤"}),
        ("pan 28 cm", {"pan 280 mm", "pan 0.28 m"}),
        ("pan 28", set()),
    ],
)
def test_a_quantity_is_converted_exactly_and_keeps_the_grade(query: str, written: set[str]) -> None:
    done = [change_unit(SourcePair(query, {}, 2), Corpus([]), scale=SCALE, draw=draw) for draw in draws()]
    assert {one.text for one in done if one} == written
    assert all(one.effect is Effect.KEEP for one in done if one)


def test_another_size_is_asked_for_as_other_docs_write_it() -> None:
    docs = [{"type": "pan", "size": size} for size in ("24 cm", "28 cm", "280 mm")]
    corpus = Corpus(docs)
    met = {change_size(SourcePair("pan 28 cm", docs[1], 2), corpus, scale=SCALE, draw=draw) for draw in draws()}
    assert {(one.text, one.effect) for one in met if one} == {("pan 24 cm", Effect.LOWER)}
    other = change_size(SourcePair("pan 24cm", docs[1], 1), corpus, scale=SCALE, draw=random.Random(0))
    assert other is not None and (other.text, other.effect) == ("pan 28 cm", Effect.RAISE)
    assert change_size(SourcePair("pan under 30 cm", docs[1], 2), corpus, scale=SCALE, draw=random.Random(0)) is None


def test_without_fields_the_nearest_numbers_of_other_queries_are_asked_for() -> None:
    corpus = Corpus([], ["2015年考研", "2016年考研", "2017年考研", "win7", "12 ways"])
    done = {change_size(SourcePair("2016考研时间", {}, 2), corpus, scale=SCALE, draw=draw) for draw in draws()}
    assert {(one.text, one.effect) for one in done if one} == {
        ("2015考研时间", Effect.LOWER),
        ("2017考研时间", Effect.LOWER),
    }
    assert change_size(SourcePair("2016考研", {}, 0), corpus, scale=SCALE, draw=random.Random(0)) is None


def test_whole_numbers_only() -> None:
    assert find_numbers("2016年 win7 3.5mm 1,000 12345678 2016") == ["2016", "7"]


def test_a_number_that_stands_twice_is_not_replaced() -> None:
    assert replace_number("7 of 7", "7", "8") is None
    assert replace_number("win7 17", "7", "8") == "win8 17"


def test_a_stretch_that_few_queries_use_is_not_handed_on() -> None:
    """`ann` stands in one query only: nobody else's query may come to name her."""
    slots = QuerySlots(["call ann now", "call taxi now", "taxi map", "taxi price", "bus map", "bus price", "bus now"])
    assert slots.swaps("call taxi today") == [("taxi", "bus")]

"""One thing more, one thing less, one thing ruled out, the core left out."""

from __future__ import annotations

import random

from evolution.mutations import Corpus, Effect
from evolution.mutations.constraint_forms import add_constraint, drop_core, negate, remove_constraint
from evolution.mutations.operator import SourcePair
from tests.evolution.mutations.shop import CORPUS, FOUR, SCALE, draws, pair


def test_an_added_constraint_lowers_or_keeps_as_the_doc_has_it() -> None:
    held = {"type": "mug", "colour": "red"}
    done = {add_constraint(SourcePair("mug", held, 2), CORPUS, scale=SCALE, draw=draw) for draw in draws()}
    assert {(one.text, one.effect) for one in done if one} == {
        ("mug red", Effect.KEEP),
        ("mug blue", Effect.LOWER),
        ("mug sky blue", Effect.LOWER),
    }


def test_no_constraint_is_added_to_a_pair_of_the_lowest_grade() -> None:
    assert all(add_constraint(pair("mug", 0), CORPUS, scale=SCALE, draw=draw) is None for draw in draws())


def test_a_constraint_taken_away_keeps_a_met_grade_and_raises_the_only_broken_one() -> None:
    def first(query: str, grade: int) -> tuple[str, Effect] | None:
        done = remove_constraint(pair(query, grade), CORPUS, scale=SCALE, draw=random.Random(0))
        return (done.text, done.effect) if done else None

    assert first("red mug", 2) == ("mug", Effect.KEEP)
    assert first("blue mug", 1) == ("mug", Effect.RAISE)
    assert first("mug", 1) is None
    both = {
        (done.text, done.effect)
        for draw in draws()
        if (done := remove_constraint(pair("blue zenith mug", 0), CORPUS, scale=SCALE, draw=draw))
    }
    assert both == {("zenith mug", Effect.AT_LEAST), ("blue mug", Effect.AT_LEAST)}


def test_ruling_out_what_the_doc_has_lowers_and_what_it_has_not_never_lowers() -> None:
    held = {"type": "mug", "colour": "red"}
    met = {negate(SourcePair("red mug", held, 3), CORPUS, scale=FOUR, draw=draw) for draw in draws()}
    assert {(one.text, one.effect, one.bound) for one in met if one} == {("mug not red", Effect.LOWER, 1)}
    broken = {negate(SourcePair("blue mug", held, 1), CORPUS, scale=FOUR, draw=draw) for draw in draws()}
    assert {(one.text, one.effect) for one in broken if one} == {("mug not blue", Effect.RAISE)}
    unnamed = {negate(SourcePair("mug", held, 3), CORPUS, scale=FOUR, draw=draw) for draw in draws()}
    assert {(one.text, one.effect) for one in unnamed if one} == {("mug not red", Effect.LOWER)}


def test_chinese_is_negated_in_chinese() -> None:
    corpus = Corpus([{"类型": "马克杯", "颜色": "白色"}, {"类型": "马克杯", "颜色": "黑色"}])
    asked = SourcePair("白色马克杯", {"类型": "马克杯", "颜色": "白色"}, 2)
    done = negate(asked, corpus, scale=SCALE, draw=random.Random(0))
    assert done is not None and done.text == "马克杯 不要白色"


def test_the_core_is_dropped_only_where_the_doc_is_of_that_kind() -> None:
    done = drop_core(pair("red mug", 2), CORPUS, scale=SCALE, draw=random.Random(0))
    assert done is not None and (done.text, done.effect) == ("red", Effect.AT_MOST)
    assert drop_core(pair("red lamp", 1), CORPUS, scale=SCALE, draw=random.Random(0)) is None
    bare = drop_core(SourcePair("red leather sofa", {}, 2), Corpus([]), scale=SCALE, draw=random.Random(0))
    assert bare is not None and bare.text == "red leather"


def test_without_fields_a_number_is_taken_away_and_a_year_others_name_is_added() -> None:
    corpus = Corpus([], ["2015年考研", "2016年考研", "2016国考"])
    less = remove_constraint(SourcePair("2016考研时间", {}, 1), corpus, scale=SCALE, draw=random.Random(0))
    assert less is not None and (less.text, less.effect) == ("考研时间", Effect.AT_LEAST)
    more = {add_constraint(SourcePair("考研时间", {}, 2), corpus, scale=SCALE, draw=draw) for draw in draws()}
    assert {(one.text, one.effect) for one in more if one} == {
        ("考研时间 2015", Effect.AT_MOST),
        ("考研时间 2016", Effect.AT_MOST),
    }

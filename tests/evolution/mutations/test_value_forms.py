"""Another value is asked for: which one, and what that is declared to do, follows from the doc's fields."""

from __future__ import annotations

import random

import pytest

from evolution.mutations import Corpus, Effect
from evolution.mutations.operator import Rewriting, SourcePair
from evolution.mutations.value_forms import narrow, shift_category, shift_location, swap_attribute, swap_brand, widen
from tests.evolution.mutations.shop import CORPUS, DOCS, FOUR, SCALE, draws, pair


def all_of(form, *args, corpus: Corpus = CORPUS, scale=SCALE) -> list[Rewriting]:  # type: ignore[no-untyped-def]
    return [done for draw in draws() if (done := form(pair(*args), corpus, scale=scale, draw=draw))]


def test_swapping_a_met_attribute_asks_for_what_the_doc_is_not() -> None:
    done = all_of(swap_attribute, "Red mug for tea", 2)
    assert len(done) == 20
    assert {(one.text, one.effect) for one in done} == {
        ("blue mug for tea", Effect.LOWER),
        ("sky blue mug for tea", Effect.LOWER),
    }


def test_below_the_highest_grade_something_was_broken_already_and_no_fall_is_promised() -> None:
    assert {one.effect for one in all_of(swap_attribute, "Red mug for tea", 1)} == {Effect.AT_MOST}


def test_the_docs_own_value_raises_only_where_it_was_the_only_fault() -> None:
    done = all_of(swap_attribute, "sky blue zenith mug", 1)
    assert {(one.text, one.effect) for one in done} == {("red zenith mug", Effect.AT_LEAST)}


def test_swapping_an_unmet_attribute_asks_for_what_the_doc_is() -> None:
    done = all_of(swap_attribute, "sky blue mug", 1)
    assert {(one.text, one.effect, one.change) for one in done} == {("red mug", Effect.RAISE, "colour: sky blue → red")}


def test_a_value_never_seen_in_such_company_is_not_asked_for() -> None:
    """Brass was only ever a lamp's colour, so no mug is asked for in brass."""
    done = all_of(swap_attribute, "red mug", 2)
    assert done and not any("brass" in one.text for one in done)


@pytest.mark.parametrize("query", ["cup for tea", "mug not red"])
def test_a_query_with_nothing_to_swap_or_with_a_negation_is_left_alone(query: str) -> None:
    assert not all_of(swap_attribute, query, 2)


def test_a_brand_gives_way_to_another_brand_of_the_shop() -> None:
    assert {one.text for one in all_of(swap_brand, "acme mug red", 2)} == {"zenith mug red"}
    assert not all_of(swap_brand, "red mug", 2)


def test_another_kind_takes_the_doc_to_the_low_end_of_the_scale() -> None:
    (done,) = {(one.text, one.effect, one.bound) for one in all_of(shift_category, "red mug", 3, scale=FOUR)}
    assert done == ("red bowl", Effect.LOWER, 1)
    (on_three,) = {one.bound for one in all_of(shift_category, "red mug", 2)}
    assert on_three == 0


def test_the_shelf_of_a_kind_is_read_off_the_docs() -> None:
    assert (CORPUS.kind_field, CORPUS.shelf_field) == ("type", "category")
    (done,) = {(one.text, one.effect) for one in all_of(widen, "red mug", 1)}
    assert done == ("red tableware", Effect.AT_LEAST)


def test_a_narrower_value_keeps_the_grade_only_where_the_doc_has_it() -> None:
    assert not all_of(narrow, "blue mug", 2)  # the doc is red: it broke the wide word already
    blue = SourcePair("blue mug", {"type": "mug", "colour": "blue"}, 2)
    done = {narrow(blue, CORPUS, scale=SCALE, draw=draw) for draw in draws()}
    assert done == {Rewriting("sky blue mug", Effect.LOWER, "blue → sky blue")}
    shelf = SourcePair("red tableware", DOCS[0], 2)
    found = {narrow(shelf, CORPUS, scale=SCALE, draw=draw) for draw in draws()}
    assert found == {
        Rewriting("red mug", Effect.KEEP, "tableware → mug"),
        Rewriting("red bowl", Effect.LOWER, "tableware → bowl"),
    }


def test_a_place_comes_from_the_docs_where_they_name_places_and_else_from_the_listed_cities() -> None:
    docs = [{"type": "hotel", "city": city} for city in ("oslo", "bergen")]
    corpus = Corpus(docs)
    asked = SourcePair("hotel in oslo", docs[0], 2)
    done = shift_location(asked, corpus, scale=SCALE, draw=random.Random(0))
    assert done == Rewriting("hotel in bergen", Effect.LOWER, "city: oslo → bergen")
    bare = SourcePair("北京天气", {}, 2)
    listed = {shift_location(bare, Corpus([]), scale=SCALE, draw=draw) for draw in draws()}
    assert len(listed) > 3 and all(one and one.effect is Effect.LOWER and "北京" not in one.text for one in listed)
    assert shift_location(SourcePair("北京天气", {}, 0), Corpus([]), scale=SCALE, draw=random.Random(0)) is None


def test_without_fields_what_may_stand_for_what_is_learnt_from_other_queries() -> None:
    queries = [f"{city} {what}" for city in ("rome", "turin") for what in ("weather", "map", "trains")] + ["rome food"]
    corpus = Corpus([], queries)
    done = {swap_attribute(SourcePair("rome food", {}, 2), corpus, scale=SCALE, draw=draw) for draw in draws()}
    assert done == {Rewriting("turin food", Effect.LOWER, "asked: rome → turin")}
    assert swap_attribute(SourcePair("rome food", {}, 0), corpus, scale=SCALE, draw=random.Random(0)) is None

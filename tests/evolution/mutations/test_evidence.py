"""The verifier shares no evidence with any operator: by what each declares, by what each is given, by what moves it."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import pytest

from evolution.mutations import OPERATORS, Evidence, Operator, Side, rewrite
from evolution.mutations.operator import SourceDoc, SourcePair
from evolution.mutations.operators import Original
from evolution.mutations.verifier import READS, PairText
from evolution.prompts import load_prompt
from tests.evolution.mutations.shop import CORPUS, FOUR

ORIGINALS = [
    Original("p_1", "red acme mug 28 cm", "Acme mug", "Red. Holds tea.", {"type": "mug", "colour": "red"}, 2),
    Original("p_2", "cheap blue mug", "Mug", "Blue. Two. Three.", {"type": "mug", "colour": "red", "brand": "acme"}, 1),
    Original("p_3", "怎么买红色马克杯 1公斤", "红色马克杯", "可微波。耐用。", {"type": "马克杯"}, 3),
    Original("p_4", "red tableware", "A bowl", "Red. Two.", {"type": "bowl", "category": "tableware"}, 2),
]
BY_NAME = pytest.mark.parametrize("operator", OPERATORS.values(), ids=list(OPERATORS))


def drawn(operator: Operator, original: Original) -> list[tuple[str, str, str]]:
    done = [rewrite(operator, original, CORPUS, scale=FOUR, draw=random.Random(seed)) for seed in range(8)]
    return [
        (str(one.effect), one.query if operator.side is Side.QUERY else one.body, one.change) for one in done if one
    ]


@BY_NAME
def test_no_evidence_is_declared_by_both(operator: Operator) -> None:
    assert operator.reads.isdisjoint(READS[operator.side])


def test_the_verifier_is_given_no_field_and_no_grade_and_no_form_the_other_sides_text() -> None:
    assert {one.name for one in fields(PairText)} == {"query", "title", "body", "root_query_id"}
    assert {one.name for one in fields(SourcePair)} == {"query", "fields", "grade"}
    assert {one.name for one in fields(SourceDoc)} == {"title", "body", "fields", "grade"}


@BY_NAME
def test_other_text_on_the_side_the_verifier_reads_changes_no_rewriting_and_no_effect(operator: Operator) -> None:
    n_drawn = 0
    for original in ORIGINALS:
        if operator.side is Side.QUERY:
            other = replace(original, title="Lamp of brass", body="Nothing of the sort. Zenith blue 24 cm.")
        else:
            other = replace(original, query="brass lamp 24 cm")
        assert drawn(operator, other) == drawn(operator, original)
        n_drawn += len(drawn(operator, original))
    assert n_drawn or operator.name in ("location_shift", "brand_swap", "size_change")


@BY_NAME
def test_fields_and_the_own_grade_move_only_operators_that_say_so(operator: Operator) -> None:
    for original in ORIGINALS:
        if Evidence.FIELDS not in operator.reads:
            assert drawn(operator, replace(original, fields={"type": "lamp"})) == drawn(operator, original)
        if Evidence.OWN_GRADE not in operator.reads:
            grades = {tuple(drawn(operator, replace(original, grade=grade))) for grade in (1, 2)}
            assert len(grades) == 1


@BY_NAME
def test_a_prompt_shows_no_more_than_the_form_sees(operator: Operator) -> None:
    assert load_prompt(operator.prompt_name).text
    shown = load_prompt("mutate_query_side" if operator.side is Side.QUERY else "mutate_doc_side").text
    hidden = ("$title", "$body") if operator.side is Side.QUERY else ("$query",)
    assert not any(place in shown for place in hidden)


def test_there_are_at_least_fourteen_operators_and_each_says_what_it_claims() -> None:
    assert len(OPERATORS) >= 14
    assert all(operator.claim.endswith(".") and operator.effects for operator in OPERATORS.values())

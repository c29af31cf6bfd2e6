"""Operators change one attribute and declare what follows; the verifier judges by text of its own."""

from __future__ import annotations

import random

import pytest

from evolution.mutations import MUTATIONS, Corpus, SourcePair, add_constraint, swap_attribute
from evolution.verifier import Effect, PairText, fit_verifier
from storage.grades import Scale

SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
DOCS = [{"kind": kind, "colour": colour} for kind in ("mug", "bowl") for colour in ("red", "blue", "sky blue")]
DOCS += [{"kind": "lamp", "colour": "brass"}]
CORPUS = Corpus(DOCS)


def pair(query: str, grade: int, **fields: str) -> SourcePair:
    return SourcePair("p_1", query, fields or {"kind": "mug", "colour": "red"}, grade)


def draws() -> list[random.Random]:
    return [random.Random(seed) for seed in range(20)]


def test_swapping_a_met_attribute_asks_for_what_the_doc_is_not() -> None:
    for draw in draws():
        mutated = swap_attribute(pair("Red mug for tea", 2), CORPUS, scale=SCALE, draw=draw)
        assert mutated is not None
        assert mutated.effect is Effect.LOWER
        assert mutated.query in {"blue mug for tea", "sky blue mug for tea", "Red bowl for tea"}


def test_swapping_an_unmet_attribute_asks_for_what_the_doc_is() -> None:
    mutated = swap_attribute(pair("sky blue mug", 1), CORPUS, scale=SCALE, draw=random.Random(1))
    raised = [
        m
        for draw in draws()
        if (m := swap_attribute(pair("sky blue mug", 1), CORPUS, scale=SCALE, draw=draw)) and m.effect is Effect.RAISE
    ]
    assert mutated is not None
    assert {(m.query, m.change) for m in raised} == {("red mug", "colour: sky blue → red")}


def test_a_value_never_seen_in_such_company_is_not_asked_for() -> None:
    """Brass was only ever a lamp's colour, so no mug is asked for in brass."""
    queries = {m.query for draw in draws() if (m := swap_attribute(pair("red mug", 2), CORPUS, scale=SCALE, draw=draw))}
    assert queries and not any("brass" in query or "lamp" in query for query in queries)


@pytest.mark.parametrize("query", ["cup for tea", "mug not red"])
def test_a_query_with_nothing_to_swap_or_with_a_negation_is_left_alone(query: str) -> None:
    assert swap_attribute(pair(query, 2), CORPUS, scale=SCALE, draw=random.Random(0)) is None


def test_an_added_constraint_lowers_or_keeps_as_the_doc_has_it() -> None:
    mutated = [m for draw in draws() if (m := add_constraint(pair("mug", 2), CORPUS, scale=SCALE, draw=draw))]
    assert {(m.query, m.effect) for m in mutated} == {
        ("mug red", Effect.KEEP),
        ("mug blue", Effect.LOWER),
        ("mug sky blue", Effect.LOWER),
    }


def test_no_constraint_is_added_to_a_pair_of_the_lowest_grade() -> None:
    assert all(add_constraint(pair("mug", 0), CORPUS, scale=SCALE, draw=draw) is None for draw in draws())


def test_no_operator_declares_what_the_scale_has_no_room_for() -> None:
    for mutation in MUTATIONS.values():
        for grade in SCALE.values:
            for draw in draws():
                mutated = mutation(pair("blue mug", grade), CORPUS, scale=SCALE, draw=draw)
                if mutated is not None and mutated.effect is Effect.RAISE:
                    assert grade < SCALE.highest
                if mutated is not None and mutated.effect is Effect.LOWER:
                    assert grade > SCALE.lowest


COLOURS = ("red", "blue", "green", "black")


def judged(n_queries: int = 30) -> tuple[list[PairText], list[int]]:
    """Each query names a colour and a kind; docs with both are 2, with one 1, with none 0."""
    pairs, grades = [], []
    for n in range(n_queries):
        colour, kind = COLOURS[n % 4], ("mug", "lamp", "towel")[n % 3]
        for text, grade in ((f"{colour} {kind}", 2), (f"{kind} large", 1), ("wooden spoon", 0)):
            pairs.append(PairText(f"{colour} {kind}", text, "", f"q{n}"))
            grades.append(grade)
    return pairs, grades


def test_the_verifier_confirms_a_true_effect_and_refuses_a_false_one() -> None:
    pairs, grades = judged()
    verifier = fit_verifier(pairs, grades, scale=SCALE)
    assert verifier.refusal is None
    assert verifier.accuracy is not None and verifier.accuracy > 0.9
    parent, worse = PairText("red mug", "red mug", "", "q0"), PairText("green lamp", "red mug", "", "q0")
    assert verifier.check(parent, worse, effect=Effect.LOWER).is_confirmed
    assert verifier.check(worse, parent, effect=Effect.RAISE).is_confirmed
    assert verifier.check(parent, parent, effect=Effect.KEEP).is_confirmed
    assert verifier.check(parent, worse, effect=Effect.TO, grade=0).is_confirmed
    false = verifier.check(parent, worse, effect=Effect.KEEP)
    assert not false.is_confirmed
    assert false.parent_expected is not None and false.expected is not None
    assert false.reason.startswith("keep not confirmed: expected grade ")


def test_a_query_is_judged_by_a_model_that_saw_none_of_its_judgments() -> None:
    pairs, grades = judged()
    verifier = fit_verifier(pairs, grades, scale=SCALE)
    assert verifier.folds is not None and set(verifier.folds) == {f"q{n}" for n in range(30)}
    before = verifier.expected([pairs[0]])
    twisted = [2 - grade if pair.root_query_id == "q0" else grade for pair, grade in zip(pairs, grades, strict=True)]
    after = fit_verifier(pairs, twisted, scale=SCALE).expected([pairs[0]])
    assert after == pytest.approx(before)


def test_with_too_few_judgments_nothing_is_confirmed_and_the_reason_says_so() -> None:
    pairs, grades = judged(4)
    check = fit_verifier(pairs, grades, scale=SCALE).check(pairs[0], pairs[0], effect=Effect.KEEP)
    assert (check.is_confirmed, check.expected) == (False, None)
    assert check.reason == "too few train judgments: 12 of 4 queries, needs 60"


def test_a_verifier_that_learnt_nothing_confirms_nothing() -> None:
    pairs, grades = judged()
    random.Random(2).shuffle(grades)
    verifier = fit_verifier(pairs, grades, scale=SCALE)
    assert verifier.refusal is not None and "explains" in verifier.refusal
    assert not verifier.check(pairs[0], pairs[0], effect=Effect.KEEP).is_confirmed

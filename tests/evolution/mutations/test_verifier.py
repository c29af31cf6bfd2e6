"""The verifier judges by text of its own and by other queries' judgments, and says when it cannot."""

from __future__ import annotations

import random

import pytest

from evolution.mutations import Effect
from evolution.mutations.verifier import Claim, PairText, fit_verifier
from storage.grades import Scale

SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
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


def test_a_true_effect_is_confirmed_and_a_false_one_is_not() -> None:
    pairs, grades = judged()
    verifier = fit_verifier(pairs, grades, scale=SCALE)
    assert verifier.refusal is None
    assert verifier.accuracy is not None and verifier.accuracy > 0.9
    parent, worse = PairText("red mug", "red mug", "", "q0"), PairText("green lamp", "red mug", "", "q0")
    claims = [
        Claim(parent, worse, Effect.LOWER),
        Claim(worse, parent, Effect.RAISE),
        Claim(parent, parent, Effect.KEEP),
        Claim(parent, worse, Effect.TO, 0),
        Claim(parent, worse, Effect.AT_MOST),
        Claim(parent, worse, Effect.LOWER, 0),
        Claim(parent, worse, Effect.KEEP),
        Claim(parent, worse, Effect.AT_LEAST),
    ]
    checks = verifier.check(claims)
    assert [check.is_confirmed for check in checks] == [True] * 6 + [False] * 2
    assert checks[6].parent_expected is not None and checks[6].expected is not None
    assert checks[6].reason.startswith("keep not confirmed: expected grade ")


def test_a_query_is_judged_by_a_model_that_saw_none_of_its_judgments() -> None:
    pairs, grades = judged()
    verifier = fit_verifier(pairs, grades, scale=SCALE)
    assert verifier.folds is not None and set(verifier.folds) == {f"q{n}" for n in range(30)}
    before = verifier.expected([pairs[0]])
    twisted = [2 - grade if pair.root_query_id == "q0" else grade for pair, grade in zip(pairs, grades, strict=True)]
    after = fit_verifier(pairs, twisted, scale=SCALE).expected([pairs[0]])
    assert after == pytest.approx(before)


def test_what_a_query_rules_out_counts_against_a_doc_that_has_it() -> None:
    """Half of the queries rule a colour out; docs of that colour are 0, others 2."""
    pairs, grades = [], []
    for n in range(40):
        colour, other = COLOURS[n % 4], COLOURS[(n + 1) % 4]
        query = f"mug not {colour}" if n % 2 else f"{colour} mug"
        for text, is_right in ((f"{colour} mug", n % 2 == 0), (f"{other} mug", n % 2 == 1)):
            pairs.append(PairText(query, text, "", f"q{n}"))
            grades.append(2 if is_right else 0)
    verifier = fit_verifier(pairs, grades, scale=SCALE)
    plain, ruled_out = PairText("red mug", "red mug", "", "q0"), PairText("mug not red", "red mug", "", "q0")
    (check,) = verifier.check([Claim(plain, ruled_out, Effect.LOWER)])
    assert check.is_confirmed


def test_with_too_few_judgments_nothing_is_confirmed_and_the_reason_says_so() -> None:
    pairs, grades = judged(4)
    (check,) = fit_verifier(pairs, grades, scale=SCALE).check([Claim(pairs[0], pairs[0], Effect.KEEP)])
    assert (check.is_confirmed, check.expected) == (False, None)
    assert check.reason == "too few train judgments: 12 of 4 queries, needs 60"


def test_a_verifier_that_learnt_nothing_confirms_nothing() -> None:
    pairs, grades = judged()
    random.Random(2).shuffle(grades)
    verifier = fit_verifier(pairs, grades, scale=SCALE)
    assert verifier.refusal is not None and "explains" in verifier.refusal
    assert not verifier.check([Claim(pairs[0], pairs[0], Effect.KEEP)])[0].is_confirmed

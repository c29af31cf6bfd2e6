from math import isnan

import pytest

from curation.completion import parse
from storage.grades import parse_scale
from tests.trainers.mutants import assert_notices
from trainers.objectives import rewards as module
from trainers.objectives.rewards import (
    RIGHT,
    WRONG,
    Gold,
    consistent_rationale,
    exact_grade,
    step_verdicts,
    to_tensor,
    valid_citations,
)
from trainers.objectives.segments import FORMAT, GRADE, N_PARTS, step_part

SCALE = parse_scale("0-3")  # irrelevant, partly, substantially, fully
GOLD = Gold(2, {"r_aaaa": 2, "r_bbbb": 3})  # both rules apply, one votes the settled grade
INTENT, RULES, VERDICT = step_part("intent"), step_part("rules"), step_part("verdict")


def rewarded(function, text: str, gold: Gold = GOLD) -> float | None:
    return function(parse(text, SCALE), gold, SCALE)


def test_the_outcome_is_strict() -> None:
    assert rewarded(exact_grade, "2\nrules: as [r_aaaa] says") == 1
    assert rewarded(exact_grade, "2") == 1
    assert rewarded(exact_grade, "3") == 0  # off by one earns nothing
    assert rewarded(exact_grade, "2\nbecause I say so") == 0
    assert rewarded(exact_grade, "") == 0


def test_citations_earn_the_share_that_is_approved_and_applies() -> None:
    assert rewarded(valid_citations, "2\nrules: [r_aaaa] and [r_bbbb]") == 1
    assert rewarded(valid_citations, "2\nrules: [r_aaaa] and [r_cccc]") == 1 / 2
    assert rewarded(valid_citations, "2\nrules: none") == 0  # a rule applies
    assert rewarded(valid_citations, "2\nrules: none", Gold(2, {})) is None
    assert rewarded(valid_citations, "2") is None
    assert rewarded(valid_citations, "2\nwhat") is None


def test_a_rationale_is_consistent_with_the_emitted_grade_and_not_with_the_settled_one() -> None:
    assert rewarded(consistent_rationale, "3\nverdict: fully") == 1  # a wrong grade, honestly reasoned
    assert rewarded(consistent_rationale, "3\nverdict: substantially") == 0
    assert rewarded(consistent_rationale, "3\nverdict: hard to say") == 0
    assert rewarded(consistent_rationale, "3\nintent: shoes") is None


def check_verdicts(it) -> None:
    """Every part of every completion, by the words of the checks."""
    gold = it.Gold(2, {"r_aaaa": 2, "r_bbbb": 3})
    expected = {
        "2\nintent: shoes\nrules: [r_aaaa]\nverdict: substantially": {GRADE: 1, FORMAT: 1, RULES: 1, VERDICT: 1},
        "3\nintent: shoes\nrules: [r_aaaa]\nverdict: fully": {GRADE: -1, FORMAT: 1, RULES: 1, VERDICT: 1},
        "2\nrules: [r_bbbb]\nverdict: fully": {GRADE: 1, FORMAT: 1, RULES: -1, VERDICT: -1},  # votes another grade
        "2\nrules: [r_aaaa] [r_cccc]": {GRADE: 1, FORMAT: 1, RULES: -1},  # not approved, or does not apply
        "2\nrules: none": {GRADE: 1, FORMAT: 1, RULES: -1},
        "2\nintent: by [r_aaaa]": {GRADE: 1, FORMAT: 1, INTENT: 1},
        "2\nverdict: substantially by [r_bbbb]": {GRADE: 1, FORMAT: 1, VERDICT: -1},
        "2\nand so on": {GRADE: 1, FORMAT: -1},  # a right grade is not blamed for what follows it
        "x\nrules: [r_aaaa]": {GRADE: -1, FORMAT: -1},
        "": {GRADE: -1, FORMAT: -1},
    }
    for text, parts in expected.items():
        whole = tuple(parts.get(part) for part in range(N_PARTS))
        assert it.step_verdicts(text, gold, SCALE) == whole, text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return RIGHT if is_right else WRONG", "return WRONG if is_right else RIGHT"),  # sign
        ("gold.votes.get(rule_id) == gold.grade", "rule_id in gold.votes"),
        ("return all(claims) if claims else None", "return all(claims)"),  # skipped steps are rewarded
        ("verdicts[step_part(step.label)]", "verdicts[step_part(step.label) - 1]"),  # off by one
        ('claims.append(implied_grade(completion, scale) == completion.grade)',
         'claims.append(implied_grade(completion, scale) == gold.grade)'),
    ],
)  # fmt: skip
def test_steps_are_judged_by_their_own_claims_and_a_mistake_would_show(old, new) -> None:
    assert_notices(check_verdicts, module, old, new)


def test_a_rules_step_without_citation_is_skipped_where_no_rule_votes_the_grade() -> None:
    assert step_verdicts("2\nrules: none", Gold(2, {"r_bbbb": 3}), SCALE)[RULES] is None


def test_any_text_is_judged() -> None:
    """Right-to-left, emoji, control characters, a megabyte: a verdict each, no exception."""
    for text in ("مرحبا", "2\nrules: 🙂🙃", "2\nrules: a\x00b", "2\nrules: " + "x" * 1_000_000):
        verdicts = step_verdicts(text, GOLD, SCALE)
        assert len(verdicts) == N_PARTS and set(verdicts) <= {RIGHT, WRONG, None}


def test_what_was_not_judged_is_nan_and_not_zero() -> None:
    got = to_tensor([[1.0, None], [0.0, -1.0]])
    assert isnan(got[0, 1]) and got[1].tolist() == [0.0, -1.0]

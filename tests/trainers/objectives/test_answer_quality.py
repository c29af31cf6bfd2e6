import pytest

from tests.trainers.conftest import SCALE
from trainers.objectives.answer_quality import (
    DIMENSIONS,
    brevity,
    coherence,
    grade,
    grounding,
    quality,
    read_answer,
    rule_adherence,
)  # fmt: skip
from trainers.objectives.rewards import Gold

RULE, OTHER = "r_00000000000000aa", "r_00000000000000bb"
GOLD = Gold(2, {RULE: 2, OTHER: 0})
PROMPT = "<query>\noak chair\n</query>\n<document>\ntitle: oak chair no 1\n</document>\n"
EXPERT = f"2\nattributes: oak agrees [{RULE}]\nverdict: fully"
EQUAL = dict.fromkeys(DIMENSIONS, 1.0)


def answer(text, *, gold=GOLD, expert=EXPERT):
    return read_answer(text, gold=gold, prompt=PROMPT, expert=expert, scale=SCALE)


def test_grade_is_exact_and_in_the_right_form() -> None:
    assert [grade(answer(text)) for text in ("2", "1", "2\nfully", "")] == [1, 0, 0, 0]


def test_grounding_is_the_share_of_terms_that_pair_or_expert_say() -> None:
    """Oak and agrees are said, velvet and sofa are not: 2 of 4. The verdict and the citation are not looked at."""
    assert grounding(answer(f"2\nattributes: oak agrees velvet sofa [{RULE}]\nverdict: fully made up")) == 2 / 4
    assert grounding(answer(EXPERT)) == 1
    assert grounding(answer("2\nverdict: fully")) is None and grounding(answer("2")) is None
    assert grounding(answer("no")) is None


def test_coherence_wants_the_emitted_grade_restated_and_steps_of_their_own() -> None:
    assert coherence(answer("2\nverdict: partly")) == 0
    assert coherence(answer("1\nverdict: partly")) == 1  # consistent, though wrong
    assert coherence(answer("2\nintent: oak\ndocument: oak\nverdict: fully")) == 2 / 3
    assert coherence(answer("2")) is None


def test_rules_must_apply_and_vote_the_emitted_grade() -> None:
    assert rule_adherence(answer(f"2\nrules: [{RULE}] [{OTHER}]")) == 1 / 2
    assert rule_adherence(answer(f"0\nrules: [{RULE}] [{OTHER}]")) == 1 / 2
    assert rule_adherence(answer("2\nintent: oak")) == 0  # one that votes 2 applies
    assert rule_adherence(answer("1\nintent: oak")) is None  # none votes 1
    assert rule_adherence(answer("2")) is None


def test_brevity_is_measured_by_the_expert_s_reasons() -> None:
    """The expert's reasons have 1 + len("verdict: fully") = 15 characters; as many more make half of it."""
    expert = "2\nverdict: fully"
    assert brevity(answer("2\nverdict: fully", expert=expert)) == 1
    assert brevity(answer("2\nverdict: fully" + "x" * 15, expert=expert)) == 15 / 30
    assert brevity(answer("2", expert=expert)) == 0
    assert brevity(answer("2", expert="2")) is None
    assert brevity(answer("2\nverdict: fully", expert="2")) is None


def test_quality_leaves_out_what_cannot_be_checked() -> None:
    """Silence where the expert speaks: grade 1 and brevity 0 are known, the mean of the two is a half."""
    assert quality(answer("2"), EQUAL) == 1 / 2
    assert quality(answer(EXPERT), EQUAL) == 1
    assert quality(answer("2"), EQUAL | {"brevity": 0.0}) == 1
    # grade 1, grounding 2/4, coherence 1, rules 1, brevity: the reasons are 12 characters longer than the expert's
    n = len(EXPERT) - 1
    worse = answer(f"2\nattributes: oak agrees velvet sofa [{RULE}]\nverdict: fully")
    assert quality(worse, EQUAL) == pytest.approx((1 + 2 / 4 + 1 + 1 + n / (n + 12)) / 5)


def test_the_better_of_two_right_answers_is_the_one_with_sound_reasons() -> None:
    sound, silent = answer(EXPERT), answer("2")
    contradicting = answer("2\nverdict: irrelevant")
    made_up = answer("2\nattributes: velvet sofa from mars\nverdict: fully")
    ordered = sorted((sound, silent, contradicting, made_up), key=lambda it: -quality(it, EQUAL))
    assert ordered[0] is sound and ordered[-1] is contradicting


def test_an_expert_s_answer_that_does_not_parse_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="does not parse"):
        answer("2", expert="fine")

from collections import Counter
from math import exp, log, sqrt

import pytest
import torch

from tests.trainers.mutants import assert_notices
from trainers.objectives import mode_balance as module
from trainers.objectives.mode_balance import Draw, DrawnRows, Schedule, SftWeight, sft_loss
from trainers.objectives.sampling import coefficient_of_variation


def check_loss(it) -> None:
    """Row 1: 1/2 and 1/8, mean nll (ln 2 + ln 8) / 2 = 2 ln 2. Row 2: prompt, then 1/16: 4 ln 2, its length aside.

    Rows weigh alike: 3 ln 2 (tokens alike would give 8/3 ln 2); over 4 accumulated micro-batches 3/4 ln 2.
    """
    log_probs = torch.tensor([[1 / 2, 1 / 8], [1.0, 1 / 16]]).log()
    is_counted = torch.tensor([[True, True], [False, True]])
    assert it.sft_loss(log_probs, is_counted).item() == pytest.approx(3 * log(2))
    assert it.sft_loss(log_probs, is_counted, n_accumulated=4).item() == pytest.approx(3 / 4 * log(2))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return -row_mean", "return row_mean"),  # sign
        ("row_mean(log_probs, is_counted) / n_accumulated", "row_mean(log_probs, is_counted)"),
        ("row_mean(log_probs, is_counted)", "row_mean(log_probs, is_counted.roll(1, dims=1))"),  # off by one
        ("row_mean(log_probs, is_counted)", "log_probs[is_counted].mean()"),  # long rows weigh more
    ],
)
def test_the_supervised_term_is_that_worked_by_hand_and_a_mistake_would_show(old, new) -> None:
    assert_notices(check_loss, module, old, new)


def test_a_micro_batch_without_an_expert_token_is_refused() -> None:
    with pytest.raises(ValueError, match="no expert token"):
        sft_loss(torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.bool))


def test_the_weight_is_constant_linear_or_gated_by_entropy() -> None:
    """Linear from 0.4 to 0.2 over 4 steps: 0.3 after 2, 0.2 from 4 on. Gated at an entropy of ln 2: half."""
    assert SftWeight(0.1).at(7, entropy=1.0) == 0.1
    falling = SftWeight(0.4, Schedule.LINEAR, end=0.2, n_steps=4)
    assert [falling.at(step, 0.0) for step in (0, 2, 4, 9)] == pytest.approx([0.4, 0.3, 0.2, 0.2])
    gated = SftWeight(0.5, Schedule.ENTROPY_GATED)
    assert gated.at(0, log(2)) == pytest.approx(0.25)
    assert gated.at(0, 3.0) == pytest.approx(0.5 * exp(-3))


RULES = [["r_a"], ["r_a"], ["r_a"], ["r_a", "r_b"], []]  # r_a four times, r_b once, one row without rules


def test_a_balanced_draw_visits_every_rule_once_a_round() -> None:
    """Three buckets: r_a rows 0-3, r_b row 3, none row 4. A micro-batch of 3 is one round, whatever the step."""
    rows = DrawnRows(RULES, Draw.BALANCED, n_rows=3, seed=5)
    for step in range(20):
        drawn = Counter(rows.at(step))
        assert drawn[4] == 1 and drawn[3] >= 1 and sum(drawn[row] for row in (0, 1, 2, 3)) == 2
    of_a = Counter(row for step in range(300) for row in rows.at(step))
    assert min(of_a[row] for row in (0, 1, 2)) > 45  # 75 expected each: all rows of a rule are used


def test_prompts_balanced_over_their_grades_come_alike_from_each() -> None:
    """Grades 9, 4 and 1 times: any 6 in a row hold two of each, a coefficient of variation of 0."""
    grades = [0] * 9 + [1] * 4 + [2]
    rows = DrawnRows([[str(grade)] for grade in grades], Draw.BALANCED, n_rows=6, seed=0)
    for step in range(5):
        counts = Counter(grades[row] for row in rows.at(step))
        assert coefficient_of_variation(list(counts.values())) == 0 and len(counts) == 3
    # Naturally, a round of all 14: mean 14/3, squared deviations (169 + 4 + 121) / 9 over 3, so √98/3 over 14/3 = 1/√2.
    natural = DrawnRows([[]] * 14, Draw.NATURAL, n_rows=14, seed=0)
    counts = Counter(grades[row] for row in natural.at(0))
    assert coefficient_of_variation([counts[0], counts[1], counts[2]]) == pytest.approx(1 / sqrt(2))


def test_a_natural_draw_visits_every_row_once_a_round() -> None:
    rows = DrawnRows(RULES, Draw.NATURAL, n_rows=2, seed=0)
    drawn = [row for step in range(5) for row in rows.at(step)]
    assert Counter(drawn[:5]) == Counter(drawn[5:]) == Counter(range(5))


@pytest.mark.parametrize("draw", Draw)
def test_a_resumed_run_draws_what_it_would_have_drawn(draw) -> None:
    first = DrawnRows(RULES, draw, n_rows=4, seed=1)
    _ = [first.at(step) for step in range(6)]
    assert first.at(6) == DrawnRows(RULES, draw, n_rows=4, seed=1).at(6)
    assert [first.at(s) for s in range(9)] != [DrawnRows(RULES, draw, n_rows=4, seed=2).at(s) for s in range(9)]


@pytest.mark.parametrize(("rules", "n_rows"), [([], 2), (RULES, 0)])
def test_expert_rows_are_never_none(rules, n_rows) -> None:
    with pytest.raises(ValueError, match="one at least"):
        DrawnRows(rules, Draw.NATURAL, n_rows=n_rows, seed=0)

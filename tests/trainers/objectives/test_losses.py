from math import log

import pytest
import torch

from tests.trainers.mutants import assert_notices
from trainers.objectives import losses as module
from trainers.objectives.losses import answer_first_loss, balance_weights


def test_grade_and_rationale_share_the_loss_whatever_the_rationale_s_length() -> None:
    """Row 1: prompt, grade at 1/2, rationale 1/4 and 1/4. Row 2: grade at 1/8, rationale 1/2, padding.

    grade = (ln 2 + ln 8) / 2 = 2 ln 2; rationale = (ln 4 + ln 4 + ln 2) / 3 = 5/3 ln 2.
    At weight 3/4: 3/4 · 2 ln 2 + 1/4 · 5/3 ln 2 = 23/12 ln 2.
    """
    probabilities = torch.tensor([[1.0, 1 / 2, 1 / 4, 1 / 4], [1 / 8, 1 / 2, 1.0, 1.0]])
    is_counted = torch.tensor([[False, True, True, True], [True, True, False, False]])
    loss = answer_first_loss(probabilities.log(), is_counted, grade_weight=3 / 4, row_weights=torch.ones(2))
    assert loss.grade.item() == pytest.approx(2 * log(2))
    assert loss.rationale is not None and loss.rationale.item() == pytest.approx(5 / 3 * log(2))
    assert loss.total.item() == pytest.approx(23 / 12 * log(2))


def test_row_weights_weigh_the_grade_only() -> None:
    """Grades at 1/2 and 1/8 with weights 2 and 0: (2 ln 2 + 0) / 2 = ln 2; the rationale 1/2 stays ln 2."""
    probabilities = torch.tensor([[1 / 2, 1 / 2], [1 / 8, 1 / 2]])
    loss = answer_first_loss(
        probabilities.log(), torch.ones(2, 2, dtype=torch.bool), grade_weight=0.5, row_weights=torch.tensor([2.0, 0.0])
    )
    assert loss.grade.item() == pytest.approx(log(2))
    assert loss.total.item() == pytest.approx(log(2))


def test_a_batch_of_grades_alone_has_no_rationale_term() -> None:
    """Grade at 1/4 and weight 1/2: the loss is 1/2 · ln 4 = ln 2, not 0/0."""
    loss = answer_first_loss(
        torch.tensor([[1 / 4]]).log(), torch.tensor([[True]]), grade_weight=0.5, row_weights=torch.ones(1)
    )
    assert loss.rationale is None
    assert loss.total.item() == pytest.approx(log(2))


def test_a_row_without_completion_is_refused() -> None:
    is_counted = torch.tensor([[True], [False]])
    with pytest.raises(ValueError, match="no grade to learn"):
        answer_first_loss(torch.zeros(2, 1), is_counted, grade_weight=0.5, row_weights=torch.ones(2))


def test_balance_weights_average_one_over_the_rows() -> None:
    """Counts 4 and 1. Exponent 1: raw 1/4 and 1, mean over rows (4 · 1/4 + 1) / 5 = 2/5, so 5/8 and 5/2.

    Exponent 1/2: raw 1/2 and 1, mean (4 · 1/2 + 1) / 5 = 3/5, so 5/6 and 5/3.
    """
    assert balance_weights([4, 1], 1.0) == pytest.approx((5 / 8, 5 / 2))
    assert balance_weights([4, 1], 0.5) == pytest.approx((5 / 6, 5 / 3))
    assert balance_weights([4, 1], 0.0) == (1.0, 1.0)


def test_a_grade_without_rows_keeps_weight_one() -> None:
    assert balance_weights([3, 0, 3], 1.0) == pytest.approx((1.0, 1.0, 1.0))


def check_gradient(it) -> None:
    """Row 1: prompt, grade, two rationale tokens; row 2: grade, one rationale token, padding. Weight 3/4, c = (2, 1).

    By a grade's log-probability: -3/4 · c / 2 rows = -3/4 and -3/8. By each of the 3 rationale tokens: -1/4 · 1/3.
    As a share of twice as many rows and rationale tokens each is half of it.
    """
    is_counted = torch.tensor([[False, True, True, True], [True, True, False, False]])
    wanted = -torch.tensor([[0.0, 3 / 4, 1 / 12, 1 / 12], [3 / 8, 1 / 12, 0.0, 0.0]])
    for whole, share in ((None, 1.0), (it.Whole(4, 6), 0.5)):
        log_probs = torch.full((2, 4), -1.0, requires_grad=True)
        row_weights = torch.tensor([2.0, 1.0])
        it.answer_first_loss(
            log_probs, is_counted, grade_weight=3 / 4, row_weights=row_weights, whole=whole
        ).total.backward()
        assert torch.allclose(log_probs.grad, share * wanted)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("grade = -(log_probs", "grade = (log_probs"),  # sign
        ("rationale = -log_probs", "rationale = log_probs"),
        ("is_grade = is_counted & (n_before == 1)", "is_grade = is_counted & (n_before == 2)"),  # off by one
        ("is_rationale = is_counted & (n_before > 1)", "is_rationale = is_counted & (n_before > 0)"),
        (".sum() / whole.n_rows", ".mean()"),  # a share's mean in place of the batch's
        (".sum() / whole.n_rationale_tokens", ".mean()"),
        ("(log_probs[is_grade] * row_weights)", "log_probs[is_grade]"),
    ],
)
def test_the_answer_first_gradient_is_that_worked_by_hand_and_a_mistake_would_show(old, new) -> None:
    assert_notices(check_gradient, module, old, new)

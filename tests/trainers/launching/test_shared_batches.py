"""A batch that two processes share teaches what one process learns from the whole of it, filler or none."""

import torch
from transformers import Trainer

from trainers.objectives.losses import Whole, answer_first_loss
from trainers.order.planned_order import InPlannedOrder, filled_up
from trainers.sft.trainer import AnswerFirstTrainer

LOG_PROBS = torch.tensor([[1 / 2, 1 / 4, 1 / 4], [1 / 8, 1 / 2, 1.0], [1 / 4, 1 / 2, 1 / 2]]).log()
COUNTED = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])


def test_the_shares_of_a_batch_sum_to_its_loss_though_one_has_fewer_reasons_and_a_filler() -> None:
    """Rows 0 and 1 here, row 2 and a filler there: 3 rows and 3 rationale tokens in all, not 2 and 2 or 1."""
    weights = torch.tensor([1.0, 2.0, 0.5])
    whole = answer_first_loss(LOG_PROBS, COUNTED, grade_weight=0.25, row_weights=weights)
    of = Whole(n_rows=3, n_rationale_tokens=3)
    here = answer_first_loss(LOG_PROBS[:2], COUNTED[:2], grade_weight=0.25, row_weights=weights[:2], whole=of)
    filler = torch.tensor([[True, False, False]])
    there = answer_first_loss(
        LOG_PROBS[[2, 0]], torch.cat([COUNTED[2:], filler]), grade_weight=0.25,
        row_weights=torch.tensor([0.5, 0.0]), whole=of,
    )  # fmt: skip
    assert here.rationale is not None and there.rationale is not None and whole.rationale is not None
    torch.testing.assert_close(here.grade + there.grade, whole.grade)
    torch.testing.assert_close(here.rationale + there.rationale, whole.rationale)
    torch.testing.assert_close(here.total + there.total, whole.total)


def test_a_share_without_reasons_still_has_a_term_that_carries_gradients() -> None:
    log_probs = LOG_PROBS[1:2].clone().requires_grad_()
    share = answer_first_loss(
        log_probs, COUNTED[1:2], grade_weight=0.5, row_weights=torch.ones(1), whole=Whole(3, 3)
    )  # fmt: skip
    assert share.rationale is not None and share.rationale.item() == 0
    share.total.backward()
    assert log_probs.grad is not None
    torch.testing.assert_close(log_probs.grad, torch.tensor([[-0.5 / 3, 0.0, 0.0]]))


def test_the_last_batch_is_filled_up_and_whole_ones_are_left_alone() -> None:
    assert filled_up([4, 5, 6, 7, 8], batch_size=4, filler=9) == [4, 5, 6, 7, 8, 9, 9, 9]
    assert filled_up([4, 5, 6, 7], batch_size=4, filler=9) == [4, 5, 6, 7]


def test_the_hooks_that_several_processes_need_are_there() -> None:
    """Private ones of a pinned library: an upgrade that moves one would leave ours unused."""
    assert callable(Trainer._save_rng_state) and callable(Trainer._get_train_sampler)
    assert AnswerFirstTrainer._save_rng_state is InPlannedOrder._save_rng_state
    assert AnswerFirstTrainer._get_train_sampler is InPlannedOrder._get_train_sampler

"""The answer-first loss: the grade token is weighed against its rationale, not drowned in it.

In a plain token mean the grade is one token in fifty, though it is the only one that is served. Here the grade has the
share `grade_weight` of the loss and the rationale the rest, whatever its length. The split is our reconstruction: no
public text of arXiv 2602.10006 states the weight of the grade token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

IGNORED = -100


@dataclass(frozen=True, slots=True)
class AnswerFirstLoss:
    """`total` carries the gradient. `rationale` is None when no row of the batch has a rationale token."""

    total: torch.Tensor
    grade: torch.Tensor
    rationale: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Whole:
    """What the means over a batch are divided by."""

    n_rows: int
    n_rationale_tokens: int


def answer_first_loss(
    log_probs: torch.Tensor,
    is_counted: torch.Tensor,
    *,
    grade_weight: float,
    row_weights: torch.Tensor,
    whole: Whole | None = None,
) -> AnswerFirstLoss:
    """Return `w · mean_i(c_i · nll(grade_i)) + (1 - w) · mean(nll of all rationale tokens)`.

    log_probs (B, T): log-probability of each target token. is_counted (B, T): true on completion tokens, so a row's
    first true column is its grade. row_weights (B,): c_i. In a batch without rationales the second term is left out
    and the first keeps its factor, so that the grade's gradient has the same scale in every batch. `whole`: the batch
    these rows are a share of, None when they are all; the losses of all shares sum to the whole batch's. ValueError
    for a row without a grade.
    """
    if not bool(is_counted.any(dim=1).all()):
        raise ValueError("a row has no completion token, so it has no grade to learn")
    n_before = is_counted.cumsum(dim=1)  # (B, T)
    is_grade = is_counted & (n_before == 1)
    is_rationale = is_counted & (n_before > 1)
    if whole is None:
        whole = Whole(log_probs.shape[0], int(is_rationale.sum()))
    grade = -(log_probs[is_grade] * row_weights).sum() / whole.n_rows  # boolean indexing keeps row order: (B,)
    if not whole.n_rationale_tokens:
        return AnswerFirstLoss(grade_weight * grade, grade, None)
    rationale = -log_probs[is_rationale].sum() / whole.n_rationale_tokens
    return AnswerFirstLoss(grade_weight * grade + (1 - grade_weight) * rationale, grade, rationale)


def balance_weights(n_per_grade: Sequence[int], exponent: float) -> tuple[float, ...]:
    """Return a weight per grade, proportional to `count ** -exponent`, whose mean over the rows is 1.

    Exponent 0 leaves the grades as they are, 1 gives each the same total weight, 0.5 lies between. A grade without
    rows gets 1: nothing is multiplied by it.
    """
    raw = [n**-exponent if n else 0.0 for n in n_per_grade]
    mean = sum(n * weight for n, weight in zip(n_per_grade, raw, strict=True)) / sum(n_per_grade)
    return tuple(weight / mean if n else 1.0 for n, weight in zip(n_per_grade, raw, strict=True))

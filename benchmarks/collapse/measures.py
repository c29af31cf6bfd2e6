"""What the mode-collapse study measures of a model: how it does on its pool, and which rules it still knows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.collapse.model import Ranker, log_probs_of
from benchmarks.collapse.task import FIRST_RULE, N_GRADES, N_RARE, PROMPT_LENGTH, Pairs, Task

N_PER_RARE_RULE = 60  # test pairs
N_HEAD = 1500
N_POOL = 2000


@dataclass(frozen=True, slots=True)
class Held:
    """Pairs nobody trains on: of each rare rule, of heads alone, and drawn as the pool is. `paid` (n,) is the grade the
    regime's reward pays for on the latter.
    """

    rare: Pairs
    heads: Pairs
    pool: Pairs
    paid: torch.Tensor


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one model. Shares in 0..1, NLL and entropy in nats. reward: the expected (sampled) one on pool pairs.

    rare_greedy and rare_sampled (60,): per rare rule the share of its pairs whose most probable grade is right, and the
    mean probability of the right grade. Citations are of greedy completions; trace_nll is a mean over tokens.
    """

    reward: float
    greedy_reward: float
    entropy: float
    head_recall: float
    rare_greedy: tuple[float, ...]
    rare_sampled: tuple[float, ...]
    rare_citations: float
    head_citations: float
    rare_trace_nll: float
    head_trace_nll: float

    @property
    def rare_recall(self) -> float:
        """The mean over rare rules of greedy recall."""
        return float(np.mean(self.rare_greedy))

    def as_record(self) -> dict[str, Any]:
        """Return what is kept of it."""
        return asdict(self) | {"rare_recall": self.rare_recall}


def hold_back(task: Task, seed: int, rare_mass: float) -> Held:
    """Return held-back pairs; what the reward pays for on the pool is the truth until somebody says otherwise."""
    random = np.random.default_rng([seed, 13])
    pool = task.draw(N_POOL, rare_mass, random)
    return Held(task.draw_of_each(N_PER_RARE_RULE, random), task.draw(N_HEAD, 0.0, random), pool, pool.grade)


@torch.no_grad()
def measure(model: Ranker, held: Held) -> Measures:
    """Measure a model on held-back pairs."""
    rare = _grade_probabilities(model, held.rare)
    is_right = (rare.argmax(dim=1) == held.rare.grade).float().view(N_RARE, -1).mean(dim=1)
    p_right = _of(rare, held.rare.grade).view(N_RARE, -1).mean(dim=1)
    heads = _grade_probabilities(model, held.heads)
    pool = _grade_probabilities(model, held.pool)
    among_grades = pool[:, :N_GRADES] / pool[:, :N_GRADES].sum(dim=1, keepdim=True)
    return Measures(
        reward=float(_of(pool, held.paid).mean()),
        greedy_reward=float((pool.argmax(dim=1) == held.paid).float().mean()),
        entropy=float(-(among_grades * among_grades.clamp(min=1e-12).log()).sum(dim=1).mean()),
        head_recall=float((heads.argmax(dim=1) == held.heads.grade).float().mean()),
        rare_greedy=tuple(round(value, 4) for value in is_right.tolist()),
        rare_sampled=tuple(round(value, 4) for value in p_right.tolist()),
        rare_citations=_citation_rate(model, held.rare),
        head_citations=_citation_rate(model, held.heads),
        rare_trace_nll=_trace_nll(model, held.rare),
        head_trace_nll=_trace_nll(model, held.heads),
    )


def _grade_probabilities(model: Ranker, pairs: Pairs) -> torch.Tensor:
    """Return the probability of every token at the place of the grade, (n, vocabulary)."""
    return model.first_logits(pairs.prompts).softmax(dim=1)


def _of(probabilities: torch.Tensor, grade: torch.Tensor) -> torch.Tensor:
    return probabilities.gather(1, grade.unsqueeze(1)).squeeze(1)


def _citation_rate(model: Ranker, pairs: Pairs) -> float:
    """Return the share of greedy completions that cite the rule that decides."""
    cited = model.complete(pairs.prompts, 1, None)[:, 0, 1]
    return float((cited == FIRST_RULE + pairs.rule).float().mean())


def _trace_nll(model: Ranker, pairs: Pairs) -> float:
    traces = pairs.traces().unsqueeze(1)
    assert pairs.prompts.shape[1] == PROMPT_LENGTH
    return float(-log_probs_of(model.completion_logits(pairs.prompts, traces), traces).mean())

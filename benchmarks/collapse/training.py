"""The training of the mode-collapse study: supervised first, then an arm's own way on an arm's own pool.

The mathematics is that of `trainers/`: advantages, clipped loss, exact grade gradient, expert draws, refilled groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.collapse.measures import Held, Measures, hold_back, measure
from benchmarks.collapse.model import Ranker, log_probs_of
from benchmarks.collapse.task import (
    END,
    FIRST_HEAD,
    FIRST_RULE,
    N_ATTRIBUTES,
    N_GRADES,
    N_HEADS,
    SFT_RARE_MASS,
    TRACE_LENGTH,
    Pairs,
    Task,
)
from trainers.objectives.advantages import AdvantageMethod, Rollouts, advantages, carries_signal
from trainers.objectives.grade_gradient import exact_grade_loss, with_rest
from trainers.objectives.mode_balance import Draw, DrawnRows, SftWeight, sft_loss
from trainers.objectives.policy_loss import kl_loss, policy_loss
from trainers.objectives.sampling import refill
from trainers.objectives.segments import FORMAT, GRADE, N_PARTS, NOWHERE, step_part

N_EXPERTS, SFT_EPOCHS, SFT_BATCH, SFT_RATE, SFT_WARMUP = 8000, 12, 64, 1e-3, 100
N_STEPS, MEASURE_EVERY, WARMUP = 400, 50, 20
GROUP_SIZE, N_PROMPTS, N_WANTED, MAX_ROUNDS = 8, 32, 16, 4
N_EXPERTS_PER_STEP = 32
N_LOGGED = (
    20_000  # pairs of the pool that an arm draws its prompts from by rule: what a log holds, not an endless stream
)
CLAMP = 2.0
SETTINGS: Mapping[str, float] = {  # what all cells share
    "n_experts": N_EXPERTS, "sft_epochs": SFT_EPOCHS, "sft_batch": SFT_BATCH, "sft_rate": SFT_RATE,
    "n_attributes": N_ATTRIBUTES, "sft_rare_mass": SFT_RARE_MASS, "n_steps": N_STEPS, "group_size": GROUP_SIZE,
    "n_prompts": N_PROMPTS, "n_wanted": N_WANTED, "max_rounds": MAX_ROUNDS, "n_experts_per_step": N_EXPERTS_PER_STEP,
    "clamp": CLAMP,
}  # fmt: skip
RULES, VERDICT = step_part("rules"), step_part("verdict")
PARTS = (GRADE, RULES, VERDICT, FORMAT)  # of a completion's four tokens


@dataclass(frozen=True, slots=True)
class Regime:
    """What the pool shows and what the reward pays: the share of pairs under rare rules, and whether every second rare
    rule is unknown to the reward, which then pays for the head's grade.
    """

    rare_mass: float
    is_half_blind: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to go on after SFT. Without a method it is supervised alone, on expert rows or on the pool's truth."""

    method: AdvantageMethod | None
    sft_weight: float = 0.0
    draw: Draw = Draw.NATURAL
    is_grade_exact: bool = False
    kl_weight: float = 0.0
    is_on_pool: bool = False
    is_refilled: bool = True  # else one draw of groups, the silent ones counted in the mean of the loss
    by_rule: float = 0.0  # the share of prompts drawn evenly over the rules that decide the pairs of a log of the pool


REGIMES: Mapping[str, Regime] = {
    "same": Regime(SFT_RARE_MASS),
    "shifted": Regime(0.01),
    "half blind": Regime(SFT_RARE_MASS, is_half_blind=True),
    "no rare": Regime(0.0),
}
STEP, OUTCOME, SAM = AdvantageMethod.STEP, AdvantageMethod.OUTCOME, AdvantageMethod.SAM
BALANCED = Draw.BALANCED
ARMS: Mapping[str, Arm] = {
    "outcome 0": Arm(OUTCOME),
    "step 0": Arm(STEP),
    "step .1 natural": Arm(STEP, 0.1),
    "step .1 balanced": Arm(STEP, 0.1, BALANCED),
    "step .3 balanced": Arm(STEP, 0.3, BALANCED),
    "outcome .1 balanced": Arm(OUTCOME, 0.1, BALANCED),
    "sam .1 balanced": Arm(SAM, 0.1, BALANCED),
    "exact + step .1 balanced": Arm(STEP, 0.1, BALANCED, is_grade_exact=True),
    "step 0, KL .1": Arm(STEP, kl_weight=0.1),
    "step 1 balanced": Arm(STEP, 1.0, BALANCED),
    "step .1 balanced, not refilled": Arm(STEP, 0.1, BALANCED, is_refilled=False),
    "step 0, not refilled": Arm(STEP, is_refilled=False),
    "step 0, prompts by rule": Arm(STEP, by_rule=1.0),
    "step .1 balanced, prompts by rule": Arm(STEP, 0.1, BALANCED, by_rule=1.0),
    "step 0, a quarter by rule": Arm(STEP, by_rule=0.25),
    "step .1 balanced, a quarter by rule": Arm(STEP, 0.1, BALANCED, by_rule=0.25),
    "step .3 balanced, a quarter by rule": Arm(STEP, 0.3, BALANCED, by_rule=0.25),
    "exact + step .1 balanced, a quarter by rule": Arm(STEP, 0.1, BALANCED, is_grade_exact=True, by_rule=0.25),
    "sft natural": Arm(None, 1.0),
    "sft balanced": Arm(None, 1.0, BALANCED),
    "sft on the pool": Arm(None, 1.0, is_on_pool=True),
}


class Point(NamedTuple):
    """A model after some steps; silent_rate: of the groups drawn since the last point, None for SFT."""

    step: int
    measures: Measures
    silent_rate: float | None


def experts_of(task: Task, seed: int) -> Pairs:
    """Return the expert rows: what SFT is trained on, and what the supervised term draws from."""
    return task.draw(N_EXPERTS, SFT_RARE_MASS, np.random.default_rng([seed, 12]))


class Prompts:
    """Where the pairs of a round come from: the regime's endless pool, a log of it drawn evenly by rule, or both."""

    def __init__(self, task: Task, arm: Arm, regime: Regime, seed: int) -> None:
        self._task, self._regime = task, regime
        self._n_by_rule = round(arm.by_rule * N_PROMPTS)
        if self._n_by_rule:
            self._log = task.draw(N_LOGGED, regime.rare_mass, np.random.default_rng([seed, 15]))
            rules = [[str(rule)] for rule in self._log.rule.tolist()]
            self._rows = DrawnRows(rules, Draw.BALANCED, n_rows=self._n_by_rule, seed=seed)

    def at(self, step: int, random: np.random.Generator, turn: int) -> Pairs:
        """Return the pairs of a round, as the reward sees them."""
        pairs = self._task.draw(N_PROMPTS - self._n_by_rule, self._regime.rare_mass, random)
        if self._n_by_rule:
            logged = self._log.take(torch.tensor(self._rows.at(step * MAX_ROUNDS + turn)))
            pairs = Pairs(*(torch.cat([getattr(of, name) for of in (pairs, logged)]) for name in Pairs.__slots__))
        return paid(pairs, self._regime)


def train_sft(task: Task, seed: int, *, epochs: int = SFT_EPOCHS) -> Ranker:
    """Return a model trained on the expert rows."""
    model, experts = Ranker(seed), experts_of(task, seed)
    n_steps = epochs * N_EXPERTS // SFT_BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=SFT_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    rows = DrawnRows([[]] * N_EXPERTS, Draw.NATURAL, n_rows=SFT_BATCH, seed=seed)
    for step in range(n_steps):
        _set_rate(optimizer, SFT_RATE * min(1.0, (step + 1) / SFT_WARMUP) * (1 - step / n_steps))
        _descend(model, optimizer, _supervised(model, experts.take(torch.tensor(rows.at(step)))))
    return model


def held_of(task: Task, seed: int, regime: Regime) -> Held:
    """Return the held-back pairs of a regime, with what its reward pays for."""
    held = hold_back(task, seed, regime.rare_mass)
    return replace(held, paid=paid(held.pool, regime).grade)


def paid(pairs: Pairs, regime: Regime) -> Pairs:
    """Return the pairs as the regime's reward sees them: the truth, or the head's word where it is blind."""
    if not regime.is_half_blind:
        return pairs
    is_unseen = (pairs.rule >= N_HEADS) & ((pairs.rule - N_HEADS) % 2 == 1)
    grade = torch.where(is_unseen, pairs.head_grade, pairs.grade)
    return replace(pairs, grade=grade, rule=torch.where(is_unseen, pairs.head_rule, pairs.rule))


def train_arm(
    model: Ranker,
    task: Task,
    arm: Arm,
    regime: Regime,
    *,
    rate: float,
    seed: int,
    n_steps: int = N_STEPS,
    on_point: Callable[[Point], None] = lambda _: None,
) -> list[Point]:
    """Train a model that has had its SFT by an arm; return what was measured every 50 steps, the start included.

    rate: the learning rate after 20 steps of warm-up, constant from there.
    """
    held, experts = held_of(task, seed, regime), experts_of(task, seed)
    reference = Ranker(seed)
    reference.load_state_dict(model.state_dict())
    rows = DrawnRows(
        [[str(rule)] for rule in experts.rule.tolist()], arm.draw, n_rows=N_EXPERTS_PER_STEP, seed=seed
    )  # fmt: skip
    prompts = Prompts(task, arm, regime, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.0)
    points = [Point(0, measure(model, held), None)]
    on_point(points[0])
    n_drawn = n_kept = 0
    for step in range(n_steps):
        _set_rate(optimizer, rate * min(1.0, (step + 1) / WARMUP))
        random = np.random.default_rng([seed, 14, step])
        loss = torch.zeros(())
        if arm.method is not None:
            stepped = _reinforced(model, reference, arm, partial(prompts.at, step, random), random)
            loss = loss + stepped.loss
            n_drawn, n_kept = n_drawn + stepped.n_drawn, n_kept + stepped.n_kept
        if arm.sft_weight:
            if arm.is_on_pool:
                drawn = task.draw(N_EXPERTS_PER_STEP, regime.rare_mass, random)
            else:
                drawn = experts.take(torch.tensor(rows.at(step)))
            loss = loss + SftWeight(arm.sft_weight).at(step, 0.0) * _supervised(model, drawn)
        if loss.requires_grad:  # a step without any signal is no step: Adam would move by its memory alone
            _descend(model, optimizer, loss)
        if (step + 1) % MEASURE_EVERY == 0 or step + 1 == n_steps:
            points.append(Point(step + 1, measure(model, held), 1 - n_kept / n_drawn if n_drawn else None))
            on_point(points[-1])
            n_drawn = n_kept = 0
    return points


class Stepped(NamedTuple):
    """The loss of one step of reinforcement, and of its groups how many were drawn and kept."""

    loss: torch.Tensor
    n_drawn: int
    n_kept: int


class Batch(NamedTuple):
    """A round of groups: their pairs as the reward sees them, completions (P, G, 4), advantages (P, G, 4)."""

    pairs: Pairs
    completions: torch.Tensor
    advantages: torch.Tensor


def _reinforced(
    model: Ranker, reference: Ranker, arm: Arm, pairs_of: Callable[[int], Pairs], random: np.random.Generator
) -> Stepped:
    """Sample groups until enough of them have a signal, and return the loss on those."""
    torch_random = torch.Generator().manual_seed(int(random.integers(2**62)))
    batches: list[Batch] = []

    def draw(turn: int) -> list[tuple[int, int, bool]]:
        pairs = pairs_of(turn)
        completions = model.complete(pairs.prompts, GROUP_SIZE, torch_random)
        per_token = judge(pairs, completions, arm)
        batches.append(Batch(pairs, completions, per_token.view(completions.shape)))
        signals = carries_signal(per_token, GROUP_SIZE).tolist()
        return [(turn, place, has_signal) for place, has_signal in enumerate(signals)]

    n_wanted, max_rounds = (N_WANTED, MAX_ROUNDS) if arm.is_refilled else (N_PROMPTS, 1)
    filled = refill(draw, lambda group: group[2], n_wanted=n_wanted, max_rounds=max_rounds)
    loss = torch.zeros(())
    if filled.groups:
        prompts = torch.stack([batches[turn].pairs.prompts[place] for turn, place, _ in filled.groups])
        completions = torch.stack([batches[turn].completions[place] for turn, place, _ in filled.groups])
        per_token = torch.stack([batches[turn].advantages[place] for turn, place, _ in filled.groups])
        log_probs = log_probs_of(model.completion_logits(prompts, completions), completions).flatten(0, 1)
        policy = policy_loss(log_probs, per_token.flatten(0, 1), torch.ones_like(log_probs))
        loss = loss + policy * len(filled.groups) / n_wanted  # a step short of groups is a smaller step
    if arm.is_grade_exact:
        grades = model.first_logits(batches[0].pairs.prompts).log_softmax(dim=1)[:, :N_GRADES]
        rewards = torch.nn.functional.one_hot(batches[0].pairs.grade, N_GRADES + 1).float()
        # a quarter, as a grade has in the mean over a completion's four tokens
        loss = loss + exact_grade_loss(with_rest(grades), rewards, is_normalised=True) / TRACE_LENGTH
    if arm.kl_weight:
        prompts, firsts = batches[0].pairs.prompts, batches[0].completions[:, :1]  # of silent groups too
        log_probs = log_probs_of(model.completion_logits(prompts, firsts), firsts)[:, 0]
        with torch.no_grad():
            before = log_probs_of(reference.completion_logits(prompts, firsts), firsts)[:, 0]
        loss = loss + arm.kl_weight * kl_loss(log_probs, before, torch.ones_like(log_probs))
    return Stepped(loss, filled.n_drawn, len(filled.groups))


def judge(pairs: Pairs, completions: torch.Tensor, arm: Arm) -> torch.Tensor:
    """Return the advantages (P · G, 4) of completions (P, G, 4) of pairs as the reward sees them."""
    assert arm.method is not None
    grade, cited, restated, end = completions.unbind(dim=2)  # each (P, G)
    is_grade_right = grade == pairs.grade.unsqueeze(1)
    is_format_right = (grade < N_GRADES) & (cited >= FIRST_RULE) & (cited < FIRST_HEAD) & (end == END)
    verdicts = torch.full((grade.numel(), N_PARTS), torch.nan)
    for part, is_right in (
        (GRADE, is_grade_right),
        (RULES, cited == FIRST_RULE + pairs.rule.unsqueeze(1)),  # the one rule that applies and votes what is paid
        (VERDICT, restated == grade),
        (FORMAT, is_format_right),
    ):
        verdicts[:, part] = torch.where(is_right, 1.0, -1.0).flatten()
    segments = torch.tensor([NOWHERE if arm.is_grade_exact and part == GRADE else part for part in PARTS])
    rewards = (is_grade_right & is_format_right).float().reshape(-1, 1)
    rollouts = Rollouts(rewards, segments.expand(len(rewards), TRACE_LENGTH), GROUP_SIZE)
    return advantages(rollouts, verdicts, arm.method, clamp=CLAMP)


def _supervised(model: Ranker, pairs: Pairs) -> torch.Tensor:
    traces = pairs.traces().unsqueeze(1)
    log_probs = log_probs_of(model.completion_logits(pairs.prompts, traces), traces)[:, 0]
    return sft_loss(log_probs, torch.ones_like(log_probs, dtype=torch.bool))


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _descend(model: Ranker, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

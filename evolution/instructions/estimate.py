"""What a run of evolution would take, before it starts: labels and written edits, with the bounds of how it may go.

The least is that every edit fails on train and the run ends for want of success; the most, that every edit is tried on
dev as well. What a call takes is learned from earlier calls of its kind, or guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evolution.calls.estimate import Estimate, Range, call_sizes, estimate
from evolution.calls.llm import Request
from evolution.calls.paid_calls import reply_id
from evolution.instructions.desk import ServedRole
from evolution.instructions.ground import Ground
from evolution.instructions.operators import OPERATORS
from evolution.instructions.plan import PATIENCE, EvolvePlan
from evolution.instructions.prompted import Asked, EditForm
from evolution.instructions.situation import Errors, Situation
from evolution.instructions.train_search import TrainSearch
from evolution.labelling.request import OPERATOR as LABEL
from storage.store import Store

N_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class EvolveEstimate:
    """Calls of each kind: labels of the first instruction that are not held, labels of edits, edits to be written."""

    n_first: int
    n_label_least: int
    n_label_most: int
    n_written: int
    total: Estimate

    def told(self) -> str:
        """Say it in a few lines."""
        return (
            f"labels: {self.n_first} under the instruction in force, then {self.n_label_least} to {self.n_label_most} "
            f"under its edits; {self.n_written} edits written by a model\n{self.total.told()}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it for machines."""
        counts = {"first": self.n_first, "least": self.n_label_least, "most": self.n_label_most}
        return {"labels": counts, "written_edits": self.n_written, **self.total.to_json()}


def estimate_evolution(store: Store, plan: EvolvePlan, ground: Ground) -> EvolveEstimate:
    """Estimate what a run would take."""
    role = plan.labeller
    form = role.label_form(ground.start.text, ground.scale)
    requests = [form.request(one) for one in ground.materials(store).values()]
    replies = store.read("good_replies", role=role.work, provider=role.provider, model=role.model)
    held = set(replies.column("llm_call_id").to_pylist())
    n_first = sum(reply_id(request, role.provider) not in held for request in requests)
    n_train = len(ground.ids_of(dev=False))
    n_least = min(plan.n_generations, PATIENCE) * plan.n_edits * n_train
    n_most = plan.n_generations * plan.n_edits * len(ground.pair_ids)
    sample = requests[:: max(1, len(requests) // N_SAMPLE)]
    low, high = (_estimate(store, plan, role, n_first + n, sample, [LABEL]) for n in (n_least, n_most))
    written = _written(store, plan, ground)
    total = _between(low, high)
    n_written = 0
    if written is not None:
        n_written, total = written.n_calls, _sum(total, written)
    return EvolveEstimate(n_first, n_least, n_most, n_written, total)


def _written(store: Store, plan: EvolvePlan, ground: Ground) -> Estimate | None:
    """Estimate the edits a model writes: the requests that can be rendered before any label stand for all."""
    if not plan.writers:
        return None
    search = TrainSearch(ground.train, plan.scale)
    situation = Situation(ground.start, ground.start, Errors(ground.train, {}), plan.scale, search)
    evolver = plan.writers["evolver"]
    form = EditForm(evolver.model, evolver.parameters, evolver.seed)
    asked = [form.ask(OPERATORS[name], situation) for name in ("boundary_exemplars", "simplify")]
    sample = [one.request for one in asked if isinstance(one, Asked)]
    return _estimate(store, plan, evolver, plan.n_generations * plan.n_edits, sample, plan.operators)


def _estimate(
    store: Store, plan: EvolvePlan, role: ServedRole, n_calls: int, sample: list[Request], operators: Sequence[str]
) -> Estimate:
    sizes = call_sizes(store, role=role.work, operators=operators, provider=role.provider, model=role.model)
    return estimate(n_calls, sample, sizes, plan.prices.get(role.model))


def _between(low: Estimate, high: Estimate) -> Estimate:
    """Return the estimate that reaches from the lowest of one to the highest of the other."""

    def reach(one: Range, other: Range) -> Range:
        return Range(one.low, (one.middle + other.middle) / 2, other.high)

    cost = None if low.cost is None or high.cost is None else reach(low.cost, high.cost)
    return Estimate(
        high.n_calls,
        reach(low.n_requests, high.n_requests),
        reach(low.n_prompt_tokens, high.n_prompt_tokens),
        reach(low.n_reply_tokens, high.n_reply_tokens),
        cost,
        high.n_learned,
    )


def _sum(one: Estimate, other: Estimate) -> Estimate:
    return Estimate(
        one.n_calls + other.n_calls,
        one.n_requests + other.n_requests,
        one.n_prompt_tokens + other.n_prompt_tokens,
        one.n_reply_tokens + other.n_reply_tokens,
        None if one.cost is None or other.cost is None else one.cost + other.cost,
        one.n_learned + other.n_learned,
    )

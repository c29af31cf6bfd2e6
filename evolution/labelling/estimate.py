"""What labelling would take, before it starts: some of its prompts, rendered, and what earlier calls took."""

from __future__ import annotations

from evolution.calls.asking import Served
from evolution.calls.estimate import N_SAMPLE, Estimate, estimate_calls
from evolution.labelling.request import ROLE
from evolution.labelling.run import LabelPlan, asks_of, label_work
from storage.store import Store


def estimate_labels(store: Store, plan: LabelPlan) -> Estimate:
    """Estimate what a labelling run would take."""
    assert plan.llm is not None
    work = label_work(store, plan)
    n_calls = len(work.pairs)
    sampled = work.of_every(max(1, n_calls // N_SAMPLE))
    requests = [ask.request for ask in asks_of(sampled.materials(store, plan), work.form(plan))]
    served = Served(plan.llm, plan.model, plan.parameters, plan.spool_dir, prices=plan.prices)
    return estimate_calls(store, role=ROLE, served=served, n_calls=n_calls, sample=requests)

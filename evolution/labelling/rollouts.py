"""Asking a served model for the same label several times: its rollouts, what they agree on, how hard a pair is for it.

A sample is the labelling request under a temperature, with a number of its own, so the ledger tells the samples of a
pair apart and a run that is cut short goes on with those that are missing. Only train judgments say whether a rollout
is right; test pairs are never sampled. How hard a pair is stands in `difficulty_scores` as the share of right rollouts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import polars as pl

from curation.completion import render
from curation.pass_rates import pass_at
from evolution.calls.asking import Asked, Served, ask_served
from evolution.calls.estimate import Estimate, estimate_calls
from evolution.calls.paid_calls import Answer, Ask
from evolution.labelling.materials import fit_on_train, instruction_in_force, materials
from evolution.labelling.request import ROLE, LabelForm, LabelMaterial, read_label
from evolution.labelling.run import LabelPlan, asks_of
from evolution.rules.book import approved_rules, book_digest
from storage.clock import now
from storage.ids import content_id, digest
from storage.runs import start_run
from storage.store import Store

TEMPERATURE = 1.0  # where the labeller's own is 0: samples would be all alike
Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class RolloutReport:
    """What sampling did. `share` is the mean share of a pair's commonest grade, over pairs with all samples.

    `pass_rates[i]` is the mean pass@(i + 1) over `n_judged` of those pairs: the judged ones.
    """

    n_pairs: int
    n_samples: int
    n_new: int = 0
    n_scored: int = 0
    n_sampled: int = 0
    share: float | None = None
    n_judged: int = 0
    pass_rates: tuple[float, ...] = ()
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True, slots=True)
class _Sample:
    """One sample of a pair; the settled grade is None where nobody judged the pair."""

    material: LabelMaterial
    number: int
    settled_grade: int | None


@dataclass(frozen=True, slots=True)
class _Setting:
    """What decides the samples of a run: who answers, under what. `name` is part of every rollout's id."""

    served: Served
    form: LabelForm
    name: str


def sample_pairs(
    store: Store,
    plan: LabelPlan,
    n_samples: int,
    *,
    account: str | None,
    is_dry: bool = False,
    progress: Progress | None = None,
) -> RolloutReport:
    """Bring every pair to so many rollouts of the plan's model; what failed is missing and asked again next time."""
    served = _served(plan)
    asked = Asked()
    if not is_dry:
        asked.drain(store, plan.spool_dir)
    setting = _setting(store, plan, served)
    pairs = _unsampled(store, plan, setting, n_samples)
    report = RolloutReport(len(pairs), n_samples, asked=asked)
    if is_dry:
        return report
    if not pairs.is_empty():
        config = {"proposer": served.name, "setting": setting.name, "n_samples": n_samples, "n_pairs": len(pairs)}
        with start_run(store, verb="label", config=config, account=account) as run:
            n_asks = int((n_samples - pairs["samples"].list.len()).sum())
            try:
                ask_served(
                    store,
                    served,
                    _asks(store, plan, setting, pairs, n_samples),
                    role=ROLE,
                    run_id=run.run_id,
                    asked=asked,
                    take=_Taking(setting, run.run_id, report).rows,
                    progress=None if progress is None else lambda done, burn: progress(done, n_asks, burn),
                )
            finally:
                run.counts.update(pairs=len(pairs), rollouts=report.n_new, **asked.counts())
        asked.drain(store, plan.spool_dir)  # the store holds all of it by now, so this only clears the spools away
    _score(store, setting, report, account=account)
    return report


def estimate_samples(store: Store, plan: LabelPlan, n_samples: int) -> Estimate:
    """Estimate what sampling would take."""
    served = _served(plan)
    setting = _setting(store, plan, served)
    pairs = _unsampled(store, plan, setting, n_samples)
    n_asks = int((n_samples - pairs["samples"].list.len()).sum())
    shown = pairs.gather_every(max(1, len(pairs) // 200))
    requests = [ask.request for ask in _asks(store, plan, setting, shown, n_samples)]
    return estimate_calls(store, role=ROLE, served=served, n_calls=n_asks, sample=requests)


def _served(plan: LabelPlan) -> Served:
    assert plan.llm is not None
    parameters = dict(plan.parameters)
    if not parameters.get("temperature", TEMPERATURE):
        parameters["temperature"] = TEMPERATURE
    return Served(
        llm=plan.llm,
        model=plan.model,
        parameters=parameters,
        spool_dir=plan.spool_dir,
        seed=plan.seed,
        concurrency=plan.concurrency,
        limits=plan.limits,
        prices=plan.prices,
    )


def _setting(store: Store, plan: LabelPlan, served: Served) -> _Setting:
    form = LabelForm(instruction_in_force(store).text, plan.scale, plan.model, served.parameters, plan.seed)
    rule_book = book_digest(list(approved_rules(store)))
    return _Setting(served, form, digest([form.instruction, rule_book, dict(served.parameters), plan.seed]))


def _unsampled(store: Store, plan: LabelPlan, setting: _Setting, n_samples: int) -> pl.DataFrame:
    pairs = store.frame("unsampled_pairs", proposer=setting.served.name, setting=setting.name, n=n_samples)
    return pairs if plan.limit is None else pairs.head(plan.limit)


def _asks(
    store: Store, plan: LabelPlan, setting: _Setting, pairs: pl.DataFrame, n_samples: int
) -> Iterator[Ask[_Sample]]:
    """Yield the missing samples, a pair's together: the server may keep their common prompt."""
    rules = list(approved_rules(store))
    features = store.frame("all_features").join(pairs.select("pair_id"), on="pair_id", how="semi")
    found = materials(pairs, features, rules, fit_on_train(store, rules, plan.scale), with_proposals=False)
    rows = pairs.select("samples", "settled_grade").iter_rows()
    for ask, (held, settled_grade) in zip(asks_of(found, setting.form), rows, strict=True):
        for number in sorted(set(range(n_samples)) - set(held)):
            request = replace(ask.request, sample_index=number)
            yield Ask(_Sample(ask.subject, number, settled_grade), request, ask.check)


@dataclass(frozen=True, slots=True)
class _Taking:
    """Turns answers into rows of `rollouts`."""

    setting: _Setting
    run_id: str
    report: RolloutReport

    def rows(self, sample: _Sample, answer: Answer) -> dict[str, list[dict[str, Any]]]:
        """Return the row of a good answer."""
        completion = read_label(answer.text or "", sample.material).completion
        proposer, pair_id = self.setting.served.name, sample.material.pair_id
        settled = sample.settled_grade
        row = {
            "rollout_id": content_id("ro", pair_id, proposer, self.setting.name, sample.number),
            "pair_id": pair_id,
            "sample": sample.number,
            "completion": render(completion, sample.material.scale),
            "grade": completion.grade,
            "is_right": None if settled is None else completion.grade == settled,
            "proposer": proposer,
            "llm_call_id": answer.llm_call_id,
            "run_id": self.run_id,
            "created_at": now(),
        }
        self.report.n_new += 1
        return {"rollouts": [row]}


def _score(store: Store, setting: _Setting, report: RolloutReport, *, account: str | None) -> None:
    """Tell what the samples agree on, and note how hard each judged pair with all samples is, once for each finding."""
    n, proposer = report.n_samples, setting.served.name
    tallies = store.read("rollout_tallies", proposer=proposer, setting=setting.name, n=n).to_pylist()
    whole = [tally for tally in tallies if len(tally["grades"]) == n]
    judged = [tally for tally in whole if tally["settled_grade"] is not None]
    report.n_sampled, report.n_judged = len(whole), len(judged)
    report.share = fmean(agreed_share(tally["grades"]) for tally in whole) if whole else None
    n_right = [tally["grades"].count(tally["settled_grade"]) for tally in judged]
    rates = [[pass_at(k, n_samples=n, n_right=right) or 0.0 for right in n_right] for k in range(1, n + 1)]
    report.pass_rates = tuple(map(fmean, rates)) if judged else ()
    held = {
        row["pair_id"]: (row["pass_rate"], row["n"])
        for row in store.read("difficulty_of_setting", proposer=proposer, setting=setting.name).to_pylist()
    }
    scores = {tally["pair_id"]: right / n for tally, right in zip(judged, n_right, strict=True)}
    new = {pair_id: rate for pair_id, rate in scores.items() if held.get(pair_id) != (rate, n)}
    if not new:
        return
    config = {"proposer": proposer, "setting": setting.name, "n_samples": n, "scored": len(new)}
    with start_run(store, verb="label", config=config, account=account) as run:
        rows = [
            {
                "difficulty_score_id": content_id("ds", run.run_id, pair_id),
                "pair_id": pair_id,
                "pass_rate": rate,
                "n": n,
                "proposer": proposer,
                "run_id": run.run_id,
                "created_at": now(),
            }
            for pair_id, rate in new.items()
        ]
        report.n_scored = store.append({"difficulty_scores": rows}).get("difficulty_scores", 0)
        run.counts.update(scored=report.n_scored)


def agreed_share(grades: Sequence[int]) -> float:
    """Return the share of the commonest grade (self-consistency), 0 to 1; ValueError over no grades."""
    if not grades:
        raise ValueError("no grades, so none is the commonest")
    return Counter(grades).most_common(1)[0][1] / len(grades)

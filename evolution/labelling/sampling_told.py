"""What `afrel label --samples` says of itself: the run, its estimate, and how to go on when it is interrupted."""

from __future__ import annotations

import json
from dataclasses import dataclass

import typer

from evolution.calls.estimate import Estimate
from evolution.calls.interrupted import going_on
from evolution.labelling.rollouts import Progress, RolloutReport, estimate_samples, sample_pairs
from evolution.labelling.run import LabelPlan
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Sampled:
    """What sampling did; of a dry run with its estimate. `again` is the command that goes on with it."""

    report: RolloutReport
    estimate: Estimate | None
    again: str


def sample(
    store: Store, plan: LabelPlan, n_samples: int, *, account: str | None, is_dry: bool, progress: Progress
) -> Sampled:
    """Sample, or estimate it; exit status 130 when interrupted."""
    again = f"afrel label --provider openai --samples {n_samples}"
    with going_on(again):
        report = sample_pairs(store, plan, n_samples, account=account, is_dry=is_dry, progress=progress)
    return Sampled(report, estimate_samples(store, plan, n_samples) if is_dry else None, again)


def tell(sampled: Sampled, *, as_json: bool) -> None:
    """Print what came of it; exit status 1 when every call failed."""
    report = sampled.report
    if as_json:
        print(json.dumps(_counts(report, sampled.estimate), ensure_ascii=False))
    else:
        _tell(report, sampled.estimate, again=sampled.again)
    if report.asked.failures and not report.n_new:
        raise typer.Exit(1)  # a script must see that nothing was sampled


def _counts(report: RolloutReport, estimate: Estimate | None) -> dict[str, object]:
    return {
        "pairs": report.n_pairs,
        "samples": report.n_samples,
        "new_rollouts": report.n_new,
        "scored": report.n_scored,
        "sampled_pairs": report.n_sampled,
        "self_consistency": report.share,
        "judged_pairs": report.n_judged,
        "pass_at": {str(k): rate for k, rate in enumerate(report.pass_rates, 1)},
        "estimate": None if estimate is None else estimate.to_json(),
        **report.asked.counts(),
    }


def _tell(report: RolloutReport, estimate: Estimate | None, *, again: str) -> None:
    asked = report.asked
    if estimate is not None:
        print(f"{report.n_pairs} pairs lack some of {report.n_samples} samples (dry run)")
        if report.n_pairs:
            print(estimate.told())
        return
    if not report.n_pairs and not report.n_scored:
        print(f"nothing to do: every pair has {report.n_samples} samples of this model under this rule book")
    elif report.n_pairs:
        print(f"{report.n_new} rollouts of {report.n_pairs} pairs")
    if report.share is not None:
        print(f"self-consistency {report.share:.3f} over {report.n_sampled} pairs with all samples")
    if report.pass_rates:
        shown = ", ".join(f"pass@{k} {rate:.3f}" for k, rate in enumerate(report.pass_rates, 1))
        print(f"{shown} over {report.n_judged} judged train pairs; {report.n_scored} new difficulty scores")
    asked.tell(again=again, lost=" and left no rollout")

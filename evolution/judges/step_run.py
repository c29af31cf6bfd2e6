"""The run of step verdicts: every rationale on a train pair that has a reference, once for each judge and reference.

Verdicts are facts beside the rationale. They move the review queue only where a review cause asks for them, and of a
judge with a passing card only: the owner of the store sees to that (storage/process/maintained.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from curation.completion import steps_from_json
from evolution.calls.asking import Asked, Served, ask_in_run
from evolution.calls.burn_bar import BurnBar
from evolution.calls.estimate import Estimate, estimate_calls
from evolution.calls.paid_calls import Answer, Ask
from evolution.judges.references import reference_of
from evolution.judges.step_requests import ROLE, StepMaterial, check_steps, read_steps, steps_request
from storage.clock import now
from storage.grades import Scale
from storage.ids import content_id
from storage.store import Store

VERB = "judge steps"


@dataclass(frozen=True, slots=True)
class StepPlan:
    """Which judge is asked about at most how many rationales."""

    scale: Scale
    served: Served
    limit: int | None = None


@dataclass(slots=True)
class StepReport:
    """What judging did. `errors` count wrong steps by error type, `has_card` whether the judge's word may order."""

    judge: str
    n_rationales: int
    n_verdicts: int = 0
    n_wrong: int = 0
    has_card: bool = False
    errors: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    asked: Asked = field(default_factory=Asked)
    estimate: Estimate | None = None


def judge_steps(
    store: Store, plan: StepPlan, *, account: str | None, is_dry: bool = False, progress: BurnBar | None = None
) -> StepReport:
    """Have every rationale judged that has no verdicts of this judge on its reference yet."""
    served, asked = plan.served, Asked()
    if not is_dry:
        asked.drain(store, served.spool_dir)
    found = rationales_to_judge(store, plan)
    standing = {row["judge"]: row["is_passed"] for row in store.read("judge_standing").to_pylist()}
    report = StepReport(served.name, len(found), has_card=standing.get(served.name, False), asked=asked)
    report.kinds.update(one.reference.kind.value for one in found)
    if is_dry:
        sample = [ask.request for ask in _asks(found[:: max(1, len(found) // 200)], plan)]
        report.estimate = estimate_calls(store, role=ROLE, served=served, n_calls=len(found), sample=sample)
    if is_dry or not found:
        return report
    ask_in_run(
        store,
        served,
        _asks(found, plan),
        verb=VERB,
        role=ROLE,
        config={"judge": served.name, "n_rationales": len(found)},
        account=account,
        asked=asked,
        take_in=lambda run_id: _Taking(served.name, run_id, report).rows,
        counts=lambda: {"verdicts": report.n_verdicts, "wrong": report.n_wrong},
        progress=None if progress is None else lambda done, burn: progress(done, len(found), burn),
    )
    return report


def rationales_to_judge(store: Store, plan: StepPlan) -> list[StepMaterial]:
    """Return the rationales this judge has not judged against what there is to hold them against now."""
    judged = set(store.frame("judged_rationales", judge=plan.served.name).iter_rows())
    found = (_material(row, plan.scale) for row in store.frame("rationales_to_judge").iter_rows(named=True))
    new = (one for one in found if (one.candidate_id, one.reference.digest) not in judged)
    return list(islice(new, plan.limit))


def _asks(found: Iterable[StepMaterial], plan: StepPlan) -> Iterator[Ask[StepMaterial]]:
    for one in found:
        request = steps_request(one, scale=plan.scale, served=plan.served)
        yield Ask(one, request, partial(check_steps, material=one))


def _material(row: Mapping[str, Any], scale: Scale) -> StepMaterial:
    return StepMaterial(
        candidate_id=row["candidate_id"],
        pair_id=row["pair_id"],
        query=row["query"],
        title=row["title"],
        body=row["body"],
        fields={name: str(value) for name, value in json.loads(row["fields"] or "{}").items()},
        grade=row["grade"],
        steps=steps_from_json(row["steps"]),
        reference=reference_of(row, scale),
    )


@dataclass(frozen=True, slots=True)
class _Taking:
    """Turns answers into rows of `step_verdicts`."""

    judge: str
    run_id: str
    report: StepReport

    def rows(self, material: StepMaterial, answer: Answer) -> dict[str, list[dict[str, Any]]]:
        """Return a row for each step of a good answer."""
        verdicts = read_steps(answer.text or "", material)
        self.report.n_verdicts += len(verdicts)
        wrong = [one.error_type for one in verdicts if one.verdict < 0]
        self.report.n_wrong += len(wrong)
        self.report.errors.update(wrong)
        reference, at = material.reference, now()
        return {
            "step_verdicts": [
                {
                    "step_verdict_id": content_id("sv", material.candidate_id, one.step, self.judge, reference.digest),
                    "candidate_id": material.candidate_id,
                    "step": one.step,
                    "verdict": one.verdict,
                    "verifier": self.judge,
                    "reference": reference.kind.value,
                    "reference_digest": reference.digest,
                    "aligned_to": list(one.aligned_to),
                    "error_type": one.error_type,
                    "explanation": one.explanation,
                    "llm_call_id": answer.llm_call_id,
                    "run_id": self.run_id,
                    "created_at": at,
                }
                for one in verdicts
            ]
        }

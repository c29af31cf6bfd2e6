"""The run that refines weak rationales: original < refined, kept as a preference that names the machine behind it.

Weak is a rationale of which some judge found a step wrong. The audit is kept as verdicts of the critic, which order no
queue; the preference has a proposer and no response, so nobody takes it for an expert's edit, and exports leave it out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl

from curation.completion import steps_from_json
from evolution.calls.asking import Asked, Served, ask_in_run
from evolution.calls.burn_bar import BurnBar
from evolution.calls.estimate import Estimate, estimate_calls
from evolution.calls.paid_calls import Answer, Ask
from evolution.judges.refine_requests import (
    ROLE,
    RefineMaterial,
    check_refined,
    complaint_lines,
    read_refined,
    refine_request,
)
from evolution.labelling.materials import fit_on_train, instruction_in_force, materials
from evolution.rules.book import approved_rules
from storage.clock import now
from storage.grades import Scale
from storage.ids import content_id, digest
from storage.rows import PreferenceRow
from storage.store import Store

VERB = "judge refine"
AUDIT = "audit"  # what the critic's verdicts were held against: the pair itself


@dataclass(frozen=True, slots=True)
class RefinePlan:
    """Which critic is asked about at most how many weak rationales."""

    scale: Scale
    served: Served
    limit: int | None = None

    @property
    def critic(self) -> str:
        """The critic as its verdicts name it: no judge, so no card lets it order anything."""
        return f"{self.served.name} (critic)"


@dataclass(slots=True)
class RefineReport:
    """What refining did. `n_sound` rationales were found right in every step and stay as they are."""

    critic: str
    n_weak: int
    has_verdicts: bool
    n_refined: int = 0
    n_sound: int = 0
    asked: Asked = field(default_factory=Asked)
    estimate: Estimate | None = None


def refine_rationales(
    store: Store, plan: RefinePlan, *, account: str | None, is_dry: bool = False, progress: BurnBar | None = None
) -> RefineReport:
    """Have every weak rationale audited and rewritten that this critic has not seen."""
    served, asked = plan.served, Asked()
    if not is_dry:
        asked.drain(store, served.spool_dir)
    weak = store.frame("weak_rationales", critic=plan.critic)
    weak = weak if plan.limit is None else weak.head(plan.limit)
    has_verdicts = bool(store.read("n_step_verdicts").to_pylist()[0]["n"])
    report = RefineReport(served.name, len(weak), has_verdicts, asked=asked)
    if is_dry:
        shown = [ask.request for ask in _asks(store, plan, weak.gather_every(max(1, len(weak) // 200)))]
        report.estimate = estimate_calls(store, role=ROLE, served=served, n_calls=len(weak), sample=shown)
    if is_dry or weak.is_empty():
        return report
    ask_in_run(
        store,
        served,
        _asks(store, plan, weak),
        verb=VERB,
        role=ROLE,
        config={"critic": served.name, "n_weak": len(weak)},
        account=account,
        asked=asked,
        take_in=lambda run_id: _Taking(plan, run_id, report).rows,
        counts=lambda: {"refined": report.n_refined, "sound": report.n_sound},
        progress=None if progress is None else lambda done, burn: progress(done, len(weak), burn),
    )
    return report


def _asks(store: Store, plan: RefinePlan, weak: pl.DataFrame) -> Iterator[Ask[RefineMaterial]]:
    rules = list(approved_rules(store))
    features = store.frame("all_features").join(weak.select("pair_id"), on="pair_id", how="semi")
    instruction = instruction_in_force(store).text
    labels = materials(weak, features, rules, fit_on_train(store, rules, plan.scale), with_proposals=False)
    for row, label in zip(weak.iter_rows(named=True), labels, strict=True):
        steps = steps_from_json(row["steps"])
        material = RefineMaterial(row["candidate_id"], row["grade"], steps, complaint_lines(row["wrong_steps"]), label)
        request = refine_request(material, instruction=instruction, served=plan.served)
        yield Ask(material, request, partial(check_refined, material=material))


@dataclass(frozen=True, slots=True)
class _Taking:
    """Turns answers into rows: the audit's verdicts, and the preference where something was mended."""

    plan: RefinePlan
    run_id: str
    report: RefineReport

    def rows(self, material: RefineMaterial, answer: Answer) -> dict[str, Sequence[dict[str, Any]]]:
        """Return the rows of a good answer."""
        refined = read_refined(answer.text or "", material)
        at, named = now(), digest([[step.label, step.text] for step in material.steps])
        verdicts = [
            {
                "step_verdict_id": content_id("sv", material.candidate_id, one.step, self.plan.critic, named),
                "candidate_id": material.candidate_id,
                "step": one.step,
                "verdict": 1 if one.is_right else -1,
                "verifier": self.plan.critic,
                "reference": AUDIT,
                "reference_digest": named,
                "explanation": one.why,
                "llm_call_id": answer.llm_call_id,
                "run_id": self.run_id,
                "created_at": at,
            }
            for one in refined.audit
        ]
        if refined.completion is None:
            self.report.n_sound += 1
            return {"step_verdicts": verdicts}
        self.report.n_refined += 1
        chosen = _said(material.grade, refined.completion.steps)
        preference = PreferenceRow(
            preference_id=content_id("pf", material.candidate_id, self.plan.served.name, chosen),
            pair_id=material.label.pair_id,
            chosen=chosen,
            rejected=_said(material.grade, material.steps),
            run_id=self.run_id,
            created_at=at,
            candidate_id=material.candidate_id,
            proposer=self.plan.served.name,
            llm_call_id=answer.llm_call_id,
        )
        return {"step_verdicts": verdicts, "preferences": [preference.to_mapping()]}


def _said(grade: int, steps: Sequence[Any]) -> str:
    """Return one side of a preference, as an expert's edit is stored."""
    said = {"grade": grade, "steps": [[step.label, step.text] for step in steps]}
    return json.dumps(said, ensure_ascii=False)

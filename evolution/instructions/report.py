"""What `afrel evolve` prints: the versions that stand, every edit with its reason, what it took, what to type next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from evolution.calls.asking import Asked
from evolution.instructions.estimate import EvolveEstimate
from evolution.instructions.ground import Ground
from evolution.instructions.plan import EvolvePlan
from evolution.instructions.rows import Outcome
from evolution.instructions.run import EvolveReport
from evolution.instructions.situation import Written
from evolution.instructions.trial import Contender


def print_evolved(report: EvolveReport, plan: EvolvePlan, *, as_json: bool) -> None:
    """Print a report, for a person or as JSON."""
    if as_json:
        print(json.dumps(_as_json(report, plan), ensure_ascii=False))
        return
    if report.finished_before:
        print(f"nothing to do: {report.finished_before} evolved the same instruction on the same judgments")
        return
    _print_ground(report.ground)
    for one in report.outcomes:
        print(_told(one))
    n_tried = sum(one.version is not None for one in report.outcomes)
    print(
        f"{len(report.outcomes)} edits by {plan.proposer} in {report.n_generations} generations: {n_tried} tried, "
        f"{len(report.accepted)} accepted"
    )
    for reason, n in report.turned_away.most_common():
        print(f"{n} turned away: {reason}")
    calls = report.calls
    asked = Asked(
        n_held=calls.n_held,
        n_drained=report.n_drained,
        n_in_flight=report.n_in_flight,
        stopped=report.stopped,
        burn=report.burn,
        failures=calls.failures,
    )
    asked.tell(again="afrel evolve")
    _print_best(report)


def print_dry(
    ground: Ground,
    plan: EvolvePlan,
    edits: Mapping[str, Written],
    estimate: EvolveEstimate | None,
    *,
    as_json: bool,
) -> None:
    """Print what a run would do and take, and the model-free edits that need no labels."""
    if as_json:
        whole = {
            "train": len(ground.ids_of(dev=False)),
            "dev": len(ground.ids_of(dev=True)),
            "slices": [one.name for one in ground.slices],
            "forgotten_rules": [one.rule_id for one in ground.forgotten],
            "instruction_id": ground.start.instruction_id,
            "operators": list(plan.operators),
            "edits": [
                {"operator": name, "text": one.text, "change": one.change, "pair_ids": list(one.pair_ids)}
                for name, one in edits.items()
            ],
            "estimate": None if estimate is None else estimate.to_json(),
        }
        print(json.dumps(whole, ensure_ascii=False))
        return
    _print_ground(ground)
    for name, one in edits.items():
        print(f"{name}: {one.change}")
    if others := [name for name in plan.operators if name not in edits]:
        print(f"without labels or a model nothing can be shown of {', '.join(others)}")
    if estimate is None:
        print("no model named under [llm] in afrel.toml, so nothing can be estimated (dry run)")
        return
    print(estimate.told())


def _print_ground(ground: Ground) -> None:
    if ground.blank_id:
        print(f"{ground.blank_id}, the instruction in force, is empty: the built-in one is evolved instead")
    n_train, n_dev = len(ground.ids_of(dev=False)), len(ground.ids_of(dev=True))
    print(
        f"{ground.start.instruction_id} (generation {ground.start.generation}, {len(ground.start.text)} characters) on "
        f"{n_train} train and {n_dev} dev pairs, {len(ground.gated)} slices"
    )
    if ground.forgotten:
        n_watched = int((~ground.is_drawn).sum())
        print(
            f"{len(ground.forgotten)} approved rules were forgotten when a model was last trained: {n_watched} of "
            "these pairs are scored for them, which the gate alone looks at"
        )


def _print_best(report: EvolveReport) -> None:
    for one in report.population:
        print(f"{one.version.instruction_id}  dev objective {one.objective:.3f}  generation {one.version.generation}")
    best = report.population[0] if report.population else None
    if best is not None and report.start is not None and best is not report.start:
        name = best.version.instruction_id
        print(f"read it: afrel instructions diff {report.start.version.instruction_id} {name}")
        print(f"put it in force: afrel --as ACCOUNT approve --kind instruction {name}")


def _told(one: Outcome) -> str:
    name = one.version.instruction_id if one.version else "-"
    standing = "accepted" if one.is_accepted else "turned away"
    return f"{name}  {one.operator}  {standing}: {one.reason}" + (f"  [{one.change}]" if one.change else "")


def _as_json(report: EvolveReport, plan: EvolvePlan) -> dict[str, Any]:
    ground = report.ground
    return {
        "finished_before": report.finished_before,
        "instruction_id": ground.start.instruction_id,
        "blank_instruction_id": ground.blank_id,
        "train": len(ground.ids_of(dev=False)),
        "dev": len(ground.ids_of(dev=True)),
        "slices": [one.name for one in ground.slices],
        "forgotten_rules": [one.rule_id for one in ground.forgotten],
        "labeller": plan.labeller.name,
        "proposer": plan.proposer,
        "generations": report.n_generations,
        "edits": [_outcome_json(one) for one in report.outcomes],
        "accepted": len(report.accepted),
        "turned_away": dict(report.turned_away),
        "population": [_contender_json(one) for one in report.population],
        "exchanges": report.calls.n_exchanges,
        "held_replies": report.calls.n_held,
        "drained_replies": report.n_drained,
        "in_flight_when_cut_short": report.n_in_flight,
        "failures": dict(report.calls.failures),
        "used": report.burn or None,
        "stopped": report.stopped,
    }


def _outcome_json(one: Outcome) -> dict[str, Any]:
    return {
        "operator": one.operator,
        "parent_id": one.parent.instruction_id,
        "instruction_id": one.version.instruction_id if one.version else None,
        "is_accepted": one.is_accepted,
        "reason": one.reason,
        "change": one.change,
        "gain": one.gain.value if one.gain else None,
        "gain_low": one.gain.low if one.gain else None,
        "gain_high": one.gain.high if one.gain else None,
    }


def _contender_json(one: Contender) -> dict[str, Any]:
    version = one.version
    return {
        "instruction_id": version.instruction_id,
        "generation": version.generation,
        "dev_objective": one.objective,
        "characters": len(version.text),
    }

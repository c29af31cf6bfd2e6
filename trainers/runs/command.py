"""`afrel runs`: what was trained; `afrel runs compare`: whether one model is better than another."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.session import Session
from trainers.commands import EvaluatedSplit, JsonOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from storage.training.run_list import RunLine
    from trainers.evaluation.comparison import Difference, McNemar, RuleDifference
    from trainers.evaluation.metrics import Measure

N_RULES_SHOWN = 20

runs = typer.Typer(name="runs", help="What was trained, and how runs compare.", rich_markup_mode=None)


@runs.callback(invoke_without_command=True)
def runs_list(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the runs of `train`: how far each is, what it started from, how good it is on dev, which rules it forgot.

    Example: afrel -w shop runs
    """
    if ctx.invoked_subcommand is not None:
        return
    from storage.training.run_list import list_runs

    session: Session = ctx.obj
    lines = list_runs(session.workspace.runs_dir)
    with session.store() as store:
        measured = {(row["train_run_id"], row["metric"]): row for row in store.read("dev_measures").to_pylist()}
        forgotten = store.read("forgotten_rules").to_pylist()
    dev = {
        line.run_id: {m: measured[line.run_id, m] for m in ("accuracy", "macro_f1") if (line.run_id, m) in measured}
        for line in lines
    }
    if as_json:
        told = [
            {
                **asdict(line),
                "dev": {m: {"value": row["value"], "n": row["n"]} for m, row in dev[line.run_id].items()},
                "forgotten": [
                    {name: row[name] for name in ("rule_id", "step", "n", "recall_before", "recall_after")}
                    for row in forgotten
                    if row["train_run_id"] == line.run_id
                ],
            }
            for line in lines
        ]
        print(json.dumps(told, ensure_ascii=False))
        return
    if not lines:
        print(f"no runs under {session.workspace.runs_dir}. Train one: afrel train sft")
    for line in lines:
        print(_in_words(line, {metric: row["value"] for metric, row in dev[line.run_id].items()}))
        _print_forgotten([row for row in forgotten if row["train_run_id"] == line.run_id])


@runs.command()
def compare(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="A run's id or folder.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another's.")],
    split: Annotated[EvaluatedSplit, typer.Option(help="On which rows.")] = EvaluatedSplit.TEST,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", metavar="S", help="Which snapshot's rows; default: the last both share.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two evaluated runs on the pairs both graded: McNemar, paired bootstrap, retention, recall by rule.

    Example: afrel -w shop runs compare run_4c1f09ab32 run_77aa01bc3d
    """
    import numpy as np

    from storage.people.accounts import Act
    from trainers.evaluation.comparison import Answered, differences, mcnemar, rule_differences
    from trainers.prerequisites import find_snapshot, require_snapshot
    from trainers.rows.snapshot_rows import load
    from trainers.runs.directory import open_run

    session: Session = ctx.obj
    session.allow(Act.TRAIN)
    names = [open_run(session.workspace.runs_dir, name).run_id for name in (a, b)]
    with session.store(sees_test=True) as store:
        held = [store.read("predictions_of", train_run_id=name, split=split.value).to_pylist() for name in names]
    chosen = _shared_snapshot(names, [_last_by_snapshot(rows) for rows in held], split.value, snapshot)
    directory = find_snapshot(session, chosen, None)
    scale = require_snapshot(session, directory, None, tiers=None).scale
    first, second = ({row["pair_id"]: row for row in rows if row["snapshot_id"] == chosen} for rows in held)
    rows = [
        row
        for row in load(directory, splits=[split.value])[split.value]
        if row["pair_id"] in first.keys() & second.keys()
    ]
    truth = np.array([scale.position(row["grade"]) for row in rows], dtype=np.int64)
    ours, theirs = (
        Answered(
            np.array([scale.position(side[row["pair_id"]]["grade"]) for row in rows], dtype=np.int64),
            np.array([side[row["pair_id"]]["probabilities"] for row in rows], dtype=np.float64),
        )
        for side in (first, second)
    )
    is_right = ours.places == truth, theirs.places == truth
    paired = mcnemar(*is_right)
    metrics, retention = differences(truth, ours, theirs, [row["query_id"] for row in rows], grades=scale.values)
    rules = rule_differences([row["rule_ids"] for row in rows], *is_right)
    if as_json:
        print(
            json.dumps(
                {
                    "a": names[0], "b": names[1], "snapshot_id": chosen, "split": split.value, "n": len(rows),
                    "mcnemar": asdict(paired), "differences": [asdict(one) for one in metrics],
                    "retention": asdict(retention),
                    "rules": [asdict(one) for one in rules],
                }
            )
        )  # fmt: skip
        return
    print(f"A {names[0]} and B {names[1]} on {len(rows)} {split} pairs of {chosen}")
    print("\n".join(_comparison_in_words(paired, metrics, retention, rules)))


def _last_by_snapshot(rows: Sequence[Mapping[str, Any]]) -> dict[str, datetime]:
    """Return the snapshots a run was measured on, with when it was."""
    found: dict[str, datetime] = {}
    for row in rows:
        name, at = row["snapshot_id"], row["created_at"]
        found[name] = max(found.get(name, at), at)
    return found


def _shared_snapshot(
    names: Sequence[str], measured: Sequence[Mapping[str, datetime]], split: str, wanted: str | None
) -> str:
    """Return the snapshot to compare on; UserError names what is to be evaluated first."""
    from storage.errors import UserError

    for name, snapshots in zip(names, measured, strict=True):
        if not snapshots or (wanted is not None and wanted not in snapshots):
            on = f" of {wanted}" if wanted else ""
            option = f" --snapshot {wanted}" if wanted else ""
            raise UserError(
                f"{name} was not measured on {split} rows{on} yet. "
                f"Measure it: afrel evaluate {name} --split {split}{option}"
            )
    if wanted is not None:
        return wanted
    shared = measured[0].keys() & measured[1].keys()
    if not shared:
        last = max(measured[0], key=lambda name: measured[0][name])
        raise UserError(
            f"{names[0]} was measured on {sorted(measured[0])}, {names[1]} on {sorted(measured[1])}: no common pairs."
            f" Measure both on the same: afrel evaluate {names[1]} --split {split} --snapshot {last}"
        )
    return max(shared, key=lambda name: measured[0][name])


def _in_words(line: RunLine, dev: Mapping[str, float]) -> str:
    if line.problem is not None:
        return f"{line.run_id}  {line.status}: {line.problem}"
    steps = f"{line.done}/{line.total} steps" if line.total else "no step told yet"
    parts = [
        f"{line.run_id}  {line.status:<8}  {line.method:<4}  from {line.started_from}  on {line.snapshot_id}",
        f"{line.n_rows} rows", steps,
        *([f"{line.seconds:.0f} s"] if line.seconds is not None else []),
        *([f"loss {line.loss:.3f}"] if line.loss is not None else []),
        *(f"dev {metric} {value:.3f}" for metric, value in dev.items() if value is not None),
    ]  # fmt: skip
    return " · ".join(parts)


def _print_forgotten(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows[:N_RULES_SHOWN]:
        print(
            f"  forgot {row['rule_id']} at step {row['step']}: recall {row['recall_before']:.2f} → "
            f"{row['recall_after']:.2f} on {row['n']} dev pairs · {(row['text'] or 'a rule of another workspace')[:60]}"
        )
    if len(rows) > N_RULES_SHOWN:
        print(f"  and {len(rows) - N_RULES_SHOWN} more: runs --json")


def _comparison_in_words(
    paired: McNemar, metrics: Sequence[Difference], retention: Measure, rules: Sequence[RuleDifference]
) -> list[str]:
    lines = [
        f"right: both {paired.n_both}, only A {paired.n_only_a}, only B {paired.n_only_b}, neither {paired.n_neither}"
        f" · McNemar p = {paired.p:.3g}",
        f"{'':<20}{'A':>8}{'B':>8}  {'B - A':<26}p",
    ]
    for one in metrics:
        if one.a is None or one.b is None or one.difference is None:
            lines.append(f"{one.metric:<20}undefined")
            continue
        interval = f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
        lines.append(f"{one.metric:<20}{one.a:>8.3f}{one.b:>8.3f}  {interval:<26}{one.p:.3g}")
    if retention.value is not None:
        lines.append(f"B keeps {retention.value:.3f} [{retention.low:.3f}, {retention.high:.3f}] of A's macro_f1")
    if rules:
        lines.append(f"{'recall by rule':<20}{'A':>8}{'B':>8}  {'B - A':<8}{'n':>6}  p")
        lines += [
            f"{one.rule_id:<20}{one.a:>8.3f}{one.b:>8.3f}  {one.b - one.a:<+8.3f}{one.n:>6}  {one.p:.3g}"
            for one in rules[:N_RULES_SHOWN]
        ]
    if len(rules) > N_RULES_SHOWN:
        lines.append(f"and {len(rules) - N_RULES_SHOWN} more rules: runs compare --json")
    return lines

"""`afrel train`: from a verified snapshot and a configuration to a run, here, in several processes, or by a job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.session import Session
from trainers.commands import ConfigOption, JsonOption, PinsOption, SnapshotOption
from trainers.methods import Method

if TYPE_CHECKING:
    from storage.snapshots.manifest import Manifest
    from trainers.methods import Plan
    from trainers.runs.directory import RunDirectory

StartOption = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="M", help="sft, dapt: tiny (default), a Hugging Face id, a folder, a run; dpo, grpo: a run."
    ),
]
LauncherOption = Annotated[
    str | None,
    typer.Option(
        "--launcher", metavar="L", help="accelerate, or accelerate:CONFIG with cpu, fsdp, zero2, zero3 or a file."
    ),
]


def train(
    ctx: typer.Context,
    method: Annotated[Method, typer.Argument(help="How to train.")],
    snapshot: SnapshotOption = None,
    config: ConfigOption = None,
    model: StartOption = None,
    seed: Annotated[int | None, typer.Option(help="The seed of weights and order.")] = None,
    launcher: LauncherOption = None,
    pins: PinsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify and resolve; train nothing.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the configuration's JSON Schema.")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Verify, then leave it to a job: afrel jobs.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Leave it to a job and follow that to its end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train an answer-first model from a signed snapshot; a killed run goes on where it was.

    Example: afrel -w shop train sft --snapshot snap_91be4c01d2aa --model tiny
    """
    from storage.people.accounts import Act
    from trainers.methods import configuration_of, plan_run, read_configuration
    from trainers.prerequisites import find_snapshot, require_snapshot

    session: Session = ctx.obj
    if schema:
        print(json.dumps(configuration_of(method).model_json_schema(), ensure_ascii=False))
        return
    if pins is None:
        session.allow(Act.TRAIN)
    runs_dir = Path("runs").resolve() if pins else session.workspace.runs_dir
    asked = read_configuration(method, config, {"model": model, "seed": seed}, runs_dir)
    directory = find_snapshot(session, snapshot, pins)
    manifest = require_snapshot(session, directory, pins, tiers=asked.tiers)
    if launcher is not None:
        from trainers.launching.choice import choose_launch
        from trainers.launching.launcher import train_in_processes

        launch = choose_launch(launcher, method.value, asked)
    if (queue or wait) and not dry_run:
        from trainers.queueing import queue_training

        options = {"--model": model, "--seed": seed, "--launcher": launcher}
        queue_training(
            session, method.value, directory, options, config=config, pins=pins, is_followed=wait, as_json=as_json
        )
        return
    plan = plan_run(session, asked, directory, manifest, runs_dir, is_away=pins is not None)
    if dry_run:
        resolution = {"snapshot": manifest.snapshot_id, **plan.config.model_dump(mode="json")}
        print(json.dumps(resolution, ensure_ascii=False))
        return
    trained = plan.train
    if launcher is not None:
        trained = partial(train_in_processes, launch, method.value, plan.config, directory)
    _find_or_train(session, plan, manifest, runs_dir, trained, method=method, is_away=pins is not None, as_json=as_json)


def _find_or_train(
    session: Session,
    plan: Plan,
    manifest: Manifest,
    runs_dir: Path,
    trained: Any,
    *,
    method: Method,
    is_away: bool,
    as_json: bool,
) -> None:
    """Train the run that is planned and say how it ended, or that it was trained before."""
    from trainers.forgetting.recalls import write_recalls
    from trainers.preflight.saving import telling_of_disk
    from trainers.prerequisites import register_run, tell
    from trainers.report.carding import write_first_card
    from trainers.runs.directory import find_run

    found = find_run(runs_dir, plan.key)
    if found is not None and found.read()["status"] == "finished":
        if not is_away:
            write_recalls(session, found)  # a run may have been killed when all but this was done
        write_first_card(session, found, in_store=not is_away)
        if as_json:
            print(json.dumps({"nothing_to_do": True, "run_id": found.run_id, "directory": str(found.path)}))
        else:
            print(f"nothing to do: {found.run_id} trained this configuration on {manifest.snapshot_id}")
        return
    settings = {**plan.config.model_dump(mode="json"), "snapshot_id": manifest.snapshot_id}
    in_store = not is_away
    with register_run(session, found, runs_dir, settings=settings, key=plan.key, in_store=in_store) as (run, counts):
        with telling_of_disk(run):
            trained(run=run, tell=tell)
            if in_store:
                write_recalls(session, run)
            write_first_card(session, run, in_store=in_store)
        result = run.read()["result"]
        counts.update(
            n_rows=result["n_rows"], n_steps=result["n_steps"], snapshot_id=manifest.snapshot_id, method=method.value
        )
    _print_result(run, result, as_json=as_json)
    if not as_json:
        tell(f"next: afrel {'train sft --model' if method is Method.DAPT else 'evaluate'} {run.run_id}")


def _print_result(run: RunDirectory, result: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**result, "directory": str(run.path)}, ensure_ascii=False))
        return
    parts = [
        run.run_id, f"{result['n_rows']} rows", f"{result['n_steps']} steps", f"{result['seconds']:.0f} s",
        *([f"{result['n_prompts_cut']} prompts cut"] if result.get("n_prompts_cut") else []),
        *([f"{result['n_completions_cut']} rationales cut"] if result.get("n_completions_cut") else []),
        *(f"tier {stage['tier']} to step {stage['last_step']}" for stage in result.get("stages") or ()),
    ]  # fmt: skip
    if "perplexity_after" in result:
        parts.append(f"perplexity {result['perplexity_before']:.1f} to {result['perplexity_after']:.1f}")
    if result.get("texts"):
        parts.append(f"{result['texts']['n_leaking']} of {result['texts']['n_lines']} lines left out: they leak")
    print(" · ".join(parts))

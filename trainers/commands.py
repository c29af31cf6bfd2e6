"""Verbs of the trainers: train, evaluate, score."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from storage.snapshots.manifest import Manifest
    from trainers.dpo.material import Material


N_EXPLANATIONS = 256  # each takes as many steps as it has tokens


class Method(StrEnum):
    SFT = "sft"
    DAPT = "dapt"
    DPO = "dpo"
    GRPO = "grpo"


class EvaluatedSplit(StrEnum):
    DEV = "dev"
    TEST = "test"


SnapshotOption = Annotated[
    str | None, typer.Option("--snapshot", metavar="S", help="A snapshot's id or folder; default: the newest.")
]
PinsOption = Annotated[
    Path | None,
    typer.Option("--pins", metavar="FILE", help="Away from the workspace: the file of `afrel account pins`."),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="M", help="tiny, a Hugging Face id, or a folder; default: tiny.")
]
StartOption = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="M", help="sft, dapt: tiny (default), a Hugging Face id, a folder, a run; dpo, grpo: a run."
    ),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="A TOML file of flat keys.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def train(
    ctx: typer.Context,
    method: Annotated[Method, typer.Argument(help="How to train.")],
    snapshot: SnapshotOption = None,
    config: ConfigOption = None,
    model: StartOption = None,
    seed: Annotated[int | None, typer.Option(help="The seed of weights and order.")] = None,
    pins: PinsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify and resolve; train nothing.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the configuration's JSON Schema.")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Verify, then leave it to a job: afrel jobs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train an answer-first model from a signed snapshot; a killed run goes on where it was.

    Example: afrel -w shop train sft --snapshot snap_91be4c01d2aa --model tiny
    """
    from storage.people.accounts import Act
    from trainers.forgetting.recalls import write_recalls
    from trainers.prerequisites import find_snapshot, register_run, require_snapshot, tell
    from trainers.runs.directory import find_run

    session: Session = ctx.obj
    if schema:
        print(json.dumps(_configuration(method).model_json_schema(), ensure_ascii=False))
        return
    if pins is None:
        session.allow(Act.TRAIN)
    runs_dir = Path("runs").resolve() if pins else session.workspace.runs_dir
    resolved = _read_configuration(method, config, {"model": model, "seed": seed}, runs_dir)
    directory = find_snapshot(session, snapshot, pins)
    manifest = require_snapshot(session, directory, pins, tiers=resolved.tiers)
    if queue and not dry_run:
        from trainers.queueing import queue_training

        options = {"--model": model, "--seed": seed}
        queue_training(session, method.value, directory, options, config=config, pins=pins, as_json=as_json)
        return
    resolved, key, trained = _plan(session, method, resolved, directory, manifest, runs_dir, pins)
    if dry_run:
        resolution = {"snapshot": manifest.snapshot_id, **resolved.model_dump(mode="json")}
        print(json.dumps(resolution, ensure_ascii=False))
        return
    found = find_run(runs_dir, key)
    if found is not None and found.read()["status"] == "finished":
        if pins is None:
            write_recalls(session, found)  # a run may have been killed when all but this was done
        if as_json:
            print(json.dumps({"nothing_to_do": True, "run_id": found.run_id, "directory": str(found.path)}))
        else:
            print(f"nothing to do: {found.run_id} trained this configuration on {manifest.snapshot_id}")
        return
    settings = {**resolved.model_dump(mode="json"), "snapshot_id": manifest.snapshot_id}
    in_store = pins is None
    with register_run(session, found, runs_dir, settings=settings, key=key, in_store=in_store) as (run, counts):
        result = trained(run=run, tell=tell)
        if in_store:
            write_recalls(session, run)
        counts.update(
            n_rows=result.n_rows, n_steps=result.n_steps, snapshot_id=manifest.snapshot_id, method=method.value
        )
    if as_json:
        print(json.dumps({**run.read()["result"], "directory": str(run.path)}, ensure_ascii=False))
        return
    print(f"{run.run_id} · {result.n_rows} rows · {result.n_steps} steps · {result.seconds:.0f} s" + _more(result))
    tell(f"next: afrel {'train sft --model' if method is Method.DAPT else 'evaluate'} {run.run_id}")


def _plan(
    session: Session,
    method: Method,
    resolved: Any,
    directory: Path,
    manifest: Manifest,
    runs_dir: Path,
    pins: Path | None,
) -> tuple[Any, str, Callable[..., Any]]:
    """Return the configuration in full, the key of its run, and what trains it."""
    from trainers.models.starting_point import find_start, open_grader

    if method is Method.SFT:
        from trainers.sft import train as sft

        resolved = sft.size_config(resolved, manifest)
        key = sft.run_key(resolved, manifest, find_start(runs_dir, resolved.model))
        return resolved, key, partial(sft.train, resolved, directory)
    if method is Method.DAPT:
        from trainers.dapt import train as dapt

        key = dapt.run_key(resolved, manifest, find_start(runs_dir, resolved.model))
        return resolved, key, partial(dapt.train, resolved, directory)
    start = open_grader(runs_dir, resolved.model)
    if method is Method.DPO:
        from trainers.dpo import train as dpo

        material = _material(session, start.run_id, has_edits=resolved.has_edits, pins=pins)
        key = dpo.run_key(resolved, manifest, start, material)
        return resolved, key, partial(dpo.train, resolved, directory, start, material)
    from trainers.grpo import train as grpo

    return resolved, grpo.run_key(resolved, manifest, start), partial(grpo.train, resolved, directory, start)


def _more(result: Any) -> str:
    """Return what a line of result says of a run beside its rows, steps and seconds."""
    told = asdict(result)
    parts = [
        *([f"{told['n_prompts_cut']} prompts cut"] if told.get("n_prompts_cut") else []),
        *([f"{told['n_completions_cut']} rationales cut"] if told.get("n_completions_cut") else []),
    ]
    for stage in told.get("stages") or ():
        parts.append(f"tier {stage['tier']} to step {stage['last_step']}")
    if "perplexity_after" in told:
        parts.append(f"perplexity {told['perplexity_before']:.1f} to {told['perplexity_after']:.1f}")
    if told.get("texts"):
        parts.append(f"{told['texts']['n_leaking']} of {told['texts']['n_lines']} lines left out: they leak")
    return "".join(f" · {part}" for part in parts)


def _configuration(method: Method) -> type[BaseModel]:
    """Return what `--config` of a method holds."""
    if method is Method.SFT:
        from trainers.sft.config import SftConfig

        return SftConfig
    if method is Method.DAPT:
        from trainers.dapt.config import DaptConfig

        return DaptConfig
    if method is Method.DPO:
        from trainers.dpo.config import DpoConfig

        return DpoConfig
    from trainers.grpo.config import GrpoConfig

    return GrpoConfig


def _read_configuration(method: Method, path: Path | None, overrides: Mapping[str, Any], runs_dir: Path) -> Any:
    from trainers.dapt import config as dapt_config
    from trainers.dpo import config as dpo_config
    from trainers.grpo import config as grpo_config
    from trainers.models.starting_point import is_from_tiny
    from trainers.sft import config as sft_config

    if method in (Method.SFT, Method.DAPT):
        begins = sft_config if method is Method.SFT else dapt_config
        return begins.read_config(path, overrides, is_tiny=partial(is_from_tiny, runs_dir))
    goes_on = dpo_config if method is Method.DPO else grpo_config
    return goes_on.read_config(path, overrides)


def _material(session: Session, run_id: str, *, has_edits: bool, pins: Path | None) -> Material:
    """Return what the store holds for a run to learn preferences from; UserError when it holds nothing."""
    from storage.errors import UserError
    from trainers.dpo.material import read_material

    if pins is not None:
        raise UserError(
            "train dpo reads rollouts and edits from the workspace's store, and --pins is for training away from it. "
            "Leave --pins out: afrel train dpo --model RUN"
        )
    with session.store() as store:
        material = read_material(store, run_id, has_edits=has_edits)
    if not material.samples and not material.edits:
        raise UserError(
            f"{run_id} has no rollouts on train pairs yet, and there are no edits. Sample: afrel rollout {run_id}"
        )
    return material


def evaluate(
    ctx: typer.Context,
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's id or folder; default: the newest.")
    ] = None,
    split: Annotated[EvaluatedSplit, typer.Option(help="Which rows to measure on.")] = EvaluatedSplit.DEV,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", metavar="S", help="Another snapshot than the one it was trained on.")
    ] = None,
    explanations: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many pairs are asked for their reasons too.")
    ] = N_EXPLANATIONS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure and print; store nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained model beside the baselines; store its predictions.

    Example: afrel -w shop evaluate run_4c1f09ab32 --split test
    """
    from storage.clock import now
    from storage.ids import digest
    from storage.people.accounts import Act
    from storage.progress_bar import progress_bar
    from storage.runs import finished_run, start_run
    from trainers.evaluation.leaks import require_unleaked
    from trainers.evaluation.metrics import FORM
    from trainers.models.starting_point import open_grader
    from trainers.prerequisites import find_newest_run, find_snapshot, require_snapshot

    session: Session = ctx.obj
    session.allow(Act.TRAIN)
    found = open_grader(session.workspace.runs_dir, run or find_newest_run(session.workspace.runs_dir))
    described = found.read()
    directory = find_snapshot(session, snapshot or described["snapshot_id"], None)
    manifest = require_snapshot(session, directory, None, tiers=None)  # rows of all tiers are measured
    require_unleaked(found, directory, split=split.value, snapshots_dir=session.workspace.snapshots_dir)
    with session.store(sees_test=True) as store:
        proposals = {row["pair_id"]: row["grade"] for row in store.read("lexical_grades").to_pylist()}
        asked = [FORM, described.get("model_files"), manifest.digest, split.value, explanations]
        key = digest([*asked, sorted(proposals.items())])
        done = finished_run(store, "evaluate", key)
        if done is not None and not dry_run:
            from trainers.evaluation.text import print_stored

            print_stored(store, found.run_id, manifest.snapshot_id, split.value, done, as_json=as_json)
            return
        from trainers.evaluation.measure import evaluate_run, evaluation_rows

        with progress_bar() as tell:
            evaluation = evaluate_run(
                found, directory, split=split.value, proposals=proposals, n_explanations=explanations,
                tell=partial(tell, "pairs asked for their reasons"),
            )  # fmt: skip
        if not dry_run:
            config = {"run": found.run_id, "snapshot": manifest.snapshot_id, "split": split.value}
            with start_run(store, verb="evaluate", config=config, input_digest=key, account=session.account) as started:
                store.append(evaluation_rows(evaluation, run_id=started.run_id, at=now()))
                started.counts.update(n_predictions=len(evaluation.pair_ids), hardware=evaluation.hardware)
    from trainers.evaluation.text import print_evaluation

    print_evaluation(evaluation, as_json=as_json)


def score(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSONL or Parquet with query and title.")],
    run: Annotated[str, typer.Option("--run", metavar="R", help="A run's id or folder.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Default: FILE without its suffix, .scores")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--map", help="ROLE=COLUMN,… as in ingest; unless given, columns go by their names.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score pairs: grade probabilities as CSV and Parquet, and a TREC run.

    Example: afrel -w shop score --run run_4c1f09ab32 pairs.csv
    """
    from trainers.evaluation.score_file import read_pairs, score_pairs, write_scores
    from trainers.models.ranker import load_ranker
    from trainers.runs.directory import RunDirectory, open_run

    session: Session = ctx.obj
    found = RunDirectory(Path(run).resolve()) if Path(run).is_dir() else open_run(session.workspace.runs_dir, run)
    ranker = load_ranker(found)
    pairs = read_pairs(file, field_names=ranker.evidence.field_values, mapped=columns)
    probabilities = score_pairs(ranker, pairs, path=file)
    paths = write_scores(out or file.with_suffix(".scores"), ranker, pairs, probabilities)
    if as_json:
        print(json.dumps({"run_id": ranker.run_id, "n": len(pairs), "files": [str(path) for path in paths]}))
    else:
        print(f"{len(pairs)} pairs scored by {ranker.run_id}: " + ", ".join(str(path) for path in paths))

"""Verbs of the trainers: check a tokenizer, train, evaluate, score."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from storage.session import Session


class Method(StrEnum):
    SFT = "sft"
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
    typer.Option("--model", metavar="M", help="sft: tiny (default), a Hugging Face id or a folder; grpo: a run."),
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
    as_json: JsonOption = False,
) -> None:
    """Train an answer-first model from a signed snapshot; a killed run goes on where it was.

    Example: afrel -w shop train sft --snapshot snap_91be4c01d2aa --model tiny
    """
    from storage.people.accounts import Act
    from trainers.prerequisites import find_snapshot, register_run, require_snapshot, tell
    from trainers.run_directory import find_run, open_run

    session: Session = ctx.obj
    if pins is None:
        session.allow(Act.TRAIN)
    if method is Method.GRPO:
        from trainers.grpo_config import read_config
    else:
        from trainers.sft_config import read_config
    resolved = read_config(config, {"model": model, "seed": seed})
    directory = find_snapshot(session, snapshot, pins)
    manifest = require_snapshot(session, directory, pins, tiers=resolved.tiers)
    runs_dir = Path("runs").resolve() if pins else session.workspace.runs_dir
    if method is Method.GRPO:
        from trainers import grpo

        start = open_run(runs_dir, resolved.model)
        key, trained = grpo.run_key(resolved, manifest, start), partial(grpo.train, resolved, directory, start)
    else:
        from trainers import sft

        resolved = sft.size_config(resolved, manifest)
        key, trained = sft.run_key(resolved, manifest), partial(sft.train, resolved, directory)
    if dry_run:
        resolution = {"snapshot": manifest.snapshot_id, **resolved.model_dump(mode="json")}
        print(json.dumps(resolution, ensure_ascii=False))
        return
    found = find_run(runs_dir, key)
    if found is not None and found.read()["status"] == "finished":
        if as_json:
            print(json.dumps({"nothing_to_do": True, "run_id": found.run_id, "directory": str(found.path)}))
        else:
            print(f"nothing to do: {found.run_id} trained this configuration on {manifest.snapshot_id}")
        return
    settings = {**resolved.model_dump(mode="json"), "snapshot_id": manifest.snapshot_id}
    in_store = pins is None
    with register_run(session, found, runs_dir, settings=settings, key=key, in_store=in_store) as (run, counts):
        result = trained(run=run, tell=tell)
        counts.update(
            n_rows=result.n_rows, n_steps=result.n_steps, snapshot_id=manifest.snapshot_id, method=method.value
        )
    if as_json:
        print(json.dumps({**run.read()["result"], "directory": str(run.path)}, ensure_ascii=False))
        return
    cut = [f"{result.n_prompts_cut} prompts cut"] * bool(result.n_prompts_cut)
    cut += [f"{result.n_completions_cut} rationales cut"] * bool(result.n_completions_cut)
    print(
        f"{run.run_id} · {result.n_rows} rows · {result.n_steps} steps · {result.seconds:.0f} s"
        + "".join(f" · {part}" for part in cut)
    )
    tell(f"next: afrel evaluate {run.run_id}")


def check(
    ctx: typer.Context,
    model: ModelOption = None,
    snapshot: SnapshotOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that a model's tokenizer can say every grade in one token, on a snapshot's train rows.

    Example: afrel -w shop check --model Qwen/Qwen3-0.6B --snapshot snap_91be4c01d2aa
    """
    from storage.snapshots.manifest import read_manifest
    from trainers.format_check import check_rows
    from trainers.prerequisites import find_snapshot
    from trainers.sft import make_tokenizer
    from trainers.sft_config import read_config
    from trainers.snapshot_rows import load

    session: Session = ctx.obj
    resolved = read_config(config, {"model": model})
    directory = find_snapshot(session, snapshot, None)
    scale = read_manifest(directory).scale
    rows = load(directory, splits=["train"], tiers=resolved.tiers)["train"]
    checked = check_rows(
        rows,
        make_tokenizer(resolved, rows),
        scale,
        max_length=resolved.max_length,
        max_completion_tokens=resolved.max_completion_tokens,
    )
    tokens = dict(zip(scale.values, checked.grade_token_ids, strict=True))
    if as_json:
        print(
            json.dumps(
                {
                    "is_sound": True, "model": resolved.model, "grade_token_ids": tokens, "n_rows": len(checked.rows),
                    "n_prompts_cut": checked.n_prompts_cut, "n_completions_cut": checked.n_completions_cut,
                    "longest_prompt": checked.longest_prompt,
                }
            )
        )  # fmt: skip
        return
    print(
        f"sound: {resolved.model} says each grade in one token: " + ", ".join(f"{g} → {t}" for g, t in tokens.items())
    )
    print(
        f"{len(checked.rows)} rows · longest prompt {checked.longest_prompt} tokens · "
        f"{checked.n_prompts_cut} prompts and {checked.n_completions_cut} rationales cut"
    )


def evaluate(
    ctx: typer.Context,
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's id or folder; default: the newest.")
    ] = None,
    split: Annotated[EvaluatedSplit, typer.Option(help="Which rows to measure on.")] = EvaluatedSplit.DEV,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", metavar="S", help="Another snapshot than the one it was trained on.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure and print; store nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained model beside the baselines; store its predictions.

    Example: afrel -w shop evaluate run_4c1f09ab32 --split test
    """
    from storage.clock import now
    from storage.ids import digest
    from storage.people.accounts import Act
    from storage.runs import finished_run, start_run
    from trainers.prerequisites import find_newest_run, find_snapshot, require_snapshot
    from trainers.run_directory import open_run

    session: Session = ctx.obj
    session.allow(Act.TRAIN)
    found = open_run(session.workspace.runs_dir, run or find_newest_run(session.workspace.runs_dir))
    described = found.read()
    directory = find_snapshot(session, snapshot or described["snapshot_id"], None)
    manifest = require_snapshot(session, directory, None, tiers=None)  # rows of all tiers are measured
    with session.store(sees_test=True) as store:
        proposals = {row["pair_id"]: row["grade"] for row in store.read("lexical_grades").to_pylist()}
        key = digest([described.get("model_files"), manifest.digest, split.value, sorted(proposals.items())])
        done = finished_run(store, "evaluate", key)
        if done is not None and not dry_run:
            from trainers.evaluation_text import print_stored

            print_stored(store, found.run_id, manifest.snapshot_id, split.value, done, as_json=as_json)
            return
        from trainers.evaluation import evaluate_run, evaluation_rows

        evaluation = evaluate_run(found, directory, split=split.value, proposals=proposals)
        if not dry_run:
            config = {"run": found.run_id, "snapshot": manifest.snapshot_id, "split": split.value}
            with start_run(store, verb="evaluate", config=config, input_digest=key, account=session.account) as started:
                store.append(evaluation_rows(evaluation, run_id=started.run_id, at=now()))
                started.counts.update(n_predictions=len(evaluation.pair_ids))
    from trainers.evaluation_text import print_evaluation

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
    from trainers.ranker import load_ranker
    from trainers.run_directory import RunDirectory, open_run
    from trainers.score_file import read_pairs, score_pairs, write_scores

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

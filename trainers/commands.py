"""Verbs of the trainers that ask a model: evaluate, score; and the options that several verbs share."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from storage.session import Session

N_EXPLANATIONS = 256  # each takes as many steps as it has tokens


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
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="A TOML file of flat keys.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
    from trainers.report.carding import write_card_of

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
            write_card_of(session, found, store)
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

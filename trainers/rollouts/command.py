"""`afrel rollout`: ask a trained model several times for each pair; never for a test pair."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.session import Session
from trainers.commands import JsonOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.store import Store
    from trainers.evaluation.metrics import Measure
    from trainers.models.ranker import Ranker
    from trainers.rollouts.completions import Sampling
    from trainers.rollouts.run import Asked, Summary


class SampledSplit(StrEnum):
    TRAIN = "train"
    DEV = "dev"


def rollout(
    ctx: typer.Context,
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's id or folder; default: the newest.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=256, help="Completions of each pair.")] = 8,
    split: Annotated[SampledSplit, typer.Option(help="Which rows to sample.")] = SampledSplit.TRAIN,
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", metavar="S", help="Another snapshot than the one it was trained on.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many pairs, drawn by id.")] = None,
    temperature: Annotated[float, typer.Option(min=0.01, help="Of the sampling.")] = 0.99,
    top_k: Annotated[int, typer.Option(min=0, help="Of the sampling; 0: all tokens.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampling.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the pairs; sample none.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Sample completions of a trained model for each train (or dev) pair; store them, and each pair's difficulty.

    Example: afrel -w shop rollout run_4c1f09ab32 --samples 8
    """
    from storage.ids import digest
    from storage.people.accounts import Act
    from storage.runs import finished_run
    from trainers.models.pretrained import quieten_libraries
    from trainers.models.ranker import load_ranker, require_scale
    from trainers.models.starting_point import open_grader
    from trainers.prerequisites import find_newest_run, find_snapshot, require_snapshot, tell
    from trainers.rollouts.completions import Sampling
    from trainers.rollouts.run import asked_of, require_known
    from trainers.rows.snapshot_rows import load

    session: Session = ctx.obj
    session.allow(Act.TRAIN)
    quieten_libraries()
    found = open_grader(session.workspace.runs_dir, run or find_newest_run(session.workspace.runs_dir))
    described = found.read()
    directory = find_snapshot(session, snapshot or described["snapshot_id"], None)
    manifest = require_snapshot(session, directory, None, tiers=None)
    sampling = Sampling(samples, temperature, top_k, described["config"]["max_completion_tokens"])
    settings = {**asdict(sampling), "split": split.value, "limit": limit, "seed": seed}
    key = digest([described.get("model_files"), manifest.digest, settings])
    with session.store() as store:
        done = finished_run(store, "rollout", key)
        if done is None or dry_run:
            ranker = load_ranker(found)
            require_scale(ranker, manifest)
            asked = asked_of(load(directory, splits=[split.value])[split.value], ranker, limit=limit)
            if dry_run:
                told: dict[str, Any] = {"run_id": found.run_id, "n_pairs": len(asked), **settings}
                print(json.dumps(told) if as_json else f"{len(asked)} {split} pairs, {samples} completions each")
                return
            require_known(store, asked, manifest.snapshot_id)
            config = {"run": found.run_id, "snapshot": manifest.snapshot_id, **settings}
            _sample(store, ranker, asked, sampling, key=key, config=config, seed=seed, account=session.account)
        summary, curve = _measured(store, key, samples)
    if as_json:
        told = {
            "nothing_to_do": done is not None, "run_id": found.run_id, "snapshot_id": manifest.snapshot_id,
            "split": split.value, "n_samples": samples, **asdict(summary), "measures": [asdict(one) for one in curve],
        }  # fmt: skip
        print(json.dumps(told))
        return
    if done is not None:
        print(f"nothing to do: {done} sampled {found.run_id} on {split} of {manifest.snapshot_id}")
    print("\n".join(_in_words(summary, curve, split, samples)))
    if split is SampledSplit.TRAIN:
        tell(f"next: afrel train dpo --model {found.run_id}")


def _sample(
    store: Store,
    ranker: Ranker,
    asked: Sequence[Asked],
    sampling: Sampling,
    *,
    key: str,
    config: Mapping[str, Any],
    seed: int,
    account: str | None,
) -> None:
    """Sample what is not sampled yet, as a run of the register, and store the curve of all of it."""
    from storage.progress_bar import progress_bar
    from storage.runs import start_run
    from trainers.rollouts.pass_curve import curve_rows
    from trainers.rollouts.run import roll_out

    with start_run(store, verb="rollout", config=config, input_digest=key, account=account) as started:
        held = {row["pair_id"] for row in store.read("rollout_counts", input_digest=key).to_pylist()}
        with progress_bar() as shown:
            roll_out(
                store, ranker, asked, sampling, key=key, run_id=started.run_id, seed=seed, held=held, tell=shown
            )  # fmt: skip
        _, curve = _measured(store, key, sampling.n_samples)
        store.append({"evaluations": curve_rows(curve, config, run_id=started.run_id)})
        started.counts.update(n_rollouts=len(asked) * sampling.n_samples, n_pairs=len(asked))


def _measured(store: Store, key: str, n_samples: int) -> tuple[Summary, list[Measure]]:
    """Return what all rollouts under a key come to."""
    from trainers.rollouts.pass_curve import pass_curve
    from trainers.rollouts.run import summarise

    counts = store.read("rollout_counts", input_digest=key).to_pylist()
    n_right = {row["pair_id"]: row["n_right"] for row in counts}
    query_of = {row["pair_id"]: row["query_id"] for row in counts}
    return summarise(counts, n_samples=n_samples), pass_curve(n_right, query_of, n_samples=n_samples)


def _in_words(summary: Summary, curve: Sequence[Measure], split: SampledSplit, samples: int) -> list[str]:
    return [
        f"{summary.n_pairs} {split} pairs, {samples} completions each: always right {summary.n_always}, sometimes "
        f"{summary.n_sometimes}, never {summary.n_never} · {summary.n_unparsed} completions do not parse",
        *(f"{one.metric:<10}{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]  n = {one.n}" for one in curve),
    ]

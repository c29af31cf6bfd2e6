"""The run that `--model` of `train sft` and `check` names, when it names one: what `train dapt` or `train sft` left.

A base that is a run is known by its weights, not by its name, and stands in the record of what goes on from it: so
`evaluate` finds every snapshot and text that a model has seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from storage.errors import UserError
from trainers.runs.directory import RunDirectory, model_digests, open_run

TINY = "tiny"


def is_named_tiny(model: str) -> bool:
    """Say whether a model is called the tiny one."""
    return model == TINY


def find_start(runs_dir: Path, model: str) -> RunDirectory | None:
    """Return the run that a model names by its id, its folder or its model's folder; None when it names none."""
    if model in ("", TINY):
        return None
    named = Path(model)
    folders = [runs_dir / model, named, *([named.parent] if named.name == "model" else [])]
    return next((RunDirectory(folder.resolve()) for folder in folders if (folder / "run.json").is_file()), None)


def lineage(run: RunDirectory) -> Iterator[RunDirectory]:
    """Yield a run and those it goes on from, the latest first, as far as their folders are there."""
    seen: set[Path] = set()
    before: RunDirectory | None = run
    while before is not None and before.path not in seen:
        seen.add(before.path)
        yield before
        before = _start_of(before)


def _start_of(run: RunDirectory) -> RunDirectory | None:
    described = run.read()
    begun = described.get("started_from")
    if begun is None:  # a folder that was given as --model: that of a run's model, perhaps
        return find_start(run.path.parent, str(Path(str(described["config"]["model"])).resolve()))
    folders = [run.path.parent / begun["run_id"], *([Path(begun["path"])] if "path" in begun else [])]
    return next((RunDirectory(folder) for folder in folders if (folder / "run.json").is_file()), None)


def require_finished(run: RunDirectory) -> dict[str, Any]:
    """Return the record of a finished run; UserError when it is unfinished or its model files are others."""
    described = run.read()
    again = f"the same afrel train {described.get('method', 'METHOD')}"
    if described["status"] != "finished":
        raise UserError(f"{run.run_id} is {described['status']}, not finished. Go on with it: {again}")
    if model_digests(run.model_dir) != described["model_files"]:
        raise UserError(f"the files in {run.model_dir} are not those {run.run_id} wrote. Train again: {again}")
    return described


def open_grader(runs_dir: Path, name: str) -> RunDirectory:
    """Return a run by id or path; UserError when it is none, or has only read texts."""
    run = open_run(runs_dir, name)
    require_grader(run)
    return run


def require_grader(run: RunDirectory) -> None:
    """Return when a run has learnt grades; UserError when it has only read texts."""
    if run.read().get("method") == "dapt":
        raise UserError(
            f"{run.run_id} has read texts and seen no grade yet. Train it to grade: afrel train sft "
            f"--model {run.run_id}"
        )


def start_content(start: RunDirectory | None) -> dict[str, Any]:
    """Return what the record of a run says of the run it goes on from; nothing where there is none.

    `inherited`: of that run and those before it the snapshot and, where one was read, the file of texts; it says so
    even where their folders are gone.
    """
    if start is None:
        return {}
    described = require_finished(start)
    inherited = [
        {"run_id": start.run_id, "snapshot_id": described["snapshot_id"], "texts": described.get("texts")},
        *described.get("inherited", []),
    ]
    begun = {"run_id": start.run_id, "path": str(start.path), "model_files": described["model_files"]}
    return {"started_from": begun, "inherited": inherited}


def is_from_tiny(runs_dir: Path, model: str) -> bool:
    """Say whether a model is the tiny one, or a run that began with it."""
    start = find_start(runs_dir, model)
    if start is None:
        return model == TINY
    *_, first = lineage(start)
    return bool(first.read()["config"]["model"] == TINY)

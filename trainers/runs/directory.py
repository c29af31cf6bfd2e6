"""A training run on disk: `runs/<run_id>/` with run.json, metrics.jsonl, progress.json, checkpoints/, model/.

run.json carries a digest of itself and each checkpoint the digests of its files; what does not match is not read, so
only folders that this program wrote and finished writing are gone on with. A lock says whether a run is alive.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import durable
from storage.errors import UserError
from storage.ids import digest
from storage.training.run_record import read_lines, read_record

COMPLETE = "complete.json"
CARD = "README.md"  # beside a model's weights: written anew when it is measured, and people's to edit
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run's folder. is_writer: False for the processes beside the first of a run, whose writes are left out."""

    path: Path
    is_writer: bool = True

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def model_dir(self) -> Path:
        return self.path / "model"

    @property
    def checkpoints_dir(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    def describe(self, **values: Any) -> dict[str, Any]:
        """Lay values over run.json and write it anew; return the whole."""
        description = self.read() if (self.path / "run.json").exists() else {}
        description = {**description, **values}
        description.pop("digest", None)
        self._write("run.json", {**description, "digest": digest(description)})
        return description

    def read(self) -> dict[str, Any]:
        """Return run.json without its digest; UserError when it is missing or does not match."""
        return read_record(self.path)

    def write_progress(self, **values: Any) -> None:
        """Write progress.json, whole or not at all."""
        self._write("progress.json", values)

    def _write(self, name: str, value: Any) -> None:
        if self.is_writer:
            write_json(self.path / name, value)

    def append_metrics(self, values: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        if not self.is_writer:
            return
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the whole lines of metrics.jsonl; a line cut off by a kill is left out."""
        return read_lines(self.metrics_file)

    def rewind_metrics(self, step: int) -> None:
        """Drop the lines of steps after a checkpoint: they will be made again."""
        if not self.is_writer:
            return
        kept = [line for line in self.read_metrics() if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        durable.replace(self.metrics_file, text, folder=self.path)

    def complete_checkpoint(self, checkpoint: Path) -> None:
        """Mark a checkpoint as whole and as this run's; to be called when all its files are written."""
        if self.is_writer:
            write_json(checkpoint / COMPLETE, {"run_id": self.run_id, "files": file_digests(checkpoint)})

    def last_checkpoint(self) -> Path | None:
        """Return the latest checkpoint that is whole and unaltered; None when there is none.

        UserError for one of another run: it would go on from the weights of another model.
        """
        for path in sorted(self._checkpoints(), key=checkpoint_step, reverse=True):
            try:
                mark = json.loads((path / COMPLETE).read_text(encoding="utf-8"))
                run_id, files = mark["run_id"], mark["files"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if run_id != self.run_id:
                raise UserError(
                    f"{path} was written by {run_id}, not by {self.run_id}: it is another model's. "
                    f"Move it away, then give the same command: mv {path} {path.parent.parent / 'foreign'}"
                )
            if files == file_digests(path):
                return path
        return None

    def drop_unfinished(self) -> None:
        """Remove checkpoints that were not written to the end."""
        for path in self._checkpoints():
            if self.is_writer and not (path / COMPLETE).exists():
                shutil.rmtree(path, ignore_errors=True)

    def _checkpoints(self) -> list[Path]:
        return [path for path in self.checkpoints_dir.glob("checkpoint-*") if _CHECKPOINT.fullmatch(path.name)]

    def drop_checkpoints(self) -> None:
        """Remove the checkpoints of a finished run."""
        if self.is_writer:
            shutil.rmtree(self.checkpoints_dir, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run; UserError when another process does. The lock falls with the process, however it ends."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(
                    f"{self.run_id} is being trained by another process. Watch it: tail -f {self.metrics_file}"
                ) from error
            yield


def find_run(runs_dir: Path, run_key: str) -> RunDirectory | None:
    """Return the run of a configuration on a snapshot: a finished one before an unfinished, None when there is none."""
    found: dict[bool, RunDirectory] = {}
    for path in sorted(runs_dir.glob("run_*/run.json")):
        run = RunDirectory(path.parent)
        try:
            description = run.read()
        except UserError:
            continue  # not ours, or half written: never gone on with
        if description.get("run_key") == run_key:
            found[description["status"] == "finished"] = run
    return found.get(True) or found.get(False)


def open_run(runs_dir: Path, name: str) -> RunDirectory:
    """Return a run by id or path; UserError when it is none."""
    path = runs_dir / name if (runs_dir / name).is_dir() else Path(name)
    run = RunDirectory(path.resolve())
    if not (run.path / "run.json").exists():
        known = sorted(found.parent.name for found in runs_dir.glob("run_*/run.json"))
        raise UserError(f"no run {name!r} under {runs_dir}; there are {known}. Train one: afrel train sft")
    run.read()
    return run


def checkpoint_step(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder, but for the completion mark."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != COMPLETE:
            with path.open("rb") as file:
                digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def model_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a model but its card: what a run is known by."""
    return {name: sha256 for name, sha256 in file_digests(folder).items() if name != CARD}


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.replace(path, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n", folder=path.parent)


def started_from(checkpoint: Path | None) -> int:
    """Return the step a run goes on from."""
    return 0 if checkpoint is None else checkpoint_step(checkpoint)

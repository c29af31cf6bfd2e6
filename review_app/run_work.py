"""What is done with runs beside the page: compare two, write the report of one, measure one.

Comparing and reporting are verbs of the trainers, run as processes of their own; measuring takes long and is a job.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from review_app.afrel_process import ask_afrel
from review_app.long_work import WORK, Work
from review_app.run_desk import RunRow, require_look, run_folder
from storage.errors import UserError
from storage.jobs.job_command import JobCommand
from storage.jobs.line import JobLine
from storage.people.accounts import Act, Pin, require
from storage.progress import Watch
from storage.store import Store
from storage.workspace import Workspace

REPORT = "report.html"  # beside the run's record; made anew at will
SPLITS = ("dev", "test")


def shared_splits(a: RunRow, b: RunRow) -> list[str]:
    """Return the splits on which two runs were measured on the same snapshot."""
    held = [{(one.split, one.snapshot_id) for one in row.measured} for row in (a, b)]
    shared = {split for split, _ in held[0] & held[1]}
    return [split for split in SPLITS if split in shared]


def begin_compare(person: Pin, workspace: Workspace, a: str, b: str, *, split: str) -> Work:
    """Set two runs beside each other on the pairs both graded; its outcome is what `afrel runs compare --json` says."""
    require(person, Act.TRAIN)
    if a == b:
        raise UserError("a run is compared with another one. Choose two")
    if split not in SPLITS:
        raise UserError(f"{split!r} is no split that is compared on. Choose one of {', '.join(SPLITS)}")
    for run_id in (a, b):
        run_folder(workspace, run_id)

    def compare(_watch: Watch, _stop: threading.Event) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(
            ask_afrel(workspace.root, ["runs", "compare", "--json", f"--split={split}", "--", a, b])
        )
        return told

    return WORK.begin(("compare runs", workspace.root, person.account), person.account, compare)


def compare_work(person: Pin, workspace: Workspace) -> Work | None:
    """Return the comparison this person began last."""
    require(person, Act.TRAIN)
    return WORK.find(("compare runs", workspace.root, person.account))


def report_of(person: Pin, workspace: Workspace, run_id: str) -> tuple[Path, datetime] | None:
    """Return a run's report and when it was written (UTC), None while there is none."""
    require_look(person)
    path = run_folder(workspace, run_id) / REPORT
    try:
        written = path.stat().st_mtime
    except OSError:
        return None
    return path, datetime.fromtimestamp(written, UTC).replace(tzinfo=None)


def begin_report(person: Pin, workspace: Workspace, run_id: str) -> Work:
    """Write a run's report, one page that opens offline; the one before stays until the new one is whole."""
    require(person, Act.TRAIN)
    path = run_folder(workspace, run_id) / REPORT

    def report(_watch: Watch, _stop: threading.Event) -> Mapping[str, str]:
        ask_afrel(workspace.root, ["report", f"--out={path}", "--", run_id])
        return {"run_id": run_id}

    return WORK.begin(("report", workspace.root, run_id), person.account, report)


def report_work(workspace: Workspace, run_id: str) -> Work | None:
    """Return the writing of a run's report that is under way, or the last one."""
    return WORK.find(("report", workspace.root, run_id))


def measure(person: Pin, workspace: Workspace, store: Store, run_id: str, *, split: str) -> str:
    """Queue the measuring of a run on a split; return the job's id."""
    require(person, Act.TRAIN)
    run_folder(workspace, run_id)
    if split not in SPLITS:
        raise UserError(f"{split!r} is no split that is measured on. Choose one of {', '.join(SPLITS)}")
    line = JobLine(workspace, store)
    queued = line.queue(JobCommand("evaluate", (run_id,), {"--split": split}), account=person.account)
    line.start_waiting()
    return queued.job_id

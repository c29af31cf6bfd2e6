"""`afrel train … --queue`, `--wait`: everything is verified now and trained by a job, when its turn comes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from storage.errors import UserError
from storage.jobs.commands import tell_queued
from storage.jobs.following import follow_to_the_end
from storage.jobs.job_command import JobCommand, Scalar
from storage.jobs.kept_config import keep_config
from storage.jobs.line import JobLine
from storage.session import Session


def queue_training(
    session: Session,
    method: str,
    snapshot: Path,
    options: Mapping[str, Scalar | None],
    *,
    config: Path | None,
    pins: Path | None,
    is_followed: bool,
    as_json: bool,
) -> None:
    """Put a training on a snapshot that was verified in the line, and say so; options that are None were not given.

    Followed, it is told as it goes, and this process leaves with its exit status.
    """
    if pins is not None:
        raise UserError(
            "--queue and --wait keep jobs in the workspace, and --pins is for training away from it. Leave them out"
        )
    given = {flag: value for flag, value in options.items() if value is not None}
    is_own = snapshot.parent == session.workspace.snapshots_dir
    given = {"--snapshot": snapshot.name if is_own else str(snapshot), **given}
    if is_followed and as_json:
        given["--json"] = True  # what it prints is told again
    command = JobCommand("train", (method,), given, folder=os.getcwd())
    with session.store() as store:
        line = JobLine(session.workspace, store)
        queued = line.queue(command, account=session.account, config=None if config is None else keep_config(config))
        line.start_waiting()
    if is_followed:
        follow_to_the_end(session, queued.job_id, as_json=as_json)
        return
    tell_queued(queued.job_id, as_json=as_json)

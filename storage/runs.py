"""A run: one execution of a verb with its resolved configuration; a second one can see there is nothing to do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from storage.clock import now
from storage.ids import new_run_id
from storage.jobs.current import note_run
from storage.liveness import own_process
from storage.rows import RunRow
from storage.store import Store

VERSION = "0.1.0"


@dataclass(slots=True)
class Run:
    """A run under way. Fill `counts`; they are stored when it ends."""

    run_id: str
    counts: dict[str, Any] = field(default_factory=dict)


@cache
def code_version() -> str:
    """Return the version, with the commit where the code lies in a checkout."""
    here = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return VERSION
    return f"{VERSION}+{found.stdout.strip()}" if found.returncode == 0 else VERSION


@contextmanager
def start_run(
    store: Store,
    *,
    verb: str,
    config: Mapping[str, Any],
    input_digest: str | None = None,
    account: str | None = None,
) -> Iterator[Run]:
    """Register a run, and how it ends: finished, failed, or interrupted by the user."""
    run = Run(new_run_id())
    started = RunRow(
        run_id=run.run_id,
        verb=verb,
        status="running",
        input_digest=input_digest,
        config=json.dumps(dict(config), ensure_ascii=False, default=str, sort_keys=True),
        code_version=code_version(),
        account=account,
        started_at=now(),
        process=own_process(),
    )
    store.append({"runs": [started]})
    note_run(store, run.run_id)
    status = "failed"
    try:
        yield run
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        counts = json.dumps(run.counts, ensure_ascii=False, default=str)
        store.update_run(run.run_id, status=status, counts=counts, finished_at=str(now()))


def finished_run(store: Store, verb: str, input_digest: str) -> str | None:
    """Return the finished run of a verb on the very same input, None when there is none."""
    found = store.read("finished_run", verb=verb, input_digest=input_digest).column("run_id").to_pylist()
    return found[0] if found else None

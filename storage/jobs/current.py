"""The job that this process is, if it is one: where it tells which run it is and how far it has come.

The runner names the job's folder in the variable AFREL_JOB; without it nothing here does anything.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from storage.clock import now

if TYPE_CHECKING:
    from storage.store import Store

JOB_VARIABLE = "AFREL_JOB"
EVERY_SECONDS = 1.0


def note_run(store: Store, run_id: str) -> None:
    """Say in the job's row which run it is."""
    if folder := os.environ.get(JOB_VARIABLE):
        store.update_job(Path(folder).name, run_id=run_id)


class JobProgress:
    """The progress file of the job that this process is; written whole, at most once a second."""

    def __init__(self) -> None:
        folder = os.environ.get(JOB_VARIABLE)
        self._path = Path(folder) / "progress.json" if folder else None
        self._told_at = float("-inf")

    def tell(self, words: str, done: int, total: int) -> None:
        """Say how far it is; `total` is 0 where nobody knows."""
        if self._path is None or (time.monotonic() < self._told_at + EVERY_SECONDS and done != total):
            return
        self._told_at = time.monotonic()
        beside = self._path.with_suffix(".new")
        with suppress(OSError):  # the job matters more than word of it
            said = {"what": words, "done": done, "total": total or None, "at": str(now())}
            beside.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
            beside.replace(self._path)

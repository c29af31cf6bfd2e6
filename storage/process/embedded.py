"""The owner in the asker's own process: no journal, no threads, every request a commit. For tests and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.process.commit import Counts
from storage.process.journal import Request
from storage.process.owner import Owner


class EmbeddedTransport:
    """The owner in this very process."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._acts: Mapping[str, Callable[..., Any]] = {
            "update_run": self._update_run,
            "update_job": self._update_job,
            "publish": lambda: str(self._owner.publish()),
            "rebuild": self._rebuild,
            "examine": lambda: [finding.to_mapping() for finding in self._owner.examine()],
            "backup": lambda target: self._owner.back_up(Path(target)).to_mapping(),
            "erase": self._erase,
        }

    def ask(
        self, verb: str, params: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> tuple[Any, dict[str, pa.Table]]:
        if verb == "append":
            return self._fold(self._owner.admit(tables)), {}
        if verb == "read":
            with self._owner.answering(**params) as reader:
                return None, {"rows": reader.read_all()}
        if verb == "claim":
            chosen = self._owner.choose(**params)
            self._fold(self._owner.admit({"leases": chosen.leases}))
            return None, {"rows": chosen.to_table()}
        return self._acts[verb](**params), {}

    def _update_run(self, run_id: str, values: Mapping[str, Any]) -> None:
        self._fold(self._owner.admit({}, update={**values, "run_id": run_id}))

    def _update_job(self, job_id: str, values: Mapping[str, Any]) -> None:
        self._fold(self._owner.admit({}, update={**values, "job_id": job_id}))

    def _rebuild(self) -> dict[str, int]:
        return self._owner.rebuild()

    def _erase(self, **asked: Any) -> dict[str, Any]:
        with self._owner.paused():
            erased = self._owner.erase(**asked)
        if erased.rewritten is not None:
            self._owner = Owner(self._owner.root)
        return erased.to_mapping()

    def _fold(self, request: Request) -> Counts:
        (outcome,) = self._owner.fold([request])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        self._owner.close()

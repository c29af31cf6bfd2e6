"""How the Argilla server of this machine is: who may log in, whether its search has every record, whether jobs run."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from review_app.argilla_bridge.api import ArgillaApi
from review_app.argilla_bridge.target import Target

OWNER = "_afrel"  # the bridge's own user


@dataclass(frozen=True, slots=True)
class Indexed:
    """A dataset's records in the database and in the index."""

    name: str
    n_records: int
    n_found: int


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker of background jobs; `pid` is None while there is none."""

    pid: int | None
    n_started: int
    n_waiting: int
    n_running: int
    n_failed: int


@dataclass(frozen=True, slots=True)
class Health:
    """What a running server tells of itself."""

    version: str
    users: dict[str, int]
    datasets: list[Indexed]
    worker: Worker

    @property
    def lacking(self) -> list[str]:
        """The datasets of which the search misses records."""
        return [one.name for one in self.datasets if one.n_found < one.n_records]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_health(api: ArgillaApi, target: Target) -> Health:
    """Ask a running server how it is; UserError when it does not answer."""
    users = Counter(str(row["role"]) for row in api.ask("GET", "users")["items"] if row["username"] != OWNER)
    datasets = []
    for row in api.ask("GET", "me/datasets")["items"]:
        if row["status"] == "ready":
            total = api.ask("GET", f"datasets/{row['id']}/records", params={"limit": 1})["total"]
            datasets.append(Indexed(str(row["name"]), int(total or 0), api.n_indexed(str(row["id"]))))
    return Health(api.check_version(), dict(users), datasets, _worker(target))


def _worker(target: Target) -> Worker:
    import httpx

    headers = {"X-Argilla-Api-Key": target.read_key()}
    told = httpx.get(f"{target.url}/afrel/health", headers=headers, timeout=30.0, trust_env=False)
    told.raise_for_status()
    return Worker(**told.json())

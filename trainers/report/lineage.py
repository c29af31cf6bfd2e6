"""How to make a run again: each run it goes on from, the earliest first, with its configuration and command.

The configuration is the resolved one, so what was a default then is said too; a key that another method's record
carried over is left out, for the method would refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.jobs.kept_config import to_toml
from trainers.methods import Method, configuration_of
from trainers.models.starting_point import lineage
from trainers.runs.directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One run of the chain. config: TOML, None for a run whose folder is gone. model: what it began with."""

    run_id: str
    method: str | None
    snapshot_id: str
    model: str
    base_revision: str | None
    config: str | None
    commands: tuple[str, ...]


def ancestors(run: RunDirectory, workspace: Path | None) -> tuple[Ancestor, ...]:
    """Return the chain of a run that can be read, the earliest run first, itself last."""
    there = list(lineage(run))
    records = [one.read() for one in there]
    found = [_ancestor(one.run_id, record, workspace) for one, record in zip(there, records, strict=True)]
    known = {one.run_id for one in found}
    gone = [
        Ancestor(held["run_id"], None, held["snapshot_id"], "unknown: its folder is gone", None, None, ())
        for held in records[-1].get("inherited", ())
        if held["run_id"] not in known
    ]
    return tuple(reversed([*found, *gone]))


def _ancestor(run_id: str, record: Mapping[str, Any], workspace: Path | None) -> Ancestor:
    method, snapshot_id = record["method"], record["snapshot_id"]
    begun = record.get("started_from", {}).get("run_id")
    config = as_typed(method, record["config"])
    front = "afrel" if workspace is None else f"afrel -w {workspace.name}"
    commands = [f"{front} --as ACCOUNT train {method} --snapshot {snapshot_id} --config {method}.toml"]
    if method == "dpo":
        commands.insert(0, f"{front} rollout {begun}")
    model = str(begun or record["config"]["model"])
    return Ancestor(run_id, method, snapshot_id, model, record.get("base_revision"), to_toml(config), tuple(commands))


def as_typed(method: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded configuration as its file would hold it: no key that is open, none that is not the method's."""
    known = configuration_of(Method(method)).model_fields
    return {key: value for key, value in config.items() if value is not None and key in known}

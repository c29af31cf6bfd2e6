"""`[on_sign]` of afrel.toml: what is to be trained when a tier is signed.

    [on_sign]
    tier_3 = [{ train = "sft", config = "trainers/sft.toml" }]

The job's id is the hash of snapshot, tier, method and configuration: however often and by whomever a tier is signed,
the same training is asked for once. Signing never fails for it; whoever signs is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.errors import UserError
from storage.ids import content_id
from storage.jobs.job_command import JobCommand
from storage.jobs.kept_config import keep_config
from storage.jobs.line import JobLine
from storage.jobs.verbs import METHODS
from storage.store import Store
from storage.workspace import CONFIG_NAME, Workspace

_KEY = re.compile(r"tier_([0-9]{1,4})")
_FIELDS = {"train", "config"}


@dataclass(frozen=True, slots=True)
class Planned:
    """What signing a tier asks for: a method of `train` and its configuration."""

    tier: int
    method: str
    path: Path
    config: str


def read_on_sign(workspace: Workspace) -> list[Planned]:
    """Return what `[on_sign]` plans; UserError with all mistakes, a configuration that is not there among them."""
    table = workspace.config.get("on_sign", {})
    planned: list[Planned] = []
    mistakes: list[str] = []
    if not isinstance(table, dict):
        table, mistakes = {}, ["on_sign must be a table, under a line [on_sign]"]
    for key, entries in table.items():
        found = _KEY.fullmatch(key)
        if found is None:
            mistakes.append(f"[on_sign]: unknown key {key!r}; keys are tier_1, tier_2 …")
        elif not isinstance(entries, list) or not entries:
            mistakes.append(f'[on_sign]: {key} is a list such as [{{ train = "sft", config = "sft.toml" }}]')
        else:
            for place, entry in enumerate(entries, start=1):
                try:
                    planned.append(_planned(int(found[1]), entry, workspace.root))
                except ValueError as error:
                    mistakes.append(f"[on_sign]: {key}, entry {place}: {error}")
    if mistakes:
        listed = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise UserError(f"{CONFIG_NAME} has {len(mistakes)} mistake(s):\n{listed}")
    return planned


def _planned(tier: int, entry: Any, root: Path) -> Planned:
    if not isinstance(entry, dict) or set(entry) != _FIELDS or not all(isinstance(v, str) for v in entry.values()):
        raise ValueError(f'{entry!r:.80} is not {{ train = "sft", config = "sft.toml" }}')
    if entry["train"] not in METHODS:
        raise ValueError(f"train = {entry['train']!r} is not one of {', '.join(METHODS)}")
    path = root / entry["config"]
    try:
        return Planned(tier, entry["train"], path, keep_config(path))
    except UserError as error:
        raise ValueError(str(error)) from error


def queue_signed(
    workspace: Workspace, store: Store, snapshot_id: str, tiers: Sequence[int], *, account: str
) -> list[str]:
    """Queue what signing these tiers asks for and start what may run; return lines to tell. Raises nothing of its own.

    Done again it queues what is missing: what is in the line already is left as it is and not told.
    """
    try:
        line = JobLine(workspace, store)
        told = []
        for plan in read_on_sign(workspace):
            if plan.tier not in tiers:
                continue
            job_id = content_id("job", snapshot_id, plan.tier, plan.method, plan.config)
            command = JobCommand("train", (plan.method,), {"--snapshot": snapshot_id})
            queued = line.queue(command, account=account, config=plan.config, job_id=job_id)
            if queued.is_new:
                told.append(f"queued as {job_id}: train {plan.method} with {plan.path.name}, for tier {plan.tier}")
        if told:
            line.start_waiting()
    except (UserError, OSError) as error:
        return [f"signed, but nothing was queued: {error}. Mend it, then sign again: what is missing is queued then"]
    return told

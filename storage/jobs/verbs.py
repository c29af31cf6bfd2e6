"""Which verbs may be jobs, who may ask for them, and in which lane they wait.

A closed list: a job has nobody to ask for a password, so what always needs an account is no job, and neither is what
serves people or makes a workspace. Training has a lane of its own because it takes the machine; the others mostly wait
for the disk or a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from storage.errors import UserError
from storage.people.accounts import Act

METHODS = ("sft", "dapt", "dpo", "grpo")  # of `afrel train`


class Lane(StrEnum):
    """Jobs of one lane run so many at once, the rest of them wait."""

    TRAINING = "training"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class JobVerb:
    """A verb that may be a job; `act` None: anybody may."""

    act: Act | None
    lane: Lane = Lane.OTHER


_PREPARES = ("ingest", "pool", "evolve", "mine", "mutate", "label", "batch", "judge", "screen", "export", "tier")
_TRAINS = ("train", "rollout", "evaluate")
_LOOKS = ("status", "doctor", "verify", "backup")
JOB_VERBS: Mapping[str, JobVerb] = {
    **dict.fromkeys(_PREPARES, JobVerb(Act.PREPARE)),
    **dict.fromkeys(_TRAINS, JobVerb(Act.TRAIN, Lane.TRAINING)),
    **dict.fromkeys(("score", "check"), JobVerb(None, Lane.TRAINING)),
    **dict.fromkeys(_LOOKS, JobVerb(None)),
}
DEFAULT_LIMITS: Mapping[Lane, int] = {Lane.TRAINING: 1, Lane.OTHER: 2}


def find_verb(verb: str) -> JobVerb:
    """Return what a verb may as a job, by its first word; UserError when it is none."""
    first = verb.split(" ", maxsplit=1)[0]
    if first not in JOB_VERBS:
        raise UserError(
            f"{first!r} cannot be a job; what can: {', '.join(sorted(JOB_VERBS))}. See afrel jobs start --help"
        )
    return JOB_VERBS[first]


def read_limits(config: Mapping[str, Any]) -> dict[Lane, int]:
    """Return how many jobs of each lane run at once, as `[jobs]` of afrel.toml says; UserError with all mistakes."""
    table = config.get("jobs", {})
    if not isinstance(table, dict):
        raise UserError("afrel.toml: jobs must be a table, under a line [jobs]. Mend it and run the command again")
    known = ", ".join(lane.value for lane in Lane)
    mistakes = [f"unknown key {key!r}; known are {known}" for key in table if key not in set(Lane)]
    for lane in Lane:
        given = table.get(lane.value, 1)
        if type(given) is not int or given < 1:
            mistakes.append(f"{lane.value} = {given!r} is not a whole number from 1 on")
    if mistakes:
        listed = "\n".join(f"  [jobs]: {mistake}" for mistake in mistakes)
        raise UserError(f"afrel.toml has {len(mistakes)} mistake(s); mend them and run the command again:\n{listed}")
    return {lane: table.get(lane.value, default) for lane, default in DEFAULT_LIMITS.items()}

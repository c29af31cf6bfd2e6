"""Each rule's recall while a run trained, as rows of `rule_recalls`: what the next `mine` and `evolve` can ask for.

A row's id is that of run, step and rule, so a run that is written twice is held once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from storage.clock import now
from storage.ids import content_id
from storage.session import Session
from trainers.forgetting.alarms import SliceKind
from trainers.forgetting.points import Point, read_points
from trainers.runs.directory import RunDirectory

SPLIT = "dev"


def write_recalls(session: Session, run: RunDirectory) -> None:
    """Write what a run measured into the workspace's store; nothing for a run that measured nothing."""
    rows = recall_rows(read_points(run), run_id=run.run_id, at=now())
    if rows:
        with session.store() as store:
            store.append({"rule_recalls": rows})


def recall_rows(points: Sequence[Point], *, run_id: str, at: datetime) -> list[dict[str, Any]]:
    """Return the rows of table rule_recalls: each rule at each point. The run that trained is the one that measured."""
    return [
        {
            "rule_recall_id": content_id("rr", run_id, SPLIT, point.step, one.name),
            "train_run_id": run_id,
            "rule_id": one.name,
            "split": SPLIT,
            "step": point.step,
            "recall": one.after,
            "n": one.n,
            "is_forgotten": one.is_alarm,
            "run_id": run_id,
            "created_at": at,
        }
        for point in points
        for one in point.changes
        if one.kind is SliceKind.RULE
    ]

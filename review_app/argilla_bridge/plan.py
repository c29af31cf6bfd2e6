"""What a push has to do, worked out from what waits here and what lies there: pure, so that it can be tried by hand.

A candidate lies in the dataset that asks as many people as it still needs of Argilla. What lies elsewhere and was
touched by nobody moves there; what somebody began to answer stays where it is until that answer is pulled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from review_app.argilla_bridge.datasets import Dataset
from review_app.argilla_bridge.record import Carried
from review_app.decisions import ResponseAct

SENT_BACK = "sent_back"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A candidate that waits for answers: how many people of Argilla it asks for, and what it carries there."""

    candidate_id: str
    overlap: int
    carried: Sequence[Carried] = ()
    answered_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lying:
    """A record that lies in a dataset of ours; `answered_by` are the Argilla users who answered it, drafts included."""

    candidate_id: str
    record_id: str
    dataset: Dataset
    answered_by: frozenset[str] = frozenset()


@dataclass(slots=True)
class Plan:
    """Candidates to send by overlap, records to take away by dataset, and who is held back by what nobody pulled."""

    send: dict[int, list[Waiting]] = field(default_factory=lambda: defaultdict(list))
    withdraw: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    n_lying: int = 0
    n_held: int = 0
    n_over_limit: int = 0

    @property
    def n_send(self) -> int:
        return sum(map(len, self.send.values()))

    @property
    def n_withdraw(self) -> int:
        return sum(map(len, self.withdraw.values()))


def waiting_of(
    rows: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], user_ids: Mapping[str, str]
) -> tuple[list[Waiting], int]:
    """Return what waits, in order, and how many were sent back: those are answered where the reason is told.

    `answers` are the standing ones of pairs that wait; `user_ids` gives the Argilla user of each account that has one.
    """
    given: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for answer in answers:
        given[answer["candidate_id"]].append(answer)
    waiting, n_sent_back = [], 0
    for row in rows:
        if SENT_BACK in str(row["cause"]).split(", "):
            n_sent_back += 1
            continue
        there = [one for one in given[row["candidate_id"]] if one["account"] in user_ids]
        # who has no user there cannot be asked there again, so Argilla asks for the others only
        n_elsewhere = len(given[row["candidate_id"]]) - len(there)
        carried = [
            Carried(
                user_ids[one["account"]],
                ResponseAct(one["act"]),
                grade=one["grade"],
                steps=one["steps"],
                reason=one["reason"],
            )
            for one in there
        ]
        overlap = max(1, int(row["n_required"]) - n_elsewhere)
        people = frozenset(one.user_id for one in carried)
        waiting.append(Waiting(row["candidate_id"], overlap, carried, people))
    return waiting, n_sent_back


def make_plan(
    waiting: Sequence[Waiting],
    lying: Sequence[Lying],
    *,
    version: int,
    known: frozenset[str] = frozenset(),
    limit: int | None = None,
) -> Plan:
    """Return what to send and what to take away.

    `known` are candidates the store knows that wait no more; a record of none of its candidates is somebody else's.
    """
    plan = Plan()
    places: dict[str, list[Lying]] = defaultdict(list)
    for record in lying:
        places[record.candidate_id].append(record)
    for one in waiting:
        held = [record for record in places[one.candidate_id] if record.answered_by - one.answered_by]
        right = [
            r for r in places[one.candidate_id] if r.dataset.version == version and r.dataset.overlap == one.overlap
        ]
        if right:
            plan.n_lying += 1
        elif held:
            plan.n_held += 1
            continue
        elif limit is not None and plan.n_send >= limit:
            plan.n_over_limit += 1
            continue
        else:
            plan.send[one.overlap].append(one)
        _withdraw(plan, [record for record in places[one.candidate_id] if record not in right])
    for candidate_id in known:
        _withdraw(plan, places[candidate_id])
    return plan


def _withdraw(plan: Plan, records: Sequence[Lying]) -> None:
    for record in records:
        if not record.answered_by:
            plan.withdraw[record.dataset.dataset_id].append(record.record_id)

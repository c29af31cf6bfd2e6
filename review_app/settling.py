"""How answers become judgments, free of any page: by consensus, or by an adjudicator's decision.

A consensus names the responses it rests on and falls with them; an adjudicator's word is final. A rationale never
travels with another grade than the one it was written for. The command line and the app settle by these functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from curation.adjudication import Answer, Rationale, consensus, travelling_steps
from curation.completion import Step, steps_from_json, steps_to_json
from storage.clock import now
from storage.ids import content_id
from storage.rows import JudgmentRow
from storage.runs import start_run
from storage.store import Store

MOST_AT_ONCE = 2000  # pairs settled by consensus in one go, where somebody waits for it


@dataclass(frozen=True, slots=True)
class Answered:
    """A pair and the answers that stand on it: all it needs, unless it was asked for by name."""

    candidate_id: str
    pair_id: str
    query_ref: str | None
    doc_ref: str | None
    n_required: int
    proposed: Rationale
    answers: tuple[Answer, ...]
    written: tuple[Rationale, ...]
    has_replayed: bool

    def steps_for(self, grade: int) -> str | None:
        """Return the stored steps that may go with a grade, None when there are none."""
        steps: tuple[Step, ...] | None = travelling_steps(grade, self.proposed, written=self.written)
        return steps_to_json(steps) if steps else None


def read_answered(store: Store, *, candidate_id: str | None = None) -> list[Answered]:
    """Return every pair that has its answers and no judgment; also a settled one whose candidate is named."""
    return _answered(store.read("answers_to_settle", candidate_id=candidate_id or "").to_pylist())


def read_answered_on(store: Store, candidate_ids: Sequence[str]) -> list[Answered]:
    """Return the pairs of some candidates, with whatever answers stand on them; none where no answer stands."""
    return _answered(store.read("answers_on_candidates", candidate_ids=list(candidate_ids)).to_pylist())


def _answered(rows: Iterable[Mapping[str, Any]]) -> list[Answered]:
    answered = []
    for _, group in groupby(rows, key=lambda row: row["candidate_id"]):
        members = list({row["response_id"]: row for row in group}.values())
        first = members[0]
        answered.append(
            Answered(
                candidate_id=first["candidate_id"],
                pair_id=first["pair_id"],
                query_ref=first["query_ref"],
                doc_ref=first["doc_ref"],
                n_required=first["n_required"],
                proposed=Rationale(first["proposed_grade"], steps_from_json(first["proposed_steps"])),
                answers=tuple(Answer(m["response_id"], m["account"], m["act"], m["grade"]) for m in members),
                written=tuple(
                    Rationale(m["grade"], steps_from_json(m["steps"]))
                    for m in members
                    if m["grade"] is not None and m["steps"]
                ),
                has_replayed=any(m["is_replayed"] for m in members),
            )
        )
    return answered


def settle_by_consensus(answered: Iterable[Answered], *, run_id: str) -> list[JudgmentRow]:
    """Return the judgments that people's answers already carry; pairs without consensus give none."""
    judgments = []
    for pair in answered:
        agreed = consensus(pair.answers, n_required=pair.n_required)
        if agreed is None:
            continue
        judgments.append(
            JudgmentRow(
                judgment_id=content_id("j", "consensus", pair.pair_id, list(agreed.response_ids)),
                pair_id=pair.pair_id,
                grade=agreed.grade,
                origin="consensus",
                candidate_id=pair.candidate_id,
                response_ids=agreed.response_ids,
                steps=pair.steps_for(agreed.grade),
                is_replayed=pair.has_replayed,
                run_id=run_id,
                created_at=now(),
            )
        )
    return judgments


@dataclass(frozen=True, slots=True)
class Decision:
    """What an adjudicator says of a disputed pair. `judgment_id` is the act's id; `steps` go with the grade."""

    pair: Answered
    grade: int
    account: str
    reason: str | None
    is_replayed: bool
    judgment_id: str
    steps: str | None


def adjudicated_row(decision: Decision, *, run_id: str) -> JudgmentRow:
    """Return the judgment a decision makes."""
    return JudgmentRow(
        judgment_id=decision.judgment_id,
        pair_id=decision.pair.pair_id,
        grade=decision.grade,
        origin="adjudicated",
        candidate_id=decision.pair.candidate_id,
        account=decision.account,
        response_ids=sorted(answer.response_id for answer in decision.pair.answers),
        steps=decision.steps,
        reason=decision.reason,
        is_replayed=decision.is_replayed,
        run_id=run_id,
        created_at=now(),
    )


def record_judgments(
    store: Store,
    *,
    agreed: Sequence[JudgmentRow],
    decisions: Sequence[Decision],
    account: str,
    config: Mapping[str, Any],
) -> None:
    """Store what is settled, as one run of `adjudicate` by an account; nothing where nothing is."""
    if not agreed and not decisions:
        return
    with start_run(store, verb="adjudicate", config=config, account=account) as run:
        rows = [replace(row, run_id=run.run_id) for row in agreed]
        rows += [adjudicated_row(decision, run_id=run.run_id) for decision in decisions]
        store.append({"judgments": rows})
        run.counts.update(consensus=len(agreed), adjudicated=len(decisions))

"""What should stand, worked out from the sentences of docs/decisions/0008-acts.md one by one; no SQL, no speed.

Every function takes a plain list of rows, in any order and with repeats: the model knows nothing of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.rows import JudgmentRow, ResponseRow, SendBackRow

ANSWERS = ("submitted", "discarded", "cannot_tell")


@dataclass(frozen=True)
class Proposed:
    """A candidate that passed its screens; of a pair's candidates the one with the greatest `place` is the latest."""

    candidate_id: str
    pair_id: str
    n_required: int
    place: int


def own_acts(rows: Iterable[ResponseRow], pair_id: str, account: str) -> list[ResponseRow]:
    """Rule 1: the account's acts on the pair, each once, in order."""
    acts = list({row.response_id: row for row in rows if row.pair_id == pair_id and row.account == account}.values())
    return sorted(acts, key=lambda a: (effective_time(a, acts), a.session, a.sequence, a.response_id))


def effective_time(act: ResponseRow, own: Sequence[ResponseRow]) -> datetime:
    """Rule 1: the latest clock of the act's session on the pair so far; `own` are the account's acts on the pair."""
    latest = act.created_at
    for other in own:
        if other.session == act.session and other.sequence <= act.sequence and other.created_at > latest:
            latest = other.created_at
    return latest


def is_withdrawn(act: ResponseRow, own: Sequence[ResponseRow]) -> bool:
    """Rule 2; `own` are the account's acts on the pair, so nobody else's act and no other pair's is among them."""
    return any(other.act == "withdrawn" and other.target_id == act.response_id for other in own)


def is_sent_back(act: ResponseRow, send_backs: Iterable[SendBackRow]) -> bool:
    """Rule 8: a row on the act's own pair names it."""
    return any(act.response_id in row.response_ids for row in send_backs if row.pair_id == act.pair_id)


def standing_act(
    rows: Iterable[ResponseRow], pair_id: str, account: str, send_backs: Sequence[SendBackRow] = ()
) -> ResponseRow | None:
    """Rules 3, 4 and 8: the last answer in order that is not withdrawn, unless that one was sent back."""
    own = own_acts(rows, pair_id, account)
    in_force = [act for act in own if act.act in ANSWERS and not is_withdrawn(act, own)]
    return in_force[-1] if in_force and not is_sent_back(in_force[-1], send_backs) else None


def standing_on(
    rows: Sequence[ResponseRow], pair_id: str, send_backs: Sequence[SendBackRow] = ()
) -> dict[str, ResponseRow]:
    """Return what stands on a pair, by account."""
    accounts = {row.account for row in rows if row.pair_id == pair_id}
    found = {account: standing_act(rows, pair_id, account, send_backs) for account in accounts}
    return {account: act for account, act in found.items() if act is not None}


def current_judgment(
    judgments: Iterable[JudgmentRow],
    rows: Sequence[ResponseRow],
    pair_id: str,
    send_backs: Sequence[SendBackRow] = (),
) -> JudgmentRow | None:
    """Rule 7, and adjudicated over consensus over import, later over earlier."""
    standing = {act.response_id for act in standing_on(rows, pair_id, send_backs).values()}
    best: JudgmentRow | None = None
    for judgment in judgments:
        if judgment.pair_id != pair_id:
            continue
        if judgment.origin == "consensus" and not set(judgment.response_ids) <= standing:
            continue
        if best is None or _weight(judgment) > _weight(best):
            best = judgment
    return best


def _weight(judgment: JudgmentRow) -> tuple[int, datetime, str]:
    rank = {"adjudicated": 2, "consensus": 1}.get(judgment.origin, 0)
    return rank, judgment.created_at, judgment.judgment_id


def status(
    candidate: Proposed,
    candidates: Sequence[Proposed],
    rows: Sequence[ResponseRow],
    judgments: Sequence[JudgmentRow],
    send_backs: Sequence[SendBackRow] = (),
) -> tuple[str, int, int]:
    """Return a screened candidate's status, its pair's answers and how many it needs: rule 8 may ask for more."""
    answers = list(standing_on(rows, candidate.pair_id, send_backs).values())
    again = [row.n_required for row in send_backs if row.pair_id == candidate.pair_id]
    n_required = max([candidate.n_required, *again])
    acts = [answer.act for answer in answers]
    latest = max((c for c in candidates if c.pair_id == candidate.pair_id), key=lambda c: c.place)
    if current_judgment(judgments, rows, candidate.pair_id, send_backs) is not None:
        word = "settled"
    elif candidate != latest:
        word = "superseded"
    elif len(answers) < n_required:
        word = "awaiting_review"
    elif set(acts) == {"discarded"}:
        word = "discarded"
    elif set(acts) == {"submitted"} and len({answer.grade for answer in answers}) == 1:
        word = "answered"
    else:
        word = "disputed"
    return word, len(answers), n_required

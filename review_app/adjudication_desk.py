"""What an adjudicator works with, free of any page: pairs people do not settle, all that was said of one, a decision.

A decision is the judgment `afrel adjudicate` makes, or it sends the answers back. It is taken only by somebody who has
seen the pair as it is: what was decided or answered meanwhile is told instead, and the decision can be sent again. Sent
twice, it counts once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.completion import STEP_LABELS, steps_to_json
from review_app.disputed_pair import NONE, OWN, DisputedPair, steps_told, told
from review_app.review_desk import MOST_COMMENT_CHARACTERS, SentStep, read_cards, stored_steps
from review_app.settling import MOST_AT_ONCE, Decision, read_answered_on, record_judgments, settle_by_consensus
from storage.clock import now
from storage.errors import UserError
from storage.ids import action_id
from storage.people.accounts import Act, Pin, pin_from_row, require
from storage.rows import SendBackRow
from storage.session import read_scale
from storage.store import Store

STATUSES = ("disputed", "discarded", "answered")
PAGE = 40
SENT_BACK_LEASE = timedelta(days=1)  # in which only who answered is asked again
_ANSWERS = ("submitted", "discarded", "cannot_tell")
_deciding = threading.Lock()  # one decision at a time in this process: the second sees the first


class SentDecision(BaseModel):
    """A decision as a browser sends it; `seen` is the `seen` of the dossier its person looked at.

    `rationale` names the steps that go with the grade: `suggestion`, a response's id, `own` (in `steps`) or `none`.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    session: str = Field(pattern=r"^[0-9a-f]{8,32}$")
    sequence: int = Field(ge=1, le=2**53)
    candidate_id: str = Field(max_length=80)
    seen: list[str] = Field(max_length=10_000)
    act: Literal["settle", "send_back"]
    grade: int | None = None
    rationale: str = Field(default=NONE, max_length=80)
    steps: list[SentStep] | None = Field(default=None, max_length=len(STEP_LABELS))
    reason: str = Field(default="", max_length=MOST_COMMENT_CHARACTERS)


def undecided(person: Pin, store: Store, status: str = "disputed", *, after: int = -1, n: int = PAGE) -> dict[str, Any]:
    """Return a page of the pairs with a status, the oldest first, and how many of each status there are."""
    require(person, Act.ADJUDICATE)
    if status not in STATUSES:
        raise UserError(f"{status!r} is none of {', '.join(STATUSES)}")
    counts = dict.fromkeys(STATUSES, 0)
    counts |= {row["status"]: row["n"] for row in store.read("undecided_counts").to_pylist()}
    found = _page(store, (status, status), after, max(1, min(n, 300)))
    places = {row["candidate_id"]: row["place"] for row in found}
    rows = {row["candidate_id"]: row for row in _pairs_of(store, list(places))}
    return {
        "counts": counts,
        "n_before": store.read("undecided_before", status=status, after_place=after)["n"][0].as_py(),
        "pairs": [{**rows[one], "place": place} for one, place in places.items() if one in rows],
    }


def dossier(person: Pin, store: Store, candidate_id: str) -> dict[str, Any]:
    """Return all there is to one pair: texts, suggestion, votes, every act of everybody, decisions, comments."""
    require(person, Act.ADJUDICATE)
    cards = read_cards(person, store, [candidate_id])
    if not cards:
        raise UserError(f"there is no candidate {candidate_id!r} any more")
    (row,) = store.read("candidate", candidate_id=candidate_id).to_pylist()
    pair = DisputedPair.read(store, row)
    suggestion = {name: row[name] for name in ("grade", "confidence", "proposer")}
    return {
        # an adjudicator is shown what an audit hides: who was asked has answered
        "card": {**cards[0], "suggestion": {**suggestion, "steps": steps_told(row["steps"])}},
        "votes": store.read("votes_on_candidates", candidate_ids=[candidate_id]).to_pylist(),
        "status": {name: row[name] for name in ("status", "n_answers", "n_required", "cause", "split")},
        "answers": [told(act) for act in pair.standing],
        "history": [told(act) for act in pair.acts],
        "judgments": [told(judgment) for judgment in pair.judgments],
        "send_backs": [told(sent) for sent in pair.send_backs],
        "comments": [told(said) for said in store.read("comments_on_pair", pair_id=pair.pair_id).to_pylist()],
        "travels": {
            grade: {"default": pair.default(grade), "choices": pair.travelling(grade)}
            for grade in read_scale(store).values
        },
        "seen": pair.seen,
        "is_own": any(act["account"] == person.account for act in pair.standing),
    }


def decide(person: Pin, store: Store, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Take a decision: `saved`, and `news`, which is what its sender had not seen when it was not saved."""
    require(person, Act.ADJUDICATE)
    try:
        decision = SentDecision.model_validate(sent)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise UserError(f"this decision is malformed: {where}") from None
    act_id = action_id(person.account, f"{decision.session}:adjudicate", decision.sequence)
    rows = store.read("proposals", candidate_ids=[decision.candidate_id]).to_pylist()
    if not rows:
        raise UserError(f"there is no candidate {decision.candidate_id!r} any more")
    with _deciding:
        pair = DisputedPair.read(store, rows[0])
        if act_id in pair.decided:
            return {"saved": True, "news": []}
        news = pair.news_since(decision.seen)
        if news:
            return {"saved": False, "news": news}
        if decision.act == "settle":
            _settle(person, store, pair, decision, act_id)
        else:
            _send_back(person, store, pair, decision, act_id)
    return {"saved": True, "news": []}


def settle_agreed(person: Pin, store: Store, *, after: int = -1) -> dict[str, Any]:
    """Settle by consensus the next pairs on which people agree; say how many, and behind which place to go on."""
    require(person, Act.ADJUDICATE)
    # a majority may settle what is disputed
    found = _page(store, ("answered", "disputed"), after, MOST_AT_ONCE)
    with _deciding:
        answered = read_answered_on(store, [row["candidate_id"] for row in found])
        agreed = settle_by_consensus(answered, run_id="")
        record_judgments(store, agreed=agreed, decisions=[], account=person.account, config={"agreed": True})
    return {"n": len(agreed), "next": found[-1]["place"] if len(found) == MOST_AT_ONCE else None}


def _pairs_of(store: Store, candidate_ids: Sequence[str]) -> list[dict[str, Any]]:
    if not candidate_ids:
        return []
    return list(store.read("undecided_pairs", candidate_ids=list(candidate_ids)).to_pylist())


def _page(store: Store, statuses: tuple[str, str], after: int, n: int) -> list[dict[str, Any]]:
    status, or_status = statuses
    return list(store.read("undecided", status=status, or_status=or_status, after_place=after, n=n).to_pylist())


def _settle(person: Pin, store: Store, pair: DisputedPair, sent: SentDecision, act_id: str) -> None:
    scale = read_scale(store)
    if sent.grade is None or sent.grade not in scale:
        raise UserError(f"grade {sent.grade} is off the scale {list(scale.values)}")
    answered = read_answered_on(store, [pair.candidate_id])
    if not answered:
        raise UserError(f"{pair.candidate_id} has no answers to decide on: it waits for reviewers again")
    decision = Decision(
        pair=answered[0],
        grade=sent.grade,
        account=person.account,
        reason=sent.reason.strip() or None,
        is_replayed=False,
        judgment_id=act_id,
        steps=_chosen_steps(pair, sent, sent.grade),
    )
    config = {"candidate_id": pair.candidate_id}
    record_judgments(store, agreed=[], decisions=[decision], account=person.account, config=config)


def _chosen_steps(pair: DisputedPair, sent: SentDecision, grade: int) -> str | None:
    if sent.rationale == NONE:
        return None
    if sent.rationale == OWN:
        return stored_steps(sent.steps)
    if sent.rationale not in pair.travelling(grade):
        raise UserError(f"the rationale {sent.rationale!r} was not written for grade {grade}, so it cannot go with it")
    return steps_to_json(pair.rationales[sent.rationale].steps or ())


def _send_back(person: Pin, store: Store, pair: DisputedPair, sent: SentDecision, act_id: str) -> None:
    reason = sent.reason.strip()
    if not reason:
        raise UserError("who is asked again must be told why: write a comment")
    asked = sorted({act["account"] for act in pair.standing})
    if not asked:
        raise UserError(f"{pair.candidate_id} has no answers that could be sent back")
    if pair.current is not None and pair.current["origin"] != "consensus":
        raise UserError(f"{pair.candidate_id} is settled for good: give it another grade instead")
    at = now()
    row = SendBackRow(
        send_back_id=act_id,
        candidate_id=pair.candidate_id,
        pair_id=pair.pair_id,
        account=person.account,
        # an answer that was edited over, too: undoing the edit must not let it stand again
        response_ids=[act["response_id"] for act in pair.acts if act["act"] in _ANSWERS and not act["is_withdrawn"]],
        n_required=len(asked),
        reason=reason,
        created_at=at,
    )
    pins = [pin_from_row(row) for row in store.read("accounts").to_pylist()]
    retired = {pin.account for pin in pins if pin.retired_at is not None}
    leases = [
        {
            "lease_id": action_id(person.account, f"{sent.session}:again:{sent.sequence}", place),
            "candidate_id": pair.candidate_id,
            "account": account,
            "until": at + SENT_BACK_LEASE,
            "created_at": at,
        }
        for place, account in enumerate(asked)
        if account not in retired
    ]
    store.append({"send_backs": [row], "leases": leases})

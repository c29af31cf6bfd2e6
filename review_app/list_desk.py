"""All docs of one query in one view, for grading them alike: which query, in which order, who is asked what.

The order is drawn from account and pair, so that it says nothing of anybody's grades and is the same tomorrow. What is
shown unanswered is leased as the queue leases it: nobody else is asked beyond the policy. A doc others have answered,
or hold, is shown without a grade. A settled grade is shown to who has answered the doc, whose own answer it can no
longer colour, and of docs that were settled before they were asked: those are nobody's to answer any more, and stand
as marks to grade the others by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from curation.completion import steps_from_json
from review_app.review_desk import read_cards
from storage.clock import to_ms
from storage.errors import UserError
from storage.people.accounts import Act, Pin, require
from storage.store import Store

N_HEAD = 5000  # of the queue, in which the queries with the most waiting docs are looked for
MOST_DOCS = 20_000  # of a query
PAGE = 60
MOST_AT_ONCE = 300  # rows leased or asked for at once
N_SEARCHED = 60  # queries with the words, looked through at once for those that have docs
N_TRIED = 12  # queries opened before there is said to be none
MOST_PAGES = 10  # of these before the page goes out as it is
BODY_CHARACTERS = 700  # of a body in its row; all of it comes with the doc's card


class RowState(StrEnum):
    """Whose a row is: to grade now, graded by this person, or nobody's (settled, answered by others, with others)."""

    OPEN = "open"
    OWN = "own"
    SETTLED = "settled"
    ANSWERED = "answered"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Queries:
    """A page of queries with their counts, and where the next one begins, None at the end."""

    queries: list[dict[str, Any]]
    next: tuple[Any, str] | None


def waiting_queries(person: Pin, store: Store, *, after: tuple[int, str] | None = None, n: int = 30) -> Queries:
    """Return the queries with the most docs that wait for a person among the first of the queue, the most first."""
    require(person, Act.REVIEW)
    head = store.read("queue_head", n=N_HEAD)["pair_id"].to_pylist()
    found = store.read("queries_of_pairs", pair_ids=head, account=person.account).to_pylist() if head else []
    if after is not None:
        found = [row for row in found if (-row["n"], row["query_id"]) > (-after[0], after[1])]
    page = found[: _size(n)]
    next_after = (page[-1]["n"], page[-1]["query_id"]) if len(found) > len(page) else None
    return Queries(_counted(person, store, [row["query_id"] for row in page]), next_after)


def search_queries(
    person: Pin, store: Store, text: str, *, after: tuple[str, str] | None = None, n: int = 30
) -> Queries:
    """Return queries that hold a text and have docs to list, in the order of their texts."""
    require(person, Act.REVIEW)
    found: list[dict[str, Any]] = []
    place: tuple[str, str] | None = after or ("", "")
    for _ in range(MOST_PAGES):
        assert place is not None
        rows = store.read("queries_with_text", text=text.strip(), after_text=place[0], after_id=place[1], n=N_SEARCHED)
        named = rows.to_pylist()
        found += [row for row in _counted(person, store, [row["query_id"] for row in named]) if row["n_docs"]]
        place = (named[-1]["text"], named[-1]["query_id"]) if len(named) == N_SEARCHED else None
        if place is None or len(found) >= n:
            break
    if len(found) > n:
        place = (found[n - 1]["text"], found[n - 1]["query_id"])
    return Queries(found[:n], place)


def open_list(
    person: Pin, store: Store, query_id: str, *, after: str = "", n: int = PAGE, is_blind: bool = False
) -> dict[str, Any]:
    """Return a query and its next n docs behind the place `after`, and lease those that wait for the person."""
    require(person, Act.REVIEW)
    counts = _counted(person, store, [query_id])
    if not counts:
        raise UserError(f"there is no query {query_id!r} here")
    found = store.read("query_docs", query_id=query_id, account=person.account, n=MOST_DOCS).to_pylist()
    placed = sorted((place_of(person.account, row["pair_id"]), row) for row in found)
    behind = [(place, row) for place, row in placed if place > after]
    page = [{**row, "place": place} for place, row in behind[: _size(n)]]
    return {
        **counts[0],
        "rows": _rows(person, store, page, is_blind=is_blind),
        "next": page[-1]["place"] if len(behind) > len(page) else None,
    }


def next_list(person: Pin, store: Store, *, besides: str = "", is_blind: bool = False) -> dict[str, Any] | None:
    """Open the first query, as `waiting_queries` has them, with a doc that the person may grade now; None without.

    Of a query that somebody else works on nothing may be left.
    """
    for query in waiting_queries(person, store, n=N_TRIED).queries:
        if query["query_id"] == besides or not query["n_waiting"]:
            continue
        listed = open_list(person, store, query["query_id"], is_blind=is_blind)
        if any(row["state"] == RowState.OPEN for row in listed["rows"]):
            return listed
    return None


def hold_docs(person: Pin, store: Store, candidate_ids: Sequence[str]) -> list[str]:
    """Lease again what stands unanswered on a person's list; return what is theirs, the rest is with others."""
    require(person, Act.REVIEW)
    named = list(candidate_ids)[:MOST_AT_ONCE]
    return list(store.claim(person.account, len(named), among=named).column("candidate_id").to_pylist())


def place_of(account: str, pair_id: str) -> str:
    """Return a doc's place in a person's list of its query: a pair is of one query, so the two name all three."""
    return hashlib.blake2b(f"{account}\0{pair_id}".encode(), digest_size=8).hexdigest()


def _counted(person: Pin, store: Store, query_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return queries with the counts of their docs, in the order they are named; unknown ones are left out."""
    if not query_ids:
        return []
    rows = store.read("query_counts", query_ids=list(query_ids), account=person.account).to_pylist()
    counted = {row["query_id"]: row for row in rows}
    return [counted[query_id] for query_id in query_ids if query_id in counted]


def _rows(person: Pin, store: Store, page: Sequence[Mapping[str, Any]], *, is_blind: bool) -> list[dict[str, Any]]:
    asked = [row["candidate_id"] for row in page if _is_asked(row)]
    held = set(hold_docs(person, store, asked)) if asked else set()
    states = {row["candidate_id"]: _state(row, held) for row in page}
    named = list(states)
    cards = {card["candidate_id"]: card for card in read_cards(person, store, named, is_blind=is_blind)}
    answered = [one for one in named if states[one] is RowState.OWN]
    proposed = {row["candidate_id"]: row for row in store.read("proposals", candidate_ids=answered).to_pylist()}
    return [
        _row(row, cards[row["candidate_id"]], states[row["candidate_id"]], proposed.get(row["candidate_id"]))
        for row in page
        if row["candidate_id"] in cards
    ]


def _is_asked(row: Mapping[str, Any]) -> bool:
    return row["status"] == "awaiting_review" and not _stands(row["answer"])


def _stands(answer: Mapping[str, Any] | None) -> bool:
    return answer is not None and not answer["is_sent_back"]


def _state(row: Mapping[str, Any], held: set[str]) -> RowState:
    if _stands(row["answer"]):
        return RowState.OWN
    if row["status"] == "settled":
        return RowState.SETTLED
    if row["status"] == "awaiting_review":
        return RowState.OPEN if row["candidate_id"] in held else RowState.TAKEN
    return RowState.ANSWERED


def _row(
    row: Mapping[str, Any], card: Mapping[str, Any], state: RowState, proposed: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a doc as its person may see it: a card, cut short, with what may be told of its grades."""
    suggestion = None
    if state is RowState.OPEN:
        suggestion = card["suggestion"]
    elif state is RowState.OWN:
        # an audit is over once the person has answered
        suggestion = card["suggestion"] or _suggestion(proposed)
    may_see_settled = state in (RowState.OWN, RowState.SETTLED) and row["settled_grade"] is not None
    body = card["body"]
    return {
        **{name: card[name] for name in _SHOWN_OF_CARD},
        "body": body[:BODY_CHARACTERS],
        "is_cut": len(body) > BODY_CHARACTERS,
        "place": row["place"],
        "state": state.value,
        "is_blind": state is RowState.OPEN and card["is_blind"],
        "suggestion": suggestion,
        "own": _told(row["answer"]),
        "is_put_off": row["is_put_off"],
        "sent_back": row["sent_back_reason"],
        "settled": {"grade": row["settled_grade"], "by": row["settled_by"]} if may_see_settled else None,
    }


_SHOWN_OF_CARD = (
    "candidate_id", "pair_id", "title", "fields", "terms", "missing", "matched_fields", "conflicting_fields",
    "has_number_conflict", "has_refused", "instruction_id",
)  # fmt: skip


def _suggestion(proposed: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if proposed is None:
        return None
    steps = [[step.label, step.text] for step in steps_from_json(proposed["steps"])]
    return {"grade": proposed["grade"], "confidence": None, "steps": steps}


def _told(answer: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {**answer, "effective_at": to_ms(answer["effective_at"])}


def _size(n: int) -> int:
    return max(1, min(n, MOST_AT_ONCE))

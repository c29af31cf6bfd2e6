"""Drawn histories of acts: people with several tabs and wrong clocks, and rows that no honest tab would send.

A tab knows its own acts and, when it has just been loaded, everybody's; it acts through `review_app.decisions`, as a
page or a command does. A careless one sends what its clock says as it is, back or forth. Strays are withdrawals of
anything at all: others' acts, other pairs', unknown ones, themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import strategies as st

from review_app.decisions import (
    HeldAct,
    History,
    Response,
    ResponseAct,
    Turn,
    cannot_tell,
    discard,
    put_off,
    redo,
    submit,
    undo,
)
from storage.rows import JudgmentRow, ResponseRow, SendBackRow
from tests.review_app.acts_model import ANSWERS, effective_time, is_sent_back, is_withdrawn, own_acts

START = datetime(2026, 3, 1, 9)
YEAR = 365 * 24 * 3600
ACCOUNTS = ("ana", "bo", "chen")
TABS = ("tab1", "tab2", "tab3")
KINDS = ("grade", "grade", "grade", "undo", "undo", "redo", "later", "cannot_tell", "discard", "stray")


@dataclass(frozen=True)
class Place:
    """Where a history plays: its name, which makes sessions its own, and (pair, candidate) by number."""

    name: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Step:
    """One drawn step. `clock` is what the tab's clock says, in seconds; `pick` chooses a stray's target."""

    kind: str
    account: str
    tab: str
    pair: int
    grade: int
    clock: int
    is_loaded: bool
    is_careless: bool
    pick: int


@dataclass(frozen=True)
class Settling:
    """A drawn judgment, made after so many acts; it rests on what then stands on pair `rests_on`, or on any `picks`."""

    origin: str
    pair: int
    after: int
    grade: int
    rests_on: int
    picks: tuple[int, ...] | None


@dataclass(frozen=True)
class Sending:
    """A drawn sending back after so many acts, of all answers on its pair that are not withdrawn or of any `picks`."""

    pair: int
    after: int
    n_required: int
    picks: tuple[int, ...] | None


def steps(n_pairs: int, *, kinds: Sequence[str] = KINDS, accounts: Sequence[str] = ACCOUNTS) -> st.SearchStrategy[Step]:
    """Return a strategy of steps; few clock readings, so that equal and backward ones are common."""
    return st.builds(
        Step,
        kind=st.sampled_from(kinds),
        account=st.sampled_from(accounts),
        tab=st.sampled_from(TABS),
        pair=st.integers(0, n_pairs - 1),
        grade=st.integers(0, 3),
        clock=st.one_of(st.integers(0, 5), st.sampled_from((-YEAR, YEAR))),
        is_loaded=st.booleans(),
        is_careless=st.booleans(),
        pick=st.integers(0, 1000),
    )


def settlings(n_pairs: int) -> st.SearchStrategy[Settling]:
    """Return a strategy of judgments of every origin."""
    return st.builds(
        Settling,
        origin=st.sampled_from(("consensus", "consensus", "consensus", "adjudicated", "import:s")),
        pair=st.integers(0, n_pairs - 1),
        after=st.integers(0, 12),
        grade=st.integers(0, 3),
        rests_on=st.integers(0, n_pairs - 1),
        picks=st.none() | st.lists(st.integers(0, 1000), min_size=1, max_size=2).map(tuple),
    )


def sendings(n_pairs: int) -> st.SearchStrategy[Sending]:
    """Return a strategy of answers sent back."""
    return st.builds(
        Sending,
        pair=st.integers(0, n_pairs - 1),
        after=st.integers(0, 12),
        n_required=st.integers(1, 3),
        picks=st.none() | st.lists(st.integers(0, 1000), min_size=1, max_size=2).map(tuple),
    )


def history_of(
    rows: Sequence[ResponseRow], pair_id: str, account: str, send_backs: Sequence[SendBackRow] = ()
) -> History:
    """Return a history as the model orders it."""
    own = own_acts(rows, pair_id, account)
    return History(
        tuple(
            HeldAct(
                response_id=act.response_id,
                act=ResponseAct(act.act),
                grade=act.grade,
                steps=act.steps,
                reason=act.reason,
                target_id=act.target_id,
                effective_at=effective_time(act, own),
                is_withdrawn=is_withdrawn(act, own),
                is_sent_back=is_sent_back(act, send_backs),
            )
            for act in own
        )
    )


def play(place: Place, drawn: Sequence[Step]) -> list[ResponseRow]:
    """Return the rows of the drawn steps, in the order people acted; steps with nothing to undo or redo give none."""
    rows: list[ResponseRow] = []
    n_acts: dict[tuple[str, str], int] = {}
    for step in drawn:
        pair_id, candidate_id = place.pairs[step.pair]
        session = f"{place.name}-{step.tab}"
        seen = rows if step.is_loaded else [row for row in rows if row.session == session]
        history = history_of(seen, pair_id, step.account)
        sequence = n_acts.get((step.account, session), 0) + 1
        clock = START + timedelta(seconds=step.clock)
        acted_at = clock if step.is_careless else history.stamp(clock)
        turn = Turn(candidate_id, pair_id, step.account, session, sequence, acted_at=acted_at)
        response = _act(step, turn, history, rows)
        if response is not None:
            n_acts[step.account, session] = sequence
            rows.append(response.to_row(None))
    return rows


def _act(step: Step, turn: Turn, history: History, rows: Sequence[ResponseRow]) -> Response | None:
    if step.kind == "grade":
        return submit(turn, step.grade)
    if step.kind == "undo":
        return undo(turn, history.to_undo) if history.to_undo else None
    if step.kind == "redo":
        return redo(turn, history.to_redo) if history.to_redo else None
    if step.kind == "stray":
        own_id = Response(turn, ResponseAct.WITHDRAWN).response_id
        targets = [*(row.response_id for row in rows), own_id, "a_nothing"]
        return Response(turn, ResponseAct.WITHDRAWN, target_id=targets[step.pick % len(targets)])
    plain = {"later": put_off, "cannot_tell": cannot_tell}
    return plain[step.kind](turn) if step.kind in plain else discard(turn, "not for sale")


def judge(place: Place, drawn: Sequence[Settling], rows: Sequence[ResponseRow]) -> list[JudgmentRow]:
    """Return the drawn judgments, each made when the first `after` acts were known."""
    made = []
    for number, settling in enumerate(drawn):
        pair_id, candidate_id = place.pairs[settling.pair]
        known = rows[: settling.after]
        if settling.picks is None:
            evidence_id, _ = place.pairs[settling.rests_on]
            standing = [history_of(known, evidence_id, account).standing for account in ACCOUNTS]
            names = [act.response_id for act in standing if act is not None]
        else:
            names = [rows[pick % len(rows)].response_id for pick in settling.picks] if rows else []
        if settling.origin == "consensus" and not names:
            continue
        made.append(
            JudgmentRow(
                judgment_id=f"j_{place.name}_{number}",
                pair_id=pair_id,
                grade=settling.grade,
                origin=settling.origin,
                candidate_id=candidate_id,
                response_ids=names if settling.origin == "consensus" else [],
                is_replayed=False,
                run_id="run_1",
                created_at=START + timedelta(seconds=settling.after % 3),
            )
        )
    return made


def send_back(place: Place, drawn: Sequence[Sending], rows: Sequence[ResponseRow]) -> list[SendBackRow]:
    """Return the drawn sendings back, each made when the first `after` acts were known, if it names anything."""
    made = []
    for number, sending in enumerate(drawn):
        pair_id, candidate_id = place.pairs[sending.pair]
        known = rows[: sending.after]
        if sending.picks is None:
            own = {account: own_acts(known, pair_id, account) for account in ACCOUNTS}
            names = [
                act.response_id
                for acts in own.values()
                for act in acts
                if act.act in ANSWERS and not is_withdrawn(act, acts)
            ]
        else:
            names = [rows[pick % len(rows)].response_id for pick in sending.picks] if rows else []
        if names:
            made.append(
                SendBackRow(
                    send_back_id=f"b_{place.name}_{number}",
                    candidate_id=candidate_id,
                    pair_id=pair_id,
                    account="dora",
                    response_ids=names,
                    n_required=sending.n_required,
                    reason="read the width again",
                    created_at=START,
                )
            )
    return made

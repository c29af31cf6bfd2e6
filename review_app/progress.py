"""Will the work be done in time, and do people agree: the team as a whole, and each person for those who lead.

Who may see single people is decided here. Leads (whoever may approve) see everybody by name. Anybody else sees their
own line and the team's totals, and a total only where it hides the others: beside one other person it would tell what
that person does. What only another's answer can cause is not told to them either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from curation.tiers import parse_tiers
from review_app.answer_agreement import AnswerAgreement, count_agreement
from review_app.answer_work import (
    FEW,
    PersonLine,
    Standing,
    Work,
    count_standing,
    hides_others,
    people_of,
    read_days,
    total_work,
)
from review_app.figures import Figure, Figures
from review_app.pace import Finish, Pace, finish_of, pace_of
from review_app.tier_forecast import TierForecast, TierStand, count_tiers_now, forecast
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Act, Pin, may
from storage.store import Store
from storage.workspace import Workspace

# Causes anybody may be told of; the others speak of what somebody answered, or of an audit.
_TOLD_CAUSES = frozenset({"", "rule_conflict", "low_confidence"})
ANOTHER_LOOK = "another_look"


@dataclass(frozen=True, slots=True)
class CauseLine:
    """Pairs that wait for a cause ('' is the first answer), and the answers asked for; two causes, two lines."""

    cause: str
    n_pairs: int
    n_asked: int


@dataclass(frozen=True, slots=True)
class OpenWork:
    """What is not settled: what waits for answers, what only an adjudicator can settle, what is ready to be settled."""

    n_pairs: int
    n_asked: int
    causes: tuple[CauseLine, ...]
    n_disputed: int
    n_ready: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The figures that take long, as last taken; None while they are taken for the first time."""

    standing: Figure[Standing] | None
    agreement: Figure[AnswerAgreement] | None
    stand: Figure[TierStand] | None

    @property
    def is_coming(self) -> bool:
        """Whether one is on its way that the page should be drawn with."""
        return any(one is None or one.is_coming for one in (self.standing, self.agreement, self.stand))


@dataclass(frozen=True, slots=True)
class Progress:
    """The page. `team` and all that follows from it are None where the total would tell of one person (`is_hidden`).

    `people` is empty for whoever does not lead, and the team's days are. What rests on a figure that is not there yet
    is None or empty.
    """

    today: date
    is_lead: bool
    is_hidden: bool
    open: OpenWork
    team: Work | None
    pace: Pace | None
    finish: Finish | None
    own: PersonLine | None
    people: tuple[PersonLine, ...]
    tiers: tuple[TierForecast, ...]
    taken: Taken


def read_progress(
    person: Pin, store: Store, workspace: Workspace, figures: Figures, *, minutes_ahead: int = 0
) -> Progress:
    """Return how the work stands, as far as this person may know it. `minutes_ahead` is their clock before UTC."""
    _require_active(person)
    is_lead = may(person.role, Act.APPROVE)
    local = now() + timedelta(minutes=minutes_ahead)
    today = local.date()
    # what is quick to read comes before the figures, which would take the store's time from it
    rows = store.read("open_by_cause").to_pylist()
    days = read_days(store, local, minutes_ahead)
    taken = read_figures(store, workspace, figures)
    lines = people_of(days, taken.standing.value, today) if taken.standing else []
    is_hidden = not is_lead and not hides_others(lines, person.account)
    team = total_work([line.work for line in lines]) if taken.standing and not is_hidden else None
    pace = pace_of(team.by_day, today) if team else None
    work = _open_work(rows, tells_all=is_lead)
    return Progress(
        today,
        is_lead,
        is_hidden,
        work,
        team if is_lead or team is None else replace(team, by_day={}),
        pace,
        finish_of(work.n_asked, pace, today) if pace else None,
        next((line for line in lines if line.account == person.account), None),
        tuple(lines) if is_lead else (),
        tuple(_forecast(taken.stand.value, rows)) if taken.stand else (),
        taken if is_lead else _of_own(taken),
    )


def read_figures(store: Store, workspace: Workspace, figures: Figures) -> Taken:
    """Return the figures that take long, as last taken."""
    (row,) = store.read("progress_state").to_pylist()
    state = tuple(row.values())
    tiers = parse_tiers(workspace.config.get("tiers", []))
    figures.prepare("standing answers", state, lambda: count_standing(store))
    figures.prepare("agreement", state, lambda: count_agreement(store))
    return Taken(
        figures.figure("standing answers", state, lambda: count_standing(store)),
        figures.figure("agreement", state, lambda: count_agreement(store)),
        figures.figure("tier stand", (tiers, state), lambda: count_tiers_now(store, tiers)),
    )


def _require_active(person: Pin) -> None:
    """Let everybody in who has an account; what is told is cut to the role."""
    if person.retired_at is not None:
        raise UserError(
            f"account {person.account!r} was retired on {person.retired_at[:10]} and may do nothing any more. "
            f"An admin can add it again: afrel --as ADMIN account add {person.account} --role ROLE"
        )


def _open_work(rows: Sequence[Mapping[str, Any]], *, tells_all: bool) -> OpenWork:
    waiting = [row for row in rows if row["status"] == "awaiting_review"]
    pairs: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for row in waiting:
        causes = row["cause"].split(", ")
        told = causes if tells_all else {cause if cause in _TOLD_CAUSES else ANOTHER_LOOK for cause in causes}
        for cause in told:
            pairs[cause] += row["n_pairs"]
            asked[cause] += row["n_asked"]
    return OpenWork(
        sum(row["n_pairs"] for row in waiting),
        sum(row["n_asked"] for row in waiting),
        tuple(CauseLine(cause, pairs[cause], asked[cause]) for cause in sorted(pairs, key=lambda c: (-asked[c], c))),
        n_disputed=sum(row["n_pairs"] for row in rows if row["status"] == "disputed"),
        n_ready=sum(row["n_pairs"] for row in rows if row["status"] == "answered"),
    )


def _forecast(stand: TierStand, rows: Sequence[Mapping[str, Any]]) -> list[TierForecast]:
    def pairs_of(status: str) -> dict[bool, int]:
        return {
            again: sum(row["n_pairs"] for row in rows if row["status"] == status and bool(row["cause"]) == again)
            for again in (False, True)
        }

    return forecast(stand, waiting=pairs_of("awaiting_review"), discarded=pairs_of("discarded"))


def _of_own(taken: Taken) -> Taken:
    """Leave out people, and rules over so few pairs that who answered one of them could tell what the other said."""
    standing = replace(taken.standing, value=Standing({}, {})) if taken.standing else None
    agreement = taken.agreement
    if agreement is not None:
        rules = tuple(rule for rule in agreement.value.rules if rule.agreed.n_pairs >= FEW)
        agreement = replace(agreement, value=replace(agreement.value, rules=rules))
    return Taken(standing, agreement, taken.stand)

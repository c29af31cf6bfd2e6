"""How the work stands, and who may know what of whom: totals that would tell of one person are not told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from curation.intervals import mean_interval
from review_app.decisions import Response, Turn, cannot_tell, discard, put_off, read_history, save, submit, undo
from review_app.figures import Figures
from review_app.progress import ANOTHER_LOOK, Progress, read_progress
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Pin, Role
from storage.store import Store
from storage.workspace import Workspace
from tests.review_app.review_rows import add_pair, pair_id_of
from tests.review_app.rule_rows import NAMES, pin

ANA, BO, CHEN = (pin(name, Role.REVIEWER) for name in ("ana", "bo", "chen"))
DORA = pin("dora", Role.ADJUDICATOR)
PROPOSED = {f"c_{n}": (2, "[]") for n in range(1, 60)}


@pytest.fixture
def scaled(store: Store) -> Store:
    rows = [{"grade_id": f"g_{n}", "grade": n, "name": name, "created_at": now()} for n, name in enumerate(NAMES)]
    store.append({"grades": rows})
    return store


def look(store: Store, person: Pin, *, minutes_ahead: int = 0, **config: Any) -> Progress:
    """Look again until no figure is on its way any more: a busy machine takes longer than the page waits."""
    figures, patience = Figures(), time.monotonic() + 60
    while True:
        found = read_progress(person, store, Workspace(Path("unused"), config), figures, minutes_ahead=minutes_ahead)
        taken = found.taken
        asked = (taken.standing, taken.agreement, taken.stand) if found.is_lead else (taken.standing,)
        if all(one is not None and not one.is_coming for one in asked) or time.monotonic() > patience:
            return found
        time.sleep(0.02)


def turn(n: int, account: str, *, days_ago: float = 1, seconds: float | None = 10, is_replayed: bool = False) -> Turn:
    at = now() - timedelta(days=days_ago)
    return Turn(f"c_{n}", pair_id_of(n), account, f"s{days_ago}", n, at, seconds, is_replayed)


def answer(store: Store, *responses: Response) -> None:
    save(store, responses, proposals=PROPOSED)


def three_at_work(store: Store, accounts: Sequence[str] = ("ana", "bo", "chen"), **given: Any) -> None:
    """Each of them grades pairs of their own: ana 1 and 2, bo 11 and 12, chen 21 and 22."""
    for place, account in enumerate(accounts):
        for n in (10 * place + 1, 10 * place + 2):
            add_pair(store, n)
            answer(store, submit(turn(n, account, **given), 2))


def test_what_waits_is_counted_by_cause_and_a_pair_with_two_causes_twice(scaled: Store) -> None:
    causes = [("blind_audit", "confidence < 0.5", 2), ("rule_conflict", "confidence < 0.3", 3)]
    scaled.append(
        {
            "review_causes": [
                {"review_cause_id": f"rc_{name}", "cause": name, "predicate": where, "n_required": n}
                | {"created_at": now()}
                for name, where, n in causes
            ]
        }
    )
    add_pair(scaled, 1)
    add_pair(scaled, 2, confidence=0.4)
    add_pair(scaled, 3, confidence=0.2)
    answer(scaled, submit(turn(3, "ana"), 1))
    work = look(scaled, DORA).open
    assert (work.n_pairs, work.n_asked) == (3, 1 + 2 + 2)
    told = {line.cause: (line.n_pairs, line.n_asked) for line in work.causes}
    assert told == {"": (1, 1), "blind_audit": (2, 4), "rule_conflict": (1, 2)}


def test_a_reviewer_is_not_told_what_only_an_answer_or_an_audit_causes(scaled: Store) -> None:
    for name in ("blind_audit", "revised"):
        row = {"review_cause_id": f"rc_{name}", "cause": name, "predicate": "confidence < 0.5", "n_required": 2}
        scaled.append({"review_causes": [{**row, "created_at": now()}]})
    add_pair(scaled, 1, confidence=0.4)
    assert [line.cause for line in look(scaled, DORA).open.causes] == ["blind_audit", "revised"]
    assert [(line.cause, line.n_pairs) for line in look(scaled, ANA).open.causes] == [(ANOTHER_LOOK, 1)]


def test_throughput_counts_answers_given_here_a_pair_once_a_day(scaled: Store) -> None:
    for n in range(1, 8):
        add_pair(scaled, n)
    given = submit(turn(1, "ana", days_ago=2), 1)
    answer(scaled, given, submit(turn(2, "ana", days_ago=2), 1), discard(turn(3, "ana", days_ago=2), "twice"))
    answer(scaled, submit(turn(1, "ana", days_ago=2.01), 3), cannot_tell(turn(4, "ana", days_ago=1)))
    answer(scaled, put_off(turn(5, "ana", days_ago=1)), submit(turn(6, "ana", days_ago=1, is_replayed=True), 1))
    own = look(scaled, DORA).people[0]
    assert own.account == "ana"
    assert sorted(own.work.by_day.values()) == [1, 3]
    assert (own.work.n_recent, own.work.n_answers, own.work.n_cannot_tell) == (4, 5, 1)
    assert (own.work.n_discarded, own.work.n_replayed) == (1, 1)


def test_days_are_those_of_the_readers_clock(scaled: Store) -> None:
    add_pair(scaled, 1)
    answer(scaled, submit(turn(1, "ana", days_ago=0), 1))
    for ahead in (-720, 0, 840):
        found = look(scaled, DORA, minutes_ahead=ahead)
        assert list(found.people[0].work.by_day) == [found.today]
        assert found.today == (now() + timedelta(minutes=ahead)).date()


def test_an_hour_of_work_is_time_at_the_card_and_a_card_left_open_counts_five_minutes(scaled: Store) -> None:
    for n in (1, 2, 3):
        add_pair(scaled, n)
    answer(scaled, submit(turn(1, "ana", seconds=20), 1), submit(turn(2, "ana", seconds=5000), 1))
    answer(scaled, submit(turn(3, "ana", seconds=None), 1))
    speed = look(scaled, DORA).people[0].work.speed
    # 20 s and 300 s; the third was not timed
    assert (speed.n, speed.seconds, speed.per_hour) == (2, 320, 2 * 3600 / 320)


def test_speed_is_the_middle_answer_and_the_middle_half(scaled: Store) -> None:
    for n, seconds in enumerate((4, 8, 12, 16, 100), 1):
        add_pair(scaled, n)
        answer(scaled, submit(turn(n, "ana", seconds=seconds), 1))
    (ana,) = look(scaled, DORA).people
    assert (ana.low_seconds, ana.median_seconds, ana.high_seconds, ana.n_seconds) == (8, 12, 16, 5)


def settle(store: Store, n: int, grade: int, *, origin: str = "adjudicated", of: Sequence[Response] = ()) -> None:
    row = {"judgment_id": f"j_{n}", "pair_id": pair_id_of(n), "grade": grade, "origin": origin}
    said = {"response_ids": [one.response_id for one in of], "is_replayed": False, "run_id": "run_1"}
    store.append({"judgments": [{**row, **said, "created_at": now()}]})


def test_leniency_is_the_mean_above_the_settled_grade_but_not_where_one_settled_alone(scaled: Store) -> None:
    given = {}
    for n, grade in ((1, 3), (2, 2), (3, 0)):
        add_pair(scaled, n)
        given[n] = submit(turn(n, "ana"), grade)
        answer(scaled, given[n])
    settle(scaled, 1, 1)
    settle(scaled, 2, 2)
    settle(scaled, 3, 0, origin="consensus", of=[given[3]])
    (ana,) = look(scaled, DORA).people
    # +2 and 0: mean 1, sample variance 2
    assert (ana.leniency, ana.n_held, ana.leniency_interval) == (1.0, 2, mean_interval(1.0, 2.0, 2))


def test_an_undone_answer_is_none(scaled: Store) -> None:
    add_pair(scaled, 1)
    given = submit(turn(1, "ana"), 3)
    answer(scaled, given)
    settle(scaled, 1, 1)
    held = read_history(scaled, pair_id_of(1), "ana").standing
    assert held is not None
    answer(scaled, undo(Turn("c_1", pair_id_of(1), "ana", "s2", 1), held))
    (ana,) = look(scaled, DORA).people
    assert (ana.work.n_answers, ana.leniency) == (0, None)


@pytest.mark.parametrize("role", [Role.ADJUDICATOR, Role.CURATOR, Role.ADMIN])
def test_leads_see_everybody_by_name(scaled: Store, role: Role) -> None:
    three_at_work(scaled)
    found = look(scaled, pin("lead", role))
    assert [line.account for line in found.people] == ["ana", "bo", "chen"]
    assert found.team is not None and sum(found.team.by_day.values()) == 6


@pytest.mark.parametrize("person", [ANA, pin("eli", Role.ENGINEER), pin("new", Role.REVIEWER)])
def test_nobody_else_is_told_of_another_person_in_any_field(scaled: Store, person: Pin) -> None:
    three_at_work(scaled)
    found = look(scaled, person)
    assert found.people == ()
    assert found.own is None or found.own.account == person.account
    others = {"ana", "bo", "chen"} - {person.account}
    assert not any(f"'{other}'" in repr(asdict(found)) for other in others)
    # the team's total, and no day of it
    assert found.team is not None
    assert (found.team.n_answers, found.team.by_day) == (6, {})


def test_a_reviewer_sees_their_own_line(scaled: Store) -> None:
    three_at_work(scaled)
    own = look(scaled, BO).own
    assert own is not None
    assert (own.account, own.work.n_answers, sum(own.work.by_day.values())) == ("bo", 2, 2)


def test_beside_one_other_person_a_total_is_hidden_for_it_would_tell_what_that_person_does(scaled: Store) -> None:
    three_at_work(scaled, accounts=("ana", "bo"))
    found = look(scaled, ANA)
    assert (found.team, found.pace, found.finish) == (None, None, None)
    assert found.own is not None and found.own.work.n_answers == 2
    assert look(scaled, DORA).team is not None
    # an engineer answers nothing, so both are others
    assert look(scaled, pin("eli", Role.ENGINEER)).team is not None


def test_a_total_is_hidden_too_when_only_one_other_person_worked_lately(scaled: Store) -> None:
    three_at_work(scaled, days_ago=100)
    add_pair(scaled, 31)
    add_pair(scaled, 32)
    answer(scaled, submit(turn(31, "bo"), 1), submit(turn(32, "ana"), 1))
    assert look(scaled, ANA).team is None
    assert look(scaled, DORA).team is not None


def test_alone_one_sees_the_total_which_is_ones_own(scaled: Store) -> None:
    three_at_work(scaled, accounts=("ana",))
    team = look(scaled, ANA).team
    assert team is not None and team.n_answers == 2


def test_rules_over_few_pairs_are_told_to_leads_only(scaled: Store) -> None:
    add_pair(scaled, 1)
    answer(scaled, *(submit(turn(1, account), 2) for account in ("ana", "bo", "chen")))
    rule = {"rule_id": "r_1", "text": "a rule", "condition": "true", "grade": 1, "origin": "mined", "run_id": "run_1"}
    vote = {"rule_vote_id": "v_1", "rule_id": "r_1", "pair_id": pair_id_of(1), "grade": 1, "run_id": "run_1"}
    approval = {"approval_id": "a_1", "kind": "rule", "content_id": "r_1", "decision": "approve", "account": "dora"}
    stamp = {"created_at": now()}
    scaled.append(
        {"rules": [rule | stamp], "rule_votes": [vote | stamp], "approvals": [approval | {"sequence": 1} | stamp]}
    )
    lead, reviewer = look(scaled, DORA).taken.agreement, look(scaled, ANA).taken.agreement
    assert lead is not None and [rule.rule_id for rule in lead.value.rules] == ["r_1"]
    assert reviewer is not None and reviewer.value.rules == ()
    assert reviewer.value.overall == lead.value.overall


def test_the_forecast_joins_pace_and_what_waits(scaled: Store) -> None:
    for n in range(1, 40):
        add_pair(scaled, n)
    for days_ago in (5, 4, 3, 2, 1):
        answer(scaled, *(submit(turn(5 * days_ago + k, "ana", days_ago=days_ago), 2) for k in range(5)))
    found = look(scaled, DORA)
    # 25 of 39 answered, five a day: 14 are left and take three days, on every day the same number
    assert found.pace is not None and found.finish is not None
    assert (found.pace.per_day, found.pace.n_days, found.open.n_asked) == (5, 5, 14)
    assert found.finish.by == found.finish.latest == found.today + timedelta(days=3)


def test_a_tier_of_the_workspace_is_the_one_that_is_counted(scaled: Store) -> None:
    add_pair(scaled, 1)
    settle(scaled, 1, 3)
    tiers = [{"tier": 7, "name": "all", "where": "true"}]
    found = look(scaled, DORA, tiers=tiers)
    assert [(tier.tier, tier.name, tier.n_now) for tier in found.tiers] == [(7, "all", 1)]


def test_a_retired_account_sees_nothing(scaled: Store) -> None:
    with pytest.raises(UserError, match="retired"):
        look(scaled, pin("ana", Role.REVIEWER, retired_at="2026-01-02"))


def test_an_empty_workspace_has_nothing_to_tell(scaled: Store) -> None:
    found = look(scaled, DORA)
    assert (found.open.n_pairs, found.people, found.pace, found.own) == (0, (), None, None)
    assert all(tier.n_now == 0 and tier.n_more == 0 for tier in found.tiers)

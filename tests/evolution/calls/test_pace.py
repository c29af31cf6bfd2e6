"""How many calls may be under way: up by doubling, down by half, and back after a server was away."""

from __future__ import annotations

import random

from evolution.calls.pace import PAUSE_ROUNDS, Pace, backoff_seconds


def rounds(pace: Pace, n: int, *, seconds: float = 0.2) -> None:
    """Answer n rounds of as many calls as the limit allows."""
    for _ in range(n):
        limit = int(pace.limit)
        for _ in range(limit):
            pace.note_reply(seconds, n_under_way=limit)


def test_it_doubles_in_a_round_up_to_the_ceiling() -> None:
    pace = Pace(64)
    limits = []
    for _ in range(4):
        limits.append(int(pace.limit))
        rounds(pace, 1)
    assert limits == [16, 32, 64, 64]


def test_a_ceiling_below_the_first_limit_is_kept() -> None:
    pace = Pace(4)
    rounds(pace, 5)
    assert pace.limit == 4


def test_refusals_of_calls_sent_together_halve_the_limit_once() -> None:
    pace = Pace(64)
    rounds(pace, 3)
    for at in (10.0, 10.1, 10.2):
        pace.note_trouble(sent_at=9.0, at=at)
    assert pace.limit == 32
    pace.note_trouble(sent_at=10.3, at=11.0)
    assert pace.limit == 16


def test_after_a_refusal_it_rises_by_steps_not_by_doubling() -> None:
    """At 32 the step is 64 / 32 = 2 a round."""
    pace = Pace(64)
    rounds(pace, 3)
    pace.note_trouble(sent_at=9.0, at=10.0)
    rounds(pace, 1)
    assert 33.9 <= pace.limit <= 34.1


def test_after_a_stall_it_is_back_in_a_few_rounds() -> None:
    """A minute without any reply takes the limit to 1; the level to come back to is half of what it was before."""
    pace = Pace(80)
    rounds(pace, 4)
    assert pace.limit == 80
    for at in range(10, 70, 5):
        pace.note_trouble(sent_at=at - 1.0, at=float(at))
    assert pace.limit == 1
    rounds(pace, 6)
    assert pace.limit >= 40
    rounds(pace, 20)
    assert pace.limit == 80


def test_where_more_calls_only_take_longer_the_limit_goes_back() -> None:
    """A server with 20 calls at a time: twice as many take twice as long."""
    pace = Pace(512)
    reached = []
    for _ in range(PAUSE_ROUNDS):
        limit = int(pace.limit)
        reached.append(limit)
        for _ in range(limit):
            pace.note_reply(0.2 * max(1.0, limit / 20), n_under_way=limit)
    assert max(reached) <= 128
    assert reached[-1] <= 64


def test_a_limit_that_is_not_used_does_not_rise() -> None:
    pace = Pace(64)
    for _ in range(200):
        pace.note_reply(0.2, n_under_way=3)
    assert pace.limit == 16


def test_nothing_starts_while_the_server_wants_to_be_left_alone() -> None:
    pace = Pace(8)
    pace.hold(2.0, at=100.0)
    pace.hold(1.0, at=100.5)
    assert (pace.n_free(0, 101.9), pace.n_free(3, 102.0)) == (0, 5)
    assert pace.seconds_held(101.5) == 0.5


def test_waits_grow_to_eight_seconds_and_a_servers_wish_is_kept() -> None:
    chance = random.Random(0)
    waits = [backoff_seconds(n, None, chance) for n in range(8)]
    for n, wait in enumerate(waits):
        assert 0.75 * min(8.0, 0.5 * 2**n) <= wait <= min(8.0, 0.5 * 2**n)
    assert 3.0 <= backoff_seconds(5, 3.0, chance) <= 3.3

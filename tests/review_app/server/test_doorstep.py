"""Slowing down guessers by address, and login forms that count once."""

from __future__ import annotations

import pytest

from review_app.server import one_time
from review_app.server.doorstep import N_ADDRESSES, N_FREE, REFILL_SECONDS, Doorstep
from review_app.server.one_time import LASTS_SECONDS, OneTimeMarks


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_twenty_wrong_passwords_of_an_address_are_tried_and_then_one_in_six_seconds() -> None:
    seconds = Seconds()
    doorstep = Doorstep(seconds=seconds)
    assert [doorstep.knock("203.0.113.7") for _ in range(N_FREE)] == [0] * 20
    assert doorstep.knock("203.0.113.7") == 6
    assert doorstep.knock("203.0.113.8") == 0
    seconds.now += 2.5
    assert doorstep.knock("203.0.113.7") == 4  # 3.5 s are left
    seconds.now += 3.5
    assert [doorstep.knock("203.0.113.7") for _ in range(2)] == [0, 6]


def test_right_passwords_cost_an_address_nothing() -> None:
    doorstep = Doorstep(seconds=Seconds())
    for _ in range(100):
        assert doorstep.knock("203.0.113.7") == 0
        doorstep.let_in("203.0.113.7")


def test_an_address_that_waited_has_no_more_than_twenty_again() -> None:
    seconds = Seconds()
    doorstep = Doorstep(seconds=seconds)
    doorstep.knock("203.0.113.7")
    seconds.now += 1000 * REFILL_SECONDS
    assert [doorstep.knock("203.0.113.7") for _ in range(N_FREE + 1)][-1] == 6


def test_the_addresses_of_one_ipv6_line_count_as_one() -> None:
    doorstep = Doorstep(seconds=Seconds())
    assert [doorstep.knock(f"2001:db8::{n}") for n in range(1, 22)][-1] == 6
    assert doorstep.knock("2001:db8:0:1::1") == 0
    assert [doorstep.knock(f"::ffff:203.0.113.{n}") for n in range(1, 22)] == [0] * 21


def test_a_flood_of_addresses_does_not_fill_the_memory() -> None:
    doorstep = Doorstep(seconds=Seconds())
    for n in range(N_ADDRESSES + 5):
        doorstep.knock(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(doorstep._left) <= N_ADDRESSES


def test_a_mark_counts_once_for_its_browser_and_for_an_hour() -> None:
    seconds = Seconds()
    marks = OneTimeMarks(seconds=seconds)
    mark = marks.give("ana's browser")
    assert not marks.take("bo's browser", mark)
    assert marks.take("ana's browser", mark)
    assert not marks.take("ana's browser", mark)
    late = marks.give("ana's browser")
    seconds.now += LASTS_SECONDS + 1
    assert not marks.take("ana's browser", late)


def test_a_forged_mark_counts_for_nothing() -> None:
    marks = OneTimeMarks(seconds=Seconds())
    nonce, until, signature = marks.give("b").split(".")
    forged = [f"{nonce}.{int(until) + 1}.{signature}", f"{'0' * 32}.{until}.{signature}", f"{nonce}.{until}."]
    forged += ["", "..", "a.b.c", f"{nonce}.{until}.{signature}.x", f"{nonce}.é.{signature}", "x" * 1000]
    assert [marks.take("b", mark) for mark in forged] == [False] * 9
    assert not marks.take("", marks.give(""))
    assert not OneTimeMarks(seconds=Seconds()).take("b", marks.give("b"))


def test_a_flood_of_used_marks_makes_open_forms_stale_and_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_time, "N_USED", 3)
    marks = OneTimeMarks(seconds=Seconds())
    waiting = marks.give("b")
    assert [marks.take("b", marks.give("b")) for _ in range(3)] == [True] * 3
    assert not marks.take("b", marks.give("b"))
    assert not marks.take("b", waiting)  # of before the flood
    assert marks.take("b", marks.give("b"))
    assert len(marks._used) == 1

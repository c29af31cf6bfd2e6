"""Work beside the pages: one of a kind at a time, found again, told when it fails, let go of when nobody comes."""

from __future__ import annotations

import threading

import pytest

from review_app import long_work
from review_app.long_work import LongWork, Work
from storage.clock import now
from storage.errors import UserError
from storage.progress import Stage


def over(work: Work) -> Work:
    assert work.wait(10)
    return work


def test_work_under_way_is_not_begun_twice_and_its_outcome_is_found_until_put_away() -> None:
    works, go = LongWork(), threading.Event()
    first = works.begin("key", "ana", lambda _watch, _stop: go.wait(10) and 42)
    assert works.begin("key", "bo", lambda _watch, _stop: 43) is first
    works.put_away("key")
    assert works.find("key") is first  # not over yet
    go.set()
    assert over(first).outcome == 42 and first.by == "ana"
    assert works.find("key") is first
    works.put_away("key")
    assert works.find("key") is None


def test_a_refusal_is_told_in_words_and_anything_else_by_number(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise UserError("no such tier")

    def fail(*_: object) -> None:
        raise ZeroDivisionError("by 0")

    works = LongWork()
    assert over(works.begin("refused", "ana", refuse)).refused == "no such tier"
    broken = over(works.begin("broken", "ana", fail))
    assert broken.refused is None and broken.broke is not None
    assert broken.broke in caplog.text and "ZeroDivisionError" in caplog.text


def test_a_share_is_known_where_the_whole_is_and_a_rate_once_there_is_one() -> None:
    clock = [100.0]
    work = Work("ana", now(), clock=lambda: clock[0])
    assert (work.share, work.rate, work.seconds_left) == (None, None, None)
    work.watch(Stage.HASHING, 0, 400)
    clock[0] += 4
    work.watch(Stage.HASHING, 100, 400)
    assert (work.share, work.rate, work.seconds_left) == (0.25, 25.0, 12.0)
    work.watch(Stage.WRITING, 1, 0)  # another stage: its own time, and nobody knows how much there is
    clock[0] += 4
    assert (work.share, work.seconds_left, work.elapsed) == (None, None, 8)


def test_what_a_closed_tab_never_took_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    works = LongWork()
    kept = over(works.begin("kept", "ana", lambda *_: 1))
    over(works.begin("tab", "ana", lambda *_: 2, is_of_tab=True))
    monkeypatch.setattr(long_work, "KEPT_SECONDS", 0.0)
    over(works.begin("next", "ana", lambda *_: 3))
    assert works.find("kept") is kept
    assert works.find("tab") is None


def test_work_can_be_told_to_stop() -> None:
    works = LongWork()
    work = works.begin("key", "ana", lambda _watch, stop: stop.wait(10))
    work.stop.set()
    assert over(work).outcome is True

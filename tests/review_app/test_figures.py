"""Figures that take long: the page goes on, the last one is shown, a new one comes, and what failed is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from review_app import figures as module
from review_app.figures import Figures, figures_of


def slow(gate: threading.Event, value: int) -> Callable[[], int]:
    """Return what takes until the gate opens."""

    def take() -> int:
        gate.wait(10)
        return value

    return take


def until_taken(figures: Figures, state: int, take: Callable[[], int]) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = figures.figure("n", state, take)
        if found is not None and found.is_of_now:
            return found.value
        time.sleep(0.01)
    raise AssertionError("the figure did not come")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Figures:
    monkeypatch.setattr(module, "BLINK_SECONDS", 0.05)
    monkeypatch.setattr(module, "REST", 0)
    return Figures()


def test_a_quick_figure_is_there_at_once(figures: Figures) -> None:
    found = figures.figure("n", 1, lambda: 7)
    assert found is not None
    assert (found.value, found.is_of_now, found.is_coming) == (7, True, False)


def test_a_slow_figure_does_not_hold_the_page_up(figures: Figures) -> None:
    gate = threading.Event()
    began = time.monotonic()
    assert figures.figure("n", 1, slow(gate, 7)) is None
    assert time.monotonic() - began < 5
    gate.set()
    assert until_taken(figures, 1, slow(gate, 7)) == 7


def test_a_figure_is_taken_once_while_the_facts_are_the_same(figures: Figures) -> None:
    taken: list[int] = []
    for _ in range(3):
        figures.figure("n", 1, lambda: taken.append(1))
    assert taken == [1]
    figures.figure("n", 2, lambda: taken.append(2))
    assert taken == [1, 2]


def test_the_last_figure_is_shown_while_a_new_one_is_taken(figures: Figures) -> None:
    gate = threading.Event()
    figures.figure("n", 1, lambda: 7)
    found = figures.figure("n", 2, slow(gate, 8))
    assert found is not None
    assert (found.value, found.is_of_now, found.is_coming) == (7, False, True)
    gate.set()
    assert until_taken(figures, 2, slow(gate, 8)) == 8


def test_many_who_ask_at_once_take_it_once(figures: Figures) -> None:
    gate, taken = threading.Event(), []

    def take() -> int:
        taken.append(1)
        gate.wait(10)
        return 7

    asking = [threading.Thread(target=figures.figure, args=("n", 1, take)) for _ in range(8)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    gate.set()
    assert until_taken(figures, 1, take) == 7
    assert taken == [1]


def test_taking_rests_for_many_times_as_long_as_it_takes(figures: Figures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST", 10_000)

    def take() -> int:
        time.sleep(0.02)
        return 7

    assert until_taken(figures, 1, take) == 7
    found = figures.figure("n", 2, take)
    assert found is not None
    assert (found.is_of_now, found.is_coming) == (False, False)


def test_what_went_wrong_is_told_once_and_tried_again(figures: Figures) -> None:
    def fails() -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        figures.figure("n", 1, fails)
    found = figures.figure("n", 1, lambda: 7)
    assert found is not None and found.value == 7


def test_each_workspace_has_figures_of_its_own() -> None:
    assert figures_of("one") is figures_of("one")
    assert figures_of("one") is not figures_of("two")

"""The part of runs: all of them in a table that keeps up with those under way, and below it the one looked at."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from review_app.page import Page
from review_app.run_desk import Measured, RunRow, find_runs, see_runs
from review_app.views import run_keys
from review_app.views.clock import shown_time
from review_app.views.numbers import ABSENT
from review_app.views.run_one import draw_run
from review_app.views.tables import Column, draw_table
from storage.training.run_list import RunStatus

LIVE_SECONDS, IDLE_SECONDS = 3.0, 20.0  # while something trains; else, for what is begun elsewhere
MOST_HEIGHT = 320
ROW_HEIGHT = 35
COUNTED_WIDTH = 170
FEW = 20


def draw_runs(page: Page) -> None:
    """Draw the runs, the latest first, and one of them whole."""
    rows = see_runs(page.person, page.workspace, page.store)
    if not rows:
        st.info(page.say("runs.none"))
        return
    find, choose = st.columns([2, 3], vertical_alignment="bottom")
    text = find.text_input(
        page.say("runs.find"), placeholder=page.say("runs.find_placeholder"), key="runs.find", max_chars=200
    )
    found = find_runs(rows, text or "")
    if not found:
        st.info(page.say("runs.none_found"))
        return
    by_id = {row.run_id: row for row in found}
    alive = next((place for place, row in enumerate(found) if row.is_alive), 0)
    chosen = choose.selectbox(
        page.say("runs.open"),
        list(by_id),
        index=alive,
        format_func=lambda one: _option(page, by_id[one]),
        key=run_keys.OPEN_RUN,
    )
    _draw_table(page, text or "", rows)
    draw_run(page, by_id[chosen], rows)


def _option(page: Page, row: RunRow) -> str:
    at = row.started_at
    return page.say(
        "runs.option", run=row.run_id, method=row.line.method or ABSENT, at=shown_time(at) if at else ABSENT
    )


def _draw_table(page: Page, text: str, first: Sequence[RunRow]) -> None:
    """Draw the table, again and again by itself; the whole page when a run came, went or ended."""
    known, is_live = {row.run_id for row in first}, any(row.is_alive for row in first)
    at_hand = [first]

    @st.fragment(run_every=LIVE_SECONDS if is_live else IDLE_SECONDS)
    def table() -> None:
        rows = at_hand.pop() if at_hand else see_runs(page.person, page.workspace, page.store)
        if {row.run_id for row in rows} != known or any(row.is_alive for row in rows) != is_live:
            st.rerun()
        _draw_rows(page, find_runs(rows, text))

    table()


def _draw_rows(page: Page, rows: Sequence[RunRow]) -> None:
    # as wide as its words, but where steps are counted: there it would move with them
    state_width = COUNTED_WIDTH if any(row.is_alive for row in rows) else None
    dev = {row.run_id: (row.on("dev", "accuracy"), row.on("dev", "macro_f1")) for row in rows}
    draw_table(
        [
            Column(page.say("runs.run"), [row.run_id for row in rows]),
            Column(page.say("runs.state"), [state_of(page, row) for row in rows], width=state_width),
            Column(page.say("runs.method"), [row.line.method for row in rows]),
            Column(page.say("runs.model"), [row.line.started_from for row in rows]),
            Column(page.say("runs.loss"), [row.line.loss for row in rows], number="%.3f"),
            Column(page.say("runs.accuracy"), [_value(dev[row.run_id][0]) for row in rows], number="%.3f"),
            Column(page.say("runs.interval"), [interval_of(dev[row.run_id][0]) for row in rows]),
            Column(page.say("runs.macro_f1"), [_value(dev[row.run_id][1]) for row in rows], number="%.3f"),
            Column(page.say("runs.interval"), [interval_of(dev[row.run_id][1]) for row in rows]),
            Column(page.say("runs.n_pairs"), [one.n if (one := dev[row.run_id][0]) else None for row in rows]),
            Column(page.say("runs.forgotten"), [row.n_forgotten for row in rows]),
            Column(page.say("runs.snapshot"), [row.line.snapshot_id for row in rows]),
            Column(page.say("runs.started"), [shown_time(at) if (at := row.started_at) else None for row in rows]),
        ],
        is_few=[(one := dev[row.run_id][0]) is not None and one.n < FEW for row in rows],
        height=min(MOST_HEIGHT, ROW_HEIGHT * (len(rows) + 1) + 3),
    )
    st.caption(page.say("runs.list_help"))


def state_of(page: Page, row: RunRow) -> str:
    """Return in words where a run stands."""
    line = row.line
    if line.status is RunStatus.RUNNING and line.total:
        return page.say("runs.is_at", done=f"{line.done or 0:,}", total=f"{line.total:,}")
    return page.say(f"runs.is_{line.status.value}")


def interval_of(measured: Measured | None) -> str | None:
    """Return the interval of a measure, None where it has none."""
    if measured is None or measured.low is None or measured.high is None:
        return None
    return f"[{measured.low:.3f}, {measured.high:.3f}]"


def _value(measured: Measured | None) -> float | None:
    return measured.value if measured is not None else None

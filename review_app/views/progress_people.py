"""People, for those who lead; for anybody else their own line."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from review_app.answer_work import FEW, PersonLine
from review_app.page import Page
from review_app.progress import Progress
from review_app.views.charts import Mark, draw_intervals
from review_app.views.numbers import ABSENT, decimal_span
from review_app.views.tables import Column, draw_table


def draw_people(page: Page, people: Sequence[PersonLine]) -> None:
    """Draw everybody who answered."""
    if not people:
        return
    st.header(page.say("progress.people"), anchor=False)
    st.caption(page.say("progress.people_told"))
    _draw_lines(page, people)
    held = sorted((one for one in people if one.leniency is not None), key=lambda one: -(one.leniency or 0.0))
    if held:
        _draw_leniency(page, held)


def draw_own(page: Page, found: Progress) -> None:
    """Draw the asker's own line."""
    st.header(page.say("progress.you"), anchor=False)
    if found.own is None:
        st.caption(page.say("progress.you_none"))
        return
    st.caption(page.say("progress.you_told"))
    _draw_lines(page, [found.own])
    if found.own.leniency is not None:
        _draw_leniency(page, [found.own])


def _draw_lines(page: Page, people: Sequence[PersonLine]) -> None:
    def head(name: str) -> str:
        return page.say(f"progress.column_{name}")

    works = [one.work for one in people]
    draw_table(
        [
            Column(head("person"), [one.account for one in people]),
            Column(head("recent"), [work.n_recent for work in works]),
            Column(head("all"), [work.n_answers for work in works]),
            Column(head("per_hour"), [work.speed.per_hour for work in works], number="%.0f"),
            Column(head("seconds"), [one.median_seconds for one in people], number="%.1f"),
            Column(head("half"), [_half(one) for one in people]),
            Column(head("timed"), [one.n_seconds for one in people]),
            Column(head("leniency"), [one.leniency for one in people], number="%+.2f"),
            Column(head("leniency_interval"), [decimal_span(one.leniency_interval) for one in people]),
            Column(head("held"), [one.n_held for one in people]),
            Column(
                head("cannot_tell"), [_share(work.n_cannot_tell, work.n_answers) for work in works], number="%.1f%%"
            ),
            Column(head("discarded"), [_share(work.n_discarded, work.n_answers) for work in works], number="%.1f%%"),
        ],
        is_few=[one.work.n_answers < FEW for one in people],
    )


def _draw_leniency(page: Page, people: Sequence[PersonLine]) -> None:
    marks = [
        Mark(
            page.say("progress.person_n", account=one.account, n=f"{one.n_held:,}"),
            one.leniency or 0.0,
            one.leniency_interval,
            one.n_held < FEW,
        )
        for one in people
    ]
    draw_intervals(marks, title=page.say("progress.chart_leniency"), axis=page.say("progress.leniency_axis"))


def _half(one: PersonLine) -> str:
    if one.low_seconds is None or one.high_seconds is None:
        return ABSENT
    return f"{one.low_seconds:.1f} – {one.high_seconds:.1f}"


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None

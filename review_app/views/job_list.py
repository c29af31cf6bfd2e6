"""The part of jobs: what waits, runs and ended, one of them with its log; cancel and resume."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from review_app import job_desk
from review_app.page import Page
from review_app.views import run_keys
from review_app.views.clock import shown_time
from review_app.views.numbers import ABSENT
from review_app.views.plain import plain
from review_app.views.run_acts import draw_job_acts
from review_app.views.sentences import together
from review_app.views.tables import Column, draw_table
from storage.jobs.line import OPEN
from storage.rows import JobRow

MOST_SHOWN = 200
LIVE_SECONDS = 2.0
TABLE_HEIGHT = 320


def draw_jobs(page: Page) -> None:
    """Draw the jobs, the latest asked for first, and one of them whole."""
    if said := st.session_state.pop(run_keys.SAID, None):
        st.info(said)
    jobs = job_desk.see_jobs(page.person, page.workspace, page.store, starts=True)[:MOST_SHOWN]
    if not jobs:
        st.info(page.say("jobs.none"))
        return
    _draw_table(page, [job.job_id for job in jobs], is_live=any(job.status in OPEN for job in jobs))
    by_id = {job.job_id: job for job in jobs}
    chosen = st.selectbox(
        page.say("jobs.open"),
        list(by_id),
        format_func=lambda one: page.say("jobs.option", job=one, command=job_desk.command_of(by_id[one])),
        key=run_keys.OPEN_JOB,
    )
    if chosen is not None:
        _draw_job(page, by_id[chosen])


def _draw_table(page: Page, known: Sequence[str], *, is_live: bool) -> None:
    @st.fragment(run_every=LIVE_SECONDS if is_live else None)
    def table() -> None:
        jobs = job_desk.see_jobs(page.person, page.workspace, page.store, starts=False)[:MOST_SHOWN]
        if [job.job_id for job in jobs] != list(known) or any(job.status in OPEN for job in jobs) != is_live:
            st.rerun()
        draw_table(
            [
                Column(page.say("jobs.job"), [job.job_id for job in jobs]),
                Column(page.say("jobs.state"), [page.say(f"jobs.is_{job.status}") for job in jobs], width=90),
                Column(page.say("jobs.command"), [job_desk.command_of(job) for job in jobs], width=420),
                Column(page.say("jobs.run"), [job.run_id for job in jobs]),
                Column(page.say("jobs.by"), [job.account for job in jobs], width=90),
                Column(page.say("jobs.asked"), [shown_time(job.created_at) for job in jobs]),
                Column(page.say("jobs.ended"), [shown_time(at) if (at := job.finished_at) else None for job in jobs]),
            ],
            height=min(TABLE_HEIGHT, 35 * (len(jobs) + 1) + 3),
        )

    table()


def _draw_job(page: Page, job: JobRow) -> None:
    if job_desk.may_act_on(page.person, job):
        draw_job_acts(page, job)
    is_open = job.status in OPEN

    @st.fragment(run_every=LIVE_SECONDS if is_open else None)
    def live() -> None:
        view = job_desk.see_job(page.person, page.workspace, page.store, job.job_id)
        if view.job.status != job.status:
            st.rerun()
        st.markdown(together(page, _sentences(page, view)))
        done, total = view.progress.get("done"), view.progress.get("total")
        if is_open and isinstance(done, int | float) and isinstance(total, int | float) and total:
            st.progress(min(1.0, done / total), text=page.say("jobs.at", done=f"{done:,}", total=f"{total:,}"))
        _draw_lines(page, "jobs.log", view.log)
        _draw_lines(page, "jobs.result", view.result)
        if not view.may_act:
            st.caption(page.say("jobs.log_hidden"))

    live()


def _sentences(page: Page, view: job_desk.JobView) -> list[str]:
    job = view.job
    said = [page.say(f"jobs.state_{job.status}")]
    if view.why is not None:
        said.append(page.say("jobs.why", why=plain(page.in_words(view.why))))
    said.append(page.say("jobs.asked_by", account=plain(job.account or ABSENT), at=shown_time(job.created_at)))
    if job.started_at is not None:
        said.append(page.say("jobs.started", at=shown_time(job.started_at)))
    if job.finished_at is not None:
        said.append(page.say("jobs.finished", at=shown_time(job.finished_at)))
    if job.run_id is not None:
        said.append(page.say("jobs.is_run", run=job.run_id))
    return said


def _draw_lines(page: Page, key: str, lines: Sequence[str]) -> None:
    if lines:
        st.markdown(f"**{page.say(key)}**")
        st.code("\n".join(lines), language=None, wrap_lines=True)

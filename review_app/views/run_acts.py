"""What is done with one run: cancel or resume the job that trains it, measure it, write and open its report."""

from __future__ import annotations

import streamlit as st

from review_app import job_desk, run_work
from review_app.page import Page
from review_app.run_desk import RunRow
from review_app.server.report_page import report_path
from review_app.server.serving import serving
from review_app.views import run_keys
from review_app.views.clock import shown_time
from review_app.views.plain import plain
from review_app.views.working import draw_failure, draw_work
from storage.errors import UserError
from storage.jobs.line import OPEN
from storage.people.accounts import Act, may
from storage.rows import JobRow
from storage.training.run_list import RunStatus


def draw_acts(page: Page, row: RunRow) -> None:
    """Draw what this person may do with a run now."""
    if said := st.session_state.pop(run_keys.SAID, None):
        st.info(said)
    if row.line.status is RunStatus.UNREADABLE:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if row.job is not None and job_desk.may_act_on(page.person, row.job):
            draw_job_acts(page, row.job)
        elif row.is_alive:
            st.caption(page.say("runs.no_job"))
        if row.grades and may(page.person.role, Act.TRAIN):
            _draw_measuring(page, row)
        _draw_report(page, row)


def draw_job_acts(page: Page, job: JobRow) -> None:
    """Draw the cancelling or the resuming of a job, whichever it can be."""
    work = job_desk.cancel_work(page.workspace, job.job_id)
    if work is not None and not work.is_over:
        draw_work(page, work, page.say("jobs.cancelling", job=job.job_id))
        return
    if work is not None:
        draw_failure(page, work)
    if job.status in OPEN:
        told = page.say("jobs.cancel_help")
        if st.button(page.say("jobs.cancel"), key=f"jobs.cancel.{job.job_id}", help=told):
            job_desk.begin_cancel(page.person, page.workspace, page.store, job.job_id).wait()
            st.rerun()
    elif job.status in job_desk.RESUMABLE:
        told = page.say("jobs.resume_help")
        if st.button(page.say("jobs.resume"), key=f"jobs.resume.{job.job_id}", help=told):
            try:
                job_desk.resume(page.person, page.workspace, page.store, job.job_id)
            except UserError as error:
                st.error(plain(page.why_not(error)))
            else:
                st.session_state[run_keys.SAID] = page.say("jobs.was_resumed", job=job.job_id)
                st.rerun()


def _draw_measuring(page: Page, row: RunRow) -> None:
    split = st.selectbox(
        page.say("runs.measure_on"),
        run_work.SPLITS,
        format_func=lambda one: page.say(f"runs.split_{one}"),
        label_visibility="collapsed",
        key=f"runs.split.{row.run_id}",
        width=160,
    )
    if st.button(page.say("runs.measure"), key=f"runs.measure.{row.run_id}", help=page.say("runs.measure_help")):
        try:
            job_id = run_work.measure(page.person, page.workspace, page.store, row.run_id, split=split or "dev")
        except UserError as error:
            st.error(plain(page.why_not(error)))
        else:
            st.session_state[run_keys.SAID] = page.say("runs.is_measured", job=job_id)
            st.rerun()


def _draw_report(page: Page, row: RunRow) -> None:
    work = run_work.report_work(page.workspace, row.run_id)
    if work is not None and not work.is_over:
        draw_work(page, work, page.say("runs.reporting"))
        return
    if work is not None:
        draw_failure(page, work)
    held = run_work.report_of(page.person, page.workspace, row.run_id)
    if held is not None:
        address = serving().site.path(report_path(row.run_id))
        st.markdown(f"[{page.say('runs.report_open', at=shown_time(held[1]))}]({address})")
    if not may(page.person.role, Act.TRAIN):
        if held is None:
            st.caption(page.say("runs.report_none"))
        return
    label = page.say("runs.report_again" if held is not None else "runs.report")
    if st.button(label, key=f"runs.report.{row.run_id}", help=page.say("runs.report_help")):
        run_work.begin_report(page.person, page.workspace, row.run_id).wait()
        st.rerun()

"""The page of SQL: ask the published copy anything, see the answer as table and chart, keep it or take it away."""

from __future__ import annotations

from datetime import datetime

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from review_app import sql_desk
from review_app.page import Page
from review_app.sql_desk import Answer
from review_app.views.clock import shown_time
from review_app.views.plain import plain
from review_app.views.sentences import together
from review_app.views.sql_answer import draw_answer
from review_app.views.sql_editor import draw_editor, held_text
from review_app.views.sql_shelf import draw_shelf, remember
from review_app.views.tab import tab_name
from review_app.views.working import draw_failure, draw_work, failure
from storage.clock import now
from storage.errors import UserError
from storage.sql.schema import PublishedTable

ANSWER_KEY, REFUSED_KEY, ASKED_KEY = "sql.answer", "sql.refused", "sql.asked"


def draw(page: Page) -> None:
    """Draw the page."""
    schema = sql_desk.begin_schema(page.person, page.workspace, page.store)
    st.title(page.say("sql.title"), anchor=False)
    tables = schema.outcome.tables if schema.outcome is not None else ()
    _draw_editing(page, tables)
    # each part has a place of its own, so that what is said in one closes nothing in another
    coming, answer, shelf = (st.container() for _ in range(3))
    with coming:
        if not schema.is_over:
            draw_work(page, schema, page.say("sql.reading_schema"))
        else:
            draw_failure(page, schema)
    with answer:
        _draw_query(page)
    with shelf:
        draw_shelf(page)


@st.fragment
def _draw_editing(page: Page, tables: tuple[PublishedTable, ...]) -> None:
    """Draw the editor and what runs it; typing draws nothing else anew."""
    is_to_run = draw_editor(page, tables)
    work = sql_desk.query_work(page.person, page.workspace, tab_name())
    is_running = work is not None and not work.is_over
    run, stop, copy, renew = st.columns([1, 1, 5, 1], vertical_alignment="center")
    is_to_run |= run.button(page.say("sql.run"), type="primary", disabled=is_running, key="sql.run", width="stretch")
    if stop.button(page.say("sql.stop"), disabled=not is_running, key="sql.stop", width="stretch"):
        sql_desk.stop_query(page.person, page.workspace, tab_name())
        if work is not None:
            work.wait()
        st.rerun()
    _draw_copy(page, copy, renew)
    if is_to_run and not is_running:
        st.session_state.pop(REFUSED_KEY, None)
        try:
            begun = sql_desk.begin_query(page.person, page.workspace, page.store, tab_name(), held_text())
        except UserError as error:
            st.error(plain(page.why_not(error)))
            return
        st.session_state[ASKED_KEY] = held_text()
        begun.wait()
        st.rerun()


def _draw_copy(page: Page, said: DeltaGenerator, renew: DeltaGenerator) -> None:
    """Say how old the copy is; renew it on demand."""
    made_at = sql_desk.copy_made_at(page.person, page.workspace)
    work = sql_desk.renew_work(page.workspace)
    is_renewing = work is not None and not work.is_over
    with said:
        if work is not None and is_renewing:
            draw_work(page, work, page.say("sql.renewing"))
        elif made_at is None:
            st.caption(page.say("sql.no_copy"))
        else:
            st.caption(together(page, [_age(page, made_at), page.say("sql.what_copy")]))
        if work is not None and not is_renewing:
            draw_failure(page, work)
    if renew.button(page.say("sql.renew"), disabled=is_renewing, key="sql.renew", width="stretch"):
        sql_desk.begin_renew(page.person, page.workspace, page.store).wait()
        st.rerun()


def _age(page: Page, made_at: datetime) -> str:
    """Say when the copy was made and how long ago that is."""
    minutes = max(0, int((now() - made_at).total_seconds() // 60))
    at = shown_time(made_at)
    if minutes < 120:
        return page.say("sql.copy_minutes", at=at, n=minutes)
    if minutes < 48 * 60:
        return page.say("sql.copy_hours", at=at, n=minutes // 60)
    return page.say("sql.copy_days", at=at, n=minutes // (24 * 60))


def _draw_query(page: Page) -> None:
    """Draw the query under way, or take what came of it; the last answer stays until there is another."""
    told, answer = st.container(), st.container()
    work = sql_desk.query_work(page.person, page.workspace, tab_name())
    if work is not None and not work.is_over:
        with told:
            draw_work(page, work, page.say("sql.running"))
        return
    if work is not None:
        if isinstance(work.outcome, Answer):
            st.session_state[ANSWER_KEY] = (work.outcome, work.elapsed)
        else:
            st.session_state[REFUSED_KEY] = failure(page, work)
        remember(st.session_state.get(ASKED_KEY, ""), work)
        sql_desk.forget_query(page.person, page.workspace, tab_name())
    if refused := st.session_state.get(REFUSED_KEY):
        told.error(plain(refused))
    if held := st.session_state.get(ANSWER_KEY):
        with answer:
            draw_answer(page, *held)

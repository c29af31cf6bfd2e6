"""Queries to come back to: those kept under a name, for everybody, and those this tab has asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from review_app import sql_desk
from review_app.long_work import Work
from review_app.page import Page
from review_app.sql_desk import Answer
from review_app.views.clock import shown_time
from review_app.views.plain import plain
from review_app.views.sql_editor import held_text, write_text
from storage.errors import UserError

HISTORY_KEY, CHOSEN_KEY = "sql.history", "sql.history_of"
MOST_REMEMBERED = 50


def remember(sql: str, work: Work) -> None:
    """Put a query that is over at the head of this tab's history."""
    n_rows = work.outcome.result.table.num_rows if isinstance(work.outcome, Answer) else None
    held: list[dict[str, Any]] = st.session_state.get(HISTORY_KEY, [])
    number = held[0]["number"] + 1 if held else 1
    asked: dict[str, Any] = {"number": number, "sql": sql, "at": work.started_at, "n_rows": n_rows}
    st.session_state[HISTORY_KEY] = [asked, *held][:MOST_REMEMBERED]
    st.session_state[CHOSEN_KEY] = number


def draw_shelf(page: Page) -> None:
    """Draw both shelves."""
    saved, history = st.columns(2, gap="large")
    with saved:
        _draw_saved(page)
    with history:
        _draw_history(page)


def _draw_saved(page: Page) -> None:
    st.markdown(f"**{page.say('sql.saved')}**")
    queries = {query.name: query for query in sql_desk.list_saved(page.person, page.store)}
    if not queries:
        st.caption(page.say("sql.none_saved"))
    else:
        name = st.selectbox(
            page.say("sql.saved_query"),
            list(queries),
            format_func=lambda one: page.say(
                "sql.saved_by",
                name=one,
                who=queries[one].pseudonym or page.say("sql.the_shell"),
                at=shown_time(queries[one].created_at),
            ),
            label_visibility="collapsed",
            key="sql.saved_query",
        )
        if name is not None:
            st.code(queries[name].sql, language="sql", wrap_lines=True)
            if st.button(page.say("sql.load"), key="sql.load"):
                write_text(queries[name].sql)
                st.rerun()
    _draw_saving(page, set(queries))


def _draw_saving(page: Page, names: set[str]) -> None:
    with st.form("sql.save", border=False):
        field, button = st.columns([3, 1], vertical_alignment="bottom")
        name = field.text_input(page.say("sql.name"), max_chars=64, help=page.say("sql.name_help"), key="sql.name")
        is_asked = button.form_submit_button(page.say("sql.save"), width="stretch")
        replaces = st.checkbox(page.say("sql.replaces"), key="sql.replaces") if names else False
    if is_asked:
        try:
            is_new = sql_desk.save(page.person, page.store, (name or "").strip(), held_text(), replaces=replaces)
        except UserError as error:
            st.error(plain(page.why_not(error)))
        else:
            st.session_state["sql.said"] = page.say(
                "sql.kept" if is_new else "sql.kept_before", name=(name or "").strip()
            )
            st.rerun()
    if said := st.session_state.pop("sql.said", None):
        st.info(said)


def _draw_history(page: Page) -> None:
    st.markdown(f"**{page.say('sql.history')}**")
    asked: dict[int, dict[str, Any]] = {one["number"]: one for one in st.session_state.get(HISTORY_KEY, [])}
    if not asked:
        st.caption(page.say("sql.no_history"))
        return
    number = st.selectbox(
        page.say("sql.history"),
        list(asked),
        format_func=lambda one: _told(page, asked[one]),
        label_visibility="collapsed",
        key=CHOSEN_KEY,
    )
    if number is not None:
        st.code(asked[number]["sql"], language="sql", wrap_lines=True)
        if st.button(page.say("sql.load"), key="sql.load_history"):
            write_text(asked[number]["sql"])
            st.rerun()


def _told(page: Page, asked: dict[str, Any]) -> str:
    at: datetime = asked["at"]
    begin = " ".join(asked["sql"].split())[:60]
    if asked["n_rows"] is None:
        return page.say("sql.asked_in_vain", at=shown_time(at), sql=begin)
    return page.say("sql.asked", at=shown_time(at), sql=begin, n=f"{asked['n_rows']:,}")

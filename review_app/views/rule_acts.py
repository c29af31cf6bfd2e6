"""The bar under the table: which rule is open, and approve, reject, next version, next, previous by one key each.

Marked rules go before the open one. After an act the next rule opens, so that a list is gone through without the mouse.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from review_app.page import Page
from review_app.rule_review import RuleLine, decide_rules
from review_app.views.plain import plain
from storage.errors import UserError

REASONS = ("wrong", "broad", "narrow", "same")


def draw_acts(page: Page, lines: Sequence[RuleLine], marked: Sequence[RuleLine]) -> str | None:
    """Draw the bar and what it asks for; return the id of the rule that is open, None when there is none."""
    ids = [line.rule.rule_id for line in lines]
    asked_for = st.query_params.get("rule")
    if asked_for and "rules.open" not in st.session_state:
        st.session_state["rules.open"] = asked_for
    open_id = st.session_state.get("rules.open")
    place = ids.index(open_id) if open_id in ids else None
    chosen = [line.rule.rule_id for line in marked] or ([open_id] if open_id else [])
    n_marked = len(marked)

    def go(step: int) -> None:
        there = step if place is None else place + step
        st.session_state["rules.open"] = ids[max(0, min(len(ids) - 1, there if place is not None else 0))]
        st.session_state["rules.asking"] = None

    def ask(what: str | None) -> None:
        st.session_state["rules.asking"] = what

    def approve() -> None:
        _act(page, chosen, "approve", None, ids=ids)

    with st.container(horizontal=True, vertical_alignment="center"):
        approve_words = page.say("rules.approve_marked", n=n_marked) if n_marked else page.say("rules.approve")
        reject_words = page.say("rules.reject_marked", n=n_marked) if n_marked else page.say("rules.reject")
        is_idle = not chosen
        st.button(approve_words, key="rules.do_approve", shortcut="A", on_click=approve, disabled=is_idle)
        st.button(reject_words, key="rules.do_reject", shortcut="X", on_click=ask, args=("reject",), disabled=is_idle)
        st.button(
            page.say("rules.edit"),
            key="rules.do_edit",
            shortcut="E",
            on_click=ask,
            args=("edit",),
            disabled=open_id is None or bool(marked),
        )
        st.button(page.say("rules.previous"), key="rules.back", shortcut="K", on_click=go, args=(-1,))
        st.button(page.say("rules.next"), key="rules.on", shortcut="J", on_click=go, args=(1,))
    # what became of the last act stands on a line of its own, so that nothing moves for it
    said = st.session_state.pop("rules.said", None)
    told = page.say("rules.place", place=place + 1, n=len(ids)) if place is not None else page.say("rules.select")
    st.caption(f"{told} **{said}**" if said else told)
    st.caption(page.say("rules.keys"))
    if problem := st.session_state.pop("rules.problem", None):
        st.error(plain(problem))
    if st.session_state.get("rules.asking") == "reject" and chosen:
        _ask_reason(page, chosen, ids)
    return open_id


def _ask_reason(page: Page, chosen: Sequence[str], ids: Sequence[str]) -> None:
    def reject(reason: str) -> None:
        _act(page, chosen, "reject", reason, ids=ids)

    def reject_as_written() -> None:
        written = str(st.session_state.get("rules.reason") or "")
        if written.strip():
            st.session_state["rules.reason"] = ""
            reject(written)

    with st.container(border=True):
        st.write(page.say("rules.reject_because", n=len(chosen)))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            for number, name in enumerate(REASONS, 1):
                words = page.say(f"rules.because_{name}")
                st.button(words, key=f"rules.because.{name}", shortcut=str(number), on_click=reject, args=(words,))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(
                page.say("rules.because_other"),
                placeholder=page.say("rules.because_placeholder"),
                key="rules.reason",
                max_chars=500,
                on_change=reject_as_written,
            )
            st.button(
                page.say("rules.cancel"),
                key="rules.cancel_reject",
                shortcut="Esc",
                on_click=lambda: st.session_state.update({"rules.asking": None}),
            )


def _act(page: Page, rule_ids: Sequence[str], decision: str, reason: str | None, *, ids: Sequence[str]) -> None:
    """Decide, say what became of it, and open the rule after the last one decided."""
    try:
        n_changed = decide_rules(page.person, page.store, rule_ids, decision, reason=reason)
    except UserError as error:
        st.session_state["rules.problem"] = page.why_not(error)
        return
    st.session_state["rules.asking"] = None
    st.session_state["rules.epoch"] = st.session_state.get("rules.epoch", 0) + (len(rule_ids) > 1)
    st.session_state["rules.said"] = (
        page.say(f"rules.did_{decision}", n=n_changed) if n_changed else page.say("rules.did_nothing")
    )
    places = [ids.index(rule_id) for rule_id in rule_ids if rule_id in ids]
    later = [rule_id for rule_id in ids[max(places, default=-1) + 1 :] if rule_id not in rule_ids]
    if later:
        st.session_state["rules.open"] = later[0]

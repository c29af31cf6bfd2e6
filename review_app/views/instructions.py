"""Guidelines the labelling models follow: read, approved or rejected, each with who decided and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from review_app.page import Page
from review_app.rule_review import decide_instruction
from review_app.views.clock import shown_time
from review_app.views.plain import plain
from storage.errors import UserError


def draw_instructions(page: Page, guidelines: Sequence[Mapping[str, Any]]) -> None:
    """Draw every guideline, the latest first."""
    if not guidelines:
        st.info(page.say("rules.instructions_empty"))
        return
    st.caption(page.say("rules.instruction_force"))
    if said := st.session_state.pop("rules.said", None):
        st.info(said)
    if problem := st.session_state.pop("rules.problem", None):
        st.error(plain(problem))
    for row in reversed(guidelines):
        with st.container(border=True):
            _draw_guideline(page, row)


def _draw_guideline(page: Page, row: Mapping[str, Any]) -> None:
    instruction_id = row["instruction_id"]
    heading = page.say("rules.instruction", generation=row["generation"], operator=plain(row["operator"]))
    st.markdown(f"**{heading}** · {page.say('rules.is_' + row['status'])} · {plain(instruction_id)}")
    st.caption(_decided(page, row))
    st.text(row["text"])
    reason_key = f"rules.why.{instruction_id}"

    def decide(decision: str) -> None:
        try:
            n = decide_instruction(
                page.person, page.store, instruction_id, decision, reason=st.session_state.get(reason_key)
            )
        except UserError as error:
            st.session_state["rules.problem"] = page.why_not(error)
            return
        st.session_state["rules.said"] = page.say(f"rules.did_{decision}", n=n) if n else page.say("rules.did_nothing")

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(page.say("rules.instruction_why"), key=reason_key, max_chars=500)
        for decision, status in (("approve", "approved"), ("reject", "rejected")):
            st.button(
                page.say(f"rules.{decision}"),
                key=f"rules.{decision}.{instruction_id}",
                on_click=decide,
                args=(decision,),
                disabled=row["status"] == status,
            )


def _decided(page: Page, row: Mapping[str, Any]) -> str:
    if row["account"] is None:
        return page.say("rules.undecided")
    what = page.say(f"rules.was_{row['status']}")
    told = {"what": what, "who": plain(row["account"]), "when": shown_time(row["decided_at"])}
    return (
        page.say("rules.decided_why", why=plain(row["reason"]), **told)
        if row["reason"]
        else page.say("rules.decided", **told)
    )

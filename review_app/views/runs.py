"""The page of runs: what was trained and how it goes, two runs compared, the jobs, the form that starts a trainer."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from review_app.page import Page
from review_app.run_desk import require_look
from review_app.views import run_keys
from review_app.views.job_list import draw_jobs
from review_app.views.run_compare import draw_compare
from review_app.views.run_list import draw_runs
from review_app.views.training import draw_training
from storage.people.accounts import Act, may


def draw(page: Page) -> None:
    """Draw the page."""
    require_look(page.person)
    st.title(page.say("runs.title"), anchor=False)
    parts: dict[str, Callable[[Page], None]] = {"runs": draw_runs, "jobs": draw_jobs}
    if may(page.person.role, Act.TRAIN):
        parts = {"runs": draw_runs, "compare": draw_compare, "jobs": draw_jobs, "train": draw_training}
    if asked := st.session_state.pop(run_keys.NEXT_PART, None):  # a widget's own key may not be set once it is drawn
        st.session_state[run_keys.PART] = asked
    shown = st.segmented_control(
        page.say("runs.part"),
        list(parts),
        format_func=lambda name: page.say(f"runs.part_{name}"),
        default="runs",
        required=True,
        label_visibility="collapsed",
        key=run_keys.PART,
        persist_state="session",
    )
    parts[shown or "runs"](page)

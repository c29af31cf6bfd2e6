"""The page of tiers and snapshots: what each tier would hold, an audit of one, and who vouches for what was cut."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from review_app import tier_desk
from review_app.page import Page
from review_app.tier_desk import Outlook
from review_app.views.snapshots import draw_snapshots
from review_app.views.tier_audit import draw_audit
from review_app.views.tier_counts import draw_count, draw_tiers
from storage.people.accounts import Act, may


def draw(page: Page) -> None:
    """Draw the page."""
    outlook = tier_desk.look(page.person, page.workspace.root, page.store)
    st.title(page.say("tiers.title"), anchor=False)
    parts: dict[str, Callable[[Page, Outlook], None]] = {"tiers": _draw_tiers}
    if may(page.person.role, Act.APPROVE):
        parts["audit"] = _draw_audit
    parts["snapshots"] = draw_snapshots
    shown = st.segmented_control(
        page.say("tiers.part"),
        list(parts),
        format_func=lambda name: page.say(f"tiers.part_{name}"),
        default="tiers",
        required=True,
        label_visibility="collapsed",
        key="tiers.part",
        persist_state="session",
    )
    parts[shown or "tiers"](page, outlook)


def _draw_tiers(page: Page, outlook: Outlook) -> None:
    draw_count(page, outlook)
    draw_tiers(page, outlook)


def _draw_audit(page: Page, outlook: Outlook) -> None:
    draw_count(page, outlook)
    draw_audit(page, outlook)

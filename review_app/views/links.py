"""A way from one page to another, for those who may open it; without loading the app anew."""

from __future__ import annotations

import streamlit as st

from review_app.page import Page
from review_app.server.pages import is_open_to


def draw_link(page: Page, name: str) -> None:
    """Draw a link to a page, nothing for a role that may not open it."""
    if is_open_to(name, page.person.role):
        st.page_link(st.Page(_nothing, title=page.say(f"app.{name}"), url_path=name), label=page.say(f"app.{name}"))


def _nothing() -> None:
    """Stand for a page that is known by its address."""

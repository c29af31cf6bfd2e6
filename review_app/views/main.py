"""The script Streamlit runs for every page: who looks, which pages are theirs, and the one that was asked for.

The person is found anew on every run. A page is imported when it is opened, so that a broken one breaks alone.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import streamlit as st

from review_app.page import Page
from review_app.server.cookies import chosen_language
from review_app.server.pages import pages_of
from review_app.server.serving import Serving, serving
from review_app.server.visitors import Visitor
from review_app.texts import texts
from review_app.views.frame import draw_frame


def draw_app(here: Serving) -> None:
    """Draw the page that was asked for, inside the frame of all pages."""
    cookies = st.context.cookies.to_dict()
    language = chosen_language(cookies, st.context.locale)
    visitor = here.visitors.who(cookies.get(here.site.cookie_name), is_active=False)
    if visitor is None:
        st.info(texts(language)["login.ended"])
        st.stop()
    _forget_others(visitor)
    page = Page(visitor.person, here.workspace, here.stores.open(), language)
    names = pages_of(visitor.person.role)
    views = [st.Page(_drawer(name, page), title=page.say(f"app.{name}"), url_path=name) for name in names]
    home = st.Page(lambda: st.switch_page(views[0]), title="afrel", default=True, visibility="hidden")
    chosen = st.navigation([home, *views], position="top")
    st.set_page_config(page_title=f"{chosen.title} · afrel", layout="wide")
    draw_frame(page, here.site, visitor.csrf)
    chosen.run()


def _drawer(name: str, page: Page) -> Callable[[], None]:
    def draw() -> None:
        import_module(f"review_app.views.{name}").draw(page)

    draw.__name__ = name
    return draw


def _forget_others(visitor: Visitor) -> None:
    """Keep what a page remembers to one login: a tab that goes on under another finds nothing of the first."""
    if st.session_state.get("afrel.login") != visitor.csrf:
        st.session_state.clear()
        st.session_state["afrel.login"] = visitor.csrf


draw_app(serving())

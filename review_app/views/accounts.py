"""The page of accounts: everybody's own password; for admins who works here and as what."""

from __future__ import annotations

import streamlit as st

from review_app import account_desk
from review_app.page import Page
from review_app.server.serving import serving
from review_app.views.account_acts import draw_adding, draw_changing
from review_app.views.plain import plain
from review_app.views.tables import Column, draw_words
from storage.errors import UserError
from storage.people.accounts import Act, Pin, may

KEY_DIGITS = 12


def draw(page: Page) -> None:
    """Draw the page."""
    is_admin = may(page.person.role, Act.ACCOUNTS)
    st.title(page.say("accounts.title" if is_admin else "accounts.own_title"), anchor=False)
    if is_admin:
        accounts = account_desk.list_accounts(page.person, page.store)
        _draw_list(page, accounts)
        draw_adding(page)
        draw_changing(page, accounts)
        st.subheader(page.say("accounts.own"), anchor=False)
    _draw_own(page)


def _draw_list(page: Page, accounts: list[Pin]) -> None:
    draw_words(
        [
            Column(page.say("accounts.account"), [pin.account for pin in accounts]),
            Column(page.say("accounts.role"), [page.say(f"login.role_{pin.role.value}") for pin in accounts]),
            Column(page.say("accounts.pseudonym"), [pin.pseudonym for pin in accounts]),
            Column(page.say("accounts.key"), [pin.public_key[:KEY_DIGITS] for pin in accounts]),
            Column(page.say("accounts.retired"), [(pin.retired_at or "")[:10] for pin in accounts]),
        ]
    )
    st.caption(page.say("accounts.list_help"))


def _draw_own(page: Page) -> None:
    person = page.person
    st.caption(
        page.say(
            "accounts.you",
            account=person.account,
            role=page.say(f"login.role_{person.role.value}"),
            pseudonym=person.pseudonym,
            digits=person.public_key[:KEY_DIGITS],
        )
    )
    with st.form("accounts.own_password", border=False):
        old_column, new_column, again_column, button_column = st.columns([2, 2, 2, 1], vertical_alignment="bottom")
        old = old_column.text_input(page.say("accounts.old"), type="password", autocomplete="current-password")
        new = new_column.text_input(page.say("accounts.new"), type="password", autocomplete="new-password")
        again = again_column.text_input(page.say("accounts.again"), type="password", autocomplete="new-password")
        is_asked = button_column.form_submit_button(page.say("accounts.change"), width="stretch")
    st.caption(page.say("accounts.own_help"))
    if is_asked:
        try:
            account_desk.change_own_password(person, old=old or "", new=new or "", again=again or "")
        except UserError as error:
            st.error(plain(page.why_not(error)))
        else:
            st.info(page.say("accounts.changed"))
    if st.button(page.say("accounts.log_out_everywhere"), key="accounts.log_out_everywhere"):
        account_desk.log_out_everywhere(person, serving().logins)
        st.info(page.say("accounts.logged_out"))

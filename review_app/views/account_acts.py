"""What admins do with accounts: add one and hand over how to log in, change its role, retire it, give it a new key."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from review_app import account_desk
from review_app.page import Page
from review_app.server.serving import serving
from review_app.views.plain import plain
from storage.errors import UserError
from storage.people.accounts import Pin, Role

HANDOVER_KEY, SAID_KEY = "accounts.handover", "accounts.said"
ROLES = (Role.REVIEWER, Role.ADJUDICATOR, Role.CURATOR, Role.ENGINEER, Role.ADMIN)


def draw_adding(page: Page) -> None:
    """Draw how an account is added, and what is handed over for the last one: it is shown until it is put away."""
    if handed := st.session_state.get(HANDOVER_KEY):
        st.info(page.say("accounts.hand_over"))
        st.code(handed, language=None, wrap_lines=True)
        if st.button(page.say("accounts.handed"), key="accounts.handed"):
            del st.session_state[HANDOVER_KEY]
            st.rerun()
    with st.expander(page.say("accounts.add"), expanded=not handed):
        is_made_up = st.checkbox(page.say("accounts.made_up"), value=True, key="accounts.made_up")
        with st.form("accounts.add", border=False):
            name_column, role_column = st.columns(2)
            name = name_column.text_input(
                page.say("accounts.name"), max_chars=64, help=page.say("accounts.name_help"), autocomplete="off"
            )
            role = role_column.selectbox(page.say("accounts.role"), ROLES, format_func=lambda one: _role(page, one))
            first, again = _first_password(page, is_made_up=is_made_up)
            st.caption(page.say("accounts.roles_help"))
            own = _own_password(page)
            is_asked = st.form_submit_button(page.say("accounts.add_now"), type="primary")
        if is_asked:
            _add(page, (name or "").strip(), role or Role.REVIEWER, first, again, own=own)


def _first_password(page: Page, *, is_made_up: bool) -> tuple[str | None, str | None]:
    """Return the first password and its repetition as they are typed; None of both when one is made up."""
    if is_made_up:
        return None, None
    first_column, again_column = st.columns(2)
    first = first_column.text_input(page.say("accounts.first"), type="password", autocomplete="new-password")
    again = again_column.text_input(page.say("accounts.again"), type="password", autocomplete="new-password")
    return first or "", again or ""


def _add(page: Page, name: str, role: Role, first: str | None, again: str | None, *, own: str) -> None:
    try:
        if first is None and account_desk.lies_at_home(page.person, name):
            st.error(page.say("accounts.has_key", name=plain(name)))
            return
        if first != again:
            st.error(page.say("accounts.differ"))
            return
        password = account_desk.new_password(page.person) if first is None else first
        account_desk.add(page.person, page.workspace, page.store, name, role, password=password, own_password=own)
    except UserError as error:
        st.error(plain(page.why_not(error)))
        return
    st.session_state[HANDOVER_KEY] = _handover(page, name, password if first is None else None)
    st.rerun()


def _handover(page: Page, name: str, password: str | None) -> str:
    url = f"{serving().site.url}/"
    if password is None:
        return page.say("accounts.handover_typed", url=url, name=name)
    return page.say("accounts.handover_made_up", url=url, name=name, password=password)


def draw_changing(page: Page, accounts: list[Pin]) -> None:
    """Draw what may be changed of one account."""
    if said := st.session_state.pop(SAID_KEY, None):
        st.info(said)
    active = {pin.account: pin for pin in accounts if pin.retired_at is None}
    with st.expander(page.say("accounts.edit")):
        name = st.selectbox(page.say("accounts.account"), list(active), key="accounts.edited")
        what = st.segmented_control(
            page.say("accounts.what"),
            ["role", "retire", "key"],
            format_func=lambda one: page.say(f"accounts.what_{one}"),
            default="role",
            required=True,
            label_visibility="collapsed",
            key="accounts.what",
        )
        {"role": _draw_role, "retire": _draw_retiring, "key": _draw_new_key}[what or "role"](page, active[name])


def _draw_role(page: Page, pin: Pin) -> None:
    with st.form("accounts.role", border=False):
        role = st.selectbox(
            page.say("accounts.role"),
            ROLES,
            index=ROLES.index(pin.role),
            format_func=lambda one: _role(page, one),
            key=f"accounts.role_of.{pin.account}",
        )
        st.caption(page.say("accounts.role_means"))
        own = _own_password(page)
        is_asked = st.form_submit_button(page.say("accounts.role_now"), type="primary")
    if is_asked and role is not None:
        _change(
            page,
            lambda: account_desk.change_role(
                page.person, page.workspace, page.store, pin.account, role, own_password=own
            ),
            page.say("accounts.role_changed", name=pin.account, role=_role(page, role)),
        )


def _draw_retiring(page: Page, pin: Pin) -> None:
    with st.form("accounts.retire", border=False):
        st.markdown(page.say("accounts.retire_means", name=plain(pin.account)))
        own = _own_password(page)
        is_asked = st.form_submit_button(page.say("accounts.retire_now"), type="primary")
    if is_asked:
        _change(
            page,
            lambda: account_desk.retire(page.person, page.workspace, page.store, pin.account, own_password=own),
            page.say("accounts.was_retired", name=pin.account),
        )


def _draw_new_key(page: Page, pin: Pin) -> None:
    rests = account_desk.vouched(page.person, page.store, pin.account)
    with st.form("accounts.key", border=False):
        st.markdown(
            page.say(
                "accounts.key_means", name=plain(pin.account), signatures=rests.n_signatures, snapshots=rests.n_cut
            )
        )
        own = _own_password(page)
        is_asked = st.form_submit_button(page.say("accounts.key_now"), type="primary")
    if not is_asked:
        return
    try:
        password = account_desk.new_password(page.person)
        account_desk.give_new_key(
            page.person, page.workspace, page.store, pin.account, password=password, own_password=own
        )
    except UserError as error:
        st.error(plain(page.why_not(error)))
        return
    st.session_state[HANDOVER_KEY] = _handover(page, pin.account, password)
    st.rerun()


def _change(page: Page, change: Callable[[], Pin], said: str) -> None:
    try:
        change()
    except UserError as error:
        st.error(plain(page.why_not(error)))
    else:
        st.session_state[SAID_KEY] = said
        st.rerun()


def _own_password(page: Page) -> str:
    """Ask the admin's own password, which every change takes."""
    label = page.say("accounts.your_password", account=page.person.account)
    return st.text_input(label, type="password", autocomplete="current-password") or ""


def _role(page: Page, role: Role) -> str:
    return page.say(f"login.role_{role.value}")

"""Tiers being edited: a name and a predicate each, tried as soon as they are changed, saved when that is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from curation.tiers import Tier
from review_app import tier_desk
from review_app.page import Page
from review_app.views.monospace import monospace
from review_app.views.plain import plain
from review_app.views.tier_draft import Draft, keep_draft
from storage.errors import UserError
from storage.people.accounts import Act, may


def draw_predicates(page: Page, tiers: Sequence[Tier]) -> None:
    """Draw tiers for who may not try others."""
    st.caption(page.say("tiers.how"))
    _draw_balanced(page, tiers)
    for tier in tiers:
        st.markdown(f"**{tier.tier} {plain(tier.name)}**")
        st.code(tier.where, language="sql", wrap_lines=True)


def draw_editors(page: Page, draft: Draft) -> list[str]:
    """Draw the fields of each tier and take over what is in them; return what is wrong with that."""
    may_save = may(page.person.role, Act.CUT)
    st.caption(page.say("tiers.how_to_try"))
    _draw_balanced(page, draft.tiers)
    with monospace("tiers_predicates"):
        for place, tier in enumerate(draft.tiers):
            _draw_editor(page, draft, place, tier, may_save=may_save)
    mistakes: list[str] = []
    if draft.tiers != draft.saved.tiers:
        mistakes = tier_desk.check_tiers(page.person, draft.tiers, place=page.say("tiers.tier"))
    if may_save:
        _draw_saving(page, draft, is_sound=not mistakes)
    return [page.in_words(mistake) for mistake in mistakes]


def _draw_balanced(page: Page, tiers: Sequence[Tier]) -> None:
    named = [f"{tier.tier} {plain(tier.name)}" for tier in tiers if tier.balance.is_set]
    if named:
        st.caption(page.say("tiers.balanced", tiers=", ".join(named)))


def _draw_editor(page: Page, draft: Draft, place: int, tier: Tier, *, may_save: bool) -> None:
    # A field begins with its value and is not given one later: for a moment the browser would hold it empty, and
    # whoever types elsewhere in that moment would send it so.
    begun = draft.begun[place]
    head, field = st.columns([2, 7], gap="small")
    label = page.say("tiers.name_of", tier=tier.tier)
    name = head.text_input(label, begun.name, key=draft.key("name", tier.tier), max_chars=40)
    if may_save and head.button(
        page.say("tiers.drop"), key=draft.key("drop", tier.tier), type="tertiary", icon=":material/close:"
    ):
        keep_draft(draft.without(place))
        st.rerun()
    label = page.say("tiers.where_of", name=plain(tier.name))
    where = field.text_area(label, begun.where, key=draft.key("where", tier.tier), height=104)
    edited = replace(tier, name=name or "", where=where or "")
    draft.tiers = (*draft.tiers[:place], edited, *draft.tiers[place + 1 :])


def _draw_saving(page: Page, draft: Draft, *, is_sound: bool) -> None:
    is_changed = draft.tiers != draft.saved.tiers
    save, discard, add, defaults = st.columns(4, gap="small")
    can_save = is_changed and is_sound
    if save.button(page.say("tiers.save"), disabled=not can_save, key="tiers.save", width="stretch", type="primary"):
        try:
            tier_desk.save(page.person, page.workspace.root, draft.tiers, mark=draft.saved.mark)
        except UserError as error:
            st.error(plain(page.why_not(error)))
        else:
            keep_draft(None)
            st.session_state["tiers.said"] = page.say("tiers.saved")
            st.rerun()
    if discard.button(page.say("tiers.discard"), disabled=not is_changed, key="tiers.discard", width="stretch"):
        keep_draft(None)
        st.rerun()
    if add.button(page.say("tiers.add"), key="tiers.add", width="stretch"):
        number = max((tier.tier for tier in draft.tiers), default=0) + 1
        keep_draft(draft.with_tier(Tier(number, f"tier_{number}", "false")))
        st.rerun()
    if defaults.button(page.say("tiers.defaults"), key="tiers.defaults", width="stretch"):
        keep_draft(draft.of(tier_desk.default_tiers(page.person)))
        st.rerun()
    if said := st.session_state.pop("tiers.said", None):
        st.info(said)

"""The part of tiers: what each would hold, and how that differs from what is saved."""

from __future__ import annotations

from typing import cast

import streamlit as st

from curation.tiers import TIER_COLUMNS, Tier
from review_app import tier_desk
from review_app.page import Page
from review_app.tier_desk import COUNTED_AT_ONCE, Outlook, Preview
from review_app.views.clock import shown_time
from review_app.views.plain import plain
from review_app.views.sentences import together
from review_app.views.tab import tab_name
from review_app.views.tables import Column, draw_table, draw_words
from review_app.views.tier_draft import held_draft
from review_app.views.tier_editing import draw_editors, draw_predicates
from review_app.views.tier_figures import draw_grades, draw_summary
from review_app.views.working import draw_failure, draw_work
from storage.people.accounts import Act, may

PREVIEW_KEY = "tiers.preview"


def draw_count(page: Page, outlook: Outlook) -> None:
    """Say when the count was taken and what came since; count anew on demand."""
    with st.container():  # one place, however much is said: what stands below would else be drawn twice for a moment
        _draw_count(page, outlook)


def _draw_count(page: Page, outlook: Outlook) -> None:
    work, stand = outlook.work, outlook.stand
    if work is not None and not work.is_over:
        draw_work(page, work, page.say("tiers.counting"))
    elif work is not None:
        draw_failure(page, work)
    left, right = st.columns([5, 1], vertical_alignment="center")
    if not outlook.n_judgments:
        left.info(page.say("tiers.nothing_settled"))
    elif stand is not None:
        said = [page.say("tiers.counted", at=shown_time(stand.taken_at), n=f"{len(stand.facts):,}")]
        n_since = outlook.since.get("judgments", 0), outlook.since.get("responses", 0)
        if any(outlook.since.values()):
            said.append(page.say("tiers.since", judgments=f"{n_since[0]:,}", answers=f"{n_since[1]:,}"))
        left.caption(together(page, said))
    elif outlook.n_judgments > COUNTED_AT_ONCE:
        left.info(page.say("tiers.not_counted", n=f"{outlook.n_judgments:,}"))
    is_counting = work is not None and not work.is_over
    label = page.say("tiers.count_again" if stand is not None else "tiers.count")
    if right.button(label, disabled=is_counting or not outlook.n_judgments, key="tiers.count"):
        tier_desk.count(page.person, page.workspace.root, page.store)
        st.rerun()


def draw_tiers(page: Page, outlook: Outlook) -> None:
    """Draw the tiers as they are saved or being edited: what they hold, then their predicates beside their grades."""
    draft = held_draft(outlook.saved).in_fields()
    may_try = may(page.person.role, Act.SQL)
    figures = st.container()
    left, right = st.columns([6, 5], gap="large")
    with left:
        if not may_try:
            shown = outlook.saved.tiers
            draw_predicates(page, shown)
        elif mistakes := draw_editors(page, draft):
            st.error("  \n".join(plain(mistake) for mistake in mistakes))
            shown = outlook.saved.tiers
        else:
            shown = draft.tiers
    preview = _previewed(page, outlook, shown)
    is_changed = shown != outlook.saved.tiers
    if preview is not None:
        with figures:
            draw_summary(page, preview, is_changed=is_changed)
        with right:
            draw_grades(page, preview, outlook)
            _draw_rest(page, preview, is_changed=is_changed)
    if may_try:
        _draw_columns(page)


def _previewed(page: Page, outlook: Outlook, tiers: tuple[Tier, ...]) -> Preview | None:
    """Return what tiers would hold, None while it is counted."""
    stand, saved = outlook.stand, outlook.saved.tiers
    if stand is None:
        return None
    asked = (stand.taken_at, saved, tiers)
    held = st.session_state.get(PREVIEW_KEY)
    if held is not None and held[0] == asked:
        return cast(Preview, held[1])
    work = tier_desk.begin_preview(page.person, page.workspace.root, tab_name(), stand=stand, saved=saved, tried=tiers)
    if not work.wait():
        draw_work(page, work, page.say("tiers.previewing"))
        return None
    if draw_failure(page, work):
        return None
    preview = cast(Preview, work.outcome)
    if tuple(view.tier for view in preview.tiers) != tiers:  # begun before the last change
        st.rerun()
    st.session_state[PREVIEW_KEY] = (asked, preview)
    return preview


def _draw_rest(page: Page, preview: Preview, *, is_changed: bool) -> None:
    if is_changed:
        moved = {pair: n for pair, n in preview.moves.items() if pair[0] != pair[1]}
        if moved:
            none = page.say("tiers.no_tier")
            rows = sorted(moved.items(), key=lambda one: -one[1])
            st.markdown(f"**{page.say('tiers.moves')}**")
            draw_table(
                [
                    Column(page.say("tiers.from"), [none if old is None else str(old) for (old, _), _ in rows]),
                    Column(page.say("tiers.to"), [none if new is None else str(new) for (_, new), _ in rows]),
                    Column(page.say("tiers.rows"), [n for _, n in rows], number="localized"),
                ]
            )
        else:
            st.caption(page.say("tiers.no_moves"))
    said = [
        page.say(f"tiers.out_{reason.replace(' ', '_')}", n=f"{n:,}") for reason, n in preview.left_out.items() if n
    ]
    st.caption(together(page, [page.say("tiers.left_out"), *said]) if said else page.say("tiers.none_left_out"))
    if any(view.n_test is None for view in preview.tiers):
        st.caption(page.say("tiers.test_rows", n=f"{preview.n_test:,}"))
    if preview.n_unscreened:
        st.warning(page.say("tiers.unscreened", n=f"{preview.n_unscreened:,}"))


def _draw_columns(page: Page) -> None:
    with st.expander(page.say("tiers.columns")):
        st.caption(page.say("tiers.columns_help"))
        draw_words(
            [
                Column(page.say("tiers.column"), list(TIER_COLUMNS)),
                Column(page.say("tiers.column_type"), list(TIER_COLUMNS.values())),
                Column(page.say("tiers.column_means"), [page.say(f"tiers.means_{name}") for name in TIER_COLUMNS]),
            ]
        )

"""The part of audits: draw twenty rows of a tier, call each right or wrong, and see how many of the tier are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from review_app import tier_audit
from review_app.page import Page
from review_app.tier_audit import Audit, AuditRow
from review_app.tier_desk import Outlook
from review_app.views.clock import shown_time
from review_app.views.numbers import percent, span
from review_app.views.plain import plain
from review_app.views.tables import Column, draw_table
from storage.errors import UserError
from storage.session import read_scale

KEY, AT_KEY = "tiers.audit", "tiers.audit_at"
MOST_BODY_CHARACTERS = 4000
WRONG, RIGHT, UNMARKED = "wrong", "right", "unmarked"


def draw_audit(page: Page, outlook: Outlook) -> None:
    """Draw the audit under way, or what one begins with."""
    audit: Audit | None = st.session_state.get(KEY)
    if audit is None:
        _draw_beginning(page, outlook)
    else:
        _draw_rows(page, outlook, audit)


def _draw_beginning(page: Page, outlook: Outlook) -> None:
    st.markdown(page.say("audit.what"))
    if outlook.stand is None:
        st.info(page.say("audit.count_first"))
    else:
        labels = {tier.tier: f"{tier.tier} {tier.name}" for tier in outlook.saved.tiers}
        with st.form("audit.begin", border=False):
            tier_column, seed_column, begin_column = st.columns([3, 1, 1], vertical_alignment="bottom")
            chosen = tier_column.selectbox(
                page.say("audit.tier"), list(labels), format_func=lambda one: labels[one], key="audit.tier"
            )
            seed = seed_column.number_input(
                page.say("audit.seed"), min_value=1, max_value=10**6, value=1, help=page.say("audit.seed_help")
            )
            is_begun = begin_column.form_submit_button(page.say("audit.draw"), type="primary", width="stretch")
        if is_begun:
            tier = next(tier for tier in outlook.saved.tiers if tier.tier == chosen)
            try:
                audit = tier_audit.draw_audit(page.person, outlook.stand, outlook.saved.tiers, tier, seed=int(seed))
            except UserError as error:
                st.error(plain(page.why_not(error)))
            else:
                _open(audit)
                st.rerun()
    _draw_past(page)


def _draw_past(page: Page) -> None:
    past = tier_audit.past_audits(page.person, page.store)
    if not past:
        return
    st.markdown(f"**{page.say('audit.past')}**")
    draw_table(
        [
            Column(page.say("audit.when"), [shown_time(one.at) for one in past]),
            Column(page.say("audit.by"), [one.account for one in past]),
            Column(page.say("audit.tier"), [f"{one.audit.tier} {one.audit.name}" for one in past]),
            Column(page.say("audit.seed"), [one.audit.seed for one in past], number="plain"),
            Column(
                page.say("audit.marked"),
                [page.say("audit.of", n=one.tally.n_marked, all=len(one.audit.judgment_ids)) for one in past],
            ),
            Column(page.say("audit.right"), [one.tally.n_right for one in past], number="plain"),
            Column(page.say("audit.share"), [_share(one.tally) for one in past]),
            Column(page.say("audit.where"), [one.audit.where for one in past], width=420),
        ]
    )
    own = [one for one in past if one.account == page.person.account]
    if own:
        labels = {
            one.audit.audit_id: page.say(
                "audit.own", tier=one.audit.tier, name=one.audit.name, seed=one.audit.seed, at=shown_time(one.at)
            )
            for one in own
        }
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        chosen = left.selectbox(
            page.say("audit.go_on"), list(labels), format_func=lambda one: labels[one], key="audit.past"
        )
        if right.button(page.say("audit.open"), key="audit.open", width="stretch"):
            _open(next(one.audit for one in own if one.audit.audit_id == chosen))
            st.rerun()


def _draw_rows(page: Page, outlook: Outlook, audit: Audit) -> None:
    rows = tier_audit.read_rows(page.person, page.store, outlook.stand, audit)
    marks = tier_audit.read_marks(page.person, page.store, audit)
    st.markdown(
        page.say(
            "audit.title",
            tier=audit.tier,
            name=plain(audit.name),
            n=len(rows),
            all=f"{audit.n_rows:,}",
            seed=audit.seed,
        )
    )
    _draw_tally(page, marks, n=len(rows))
    if not rows:
        st.info(page.say("audit.gone"))
    else:
        at = min(st.session_state.get(AT_KEY, 0), len(rows) - 1)
        _draw_acts(page, audit, rows, marks, at=at)
        _draw_row(page, rows[at], at=at, n=len(rows))
    with st.expander(page.say("audit.all_rows"), expanded=len(marks) >= len(rows) > 0):
        _draw_list(page, rows, marks)
    if st.button(page.say("audit.close"), key="audit.close"):
        st.session_state.pop(KEY, None)
        st.rerun()


def _draw_tally(page: Page, marks: Mapping[str, bool], *, n: int) -> None:
    tally = tier_audit.tally(marks)
    if not tally.n_marked:
        st.caption(page.say("audit.none_marked", n=n))
        return
    key = "audit.tally" if tally.n_marked >= n else "audit.tally_so_far"
    share = percent(tally.n_right / tally.n_marked)
    st.markdown(
        page.say(
            key, right=tally.n_right, n=tally.n_marked, left=n - tally.n_marked, share=share, span=span(tally.interval)
        )
    )


def _draw_acts(page: Page, audit: Audit, rows: Sequence[AuditRow], marks: Mapping[str, bool], *, at: int) -> None:
    row = rows[at]
    said = {None: UNMARKED, True: RIGHT, False: WRONG}[marks.get(row.judgment_id)]

    def mark(is_right: bool) -> None:
        tier_audit.mark(page.person, page.store, audit, row.judgment_id, is_right=is_right)
        known = {**marks, row.judgment_id: is_right}
        after = [place for place in (*range(at + 1, len(rows)), *range(at)) if rows[place].judgment_id not in known]
        st.session_state[AT_KEY] = after[0] if after else at

    def go(step: int) -> None:
        st.session_state[AT_KEY] = (at + step) % len(rows)

    right, wrong, back, on, state = st.columns([2, 2, 2, 2, 3], vertical_alignment="center")
    right.button(
        page.say("audit.is_right"), shortcut="Y", key="audit.yes", on_click=mark, args=(True,), width="stretch"
    )
    wrong.button(
        page.say("audit.is_wrong"), shortcut="N", key="audit.no", on_click=mark, args=(False,), width="stretch"
    )
    back.button(page.say("audit.back"), shortcut="Left", key="audit.back", on_click=go, args=(-1,), width="stretch")
    on.button(page.say("audit.on"), shortcut="Right", key="audit.on", on_click=go, args=(1,), width="stretch")
    state.markdown(page.say(f"audit.state_{said}"))


def _draw_row(page: Page, row: AuditRow, *, at: int, n: int) -> None:
    scale = read_scale(page.store)
    with st.container(border=True):
        st.caption(page.say("audit.row", at=at + 1, n=n, split=row.split))
        st.markdown(f"**{page.say('audit.query')}** {plain(row.query)}")
        left, right = st.columns(2)
        with left:
            st.markdown(f"**{plain(row.title)}**")
            if row.fields:
                st.caption(" · ".join(f"{plain(name)} {plain(value)}" for name, value in row.fields.items()))
            if row.body:
                st.text(row.body[:MOST_BODY_CHARACTERS])
        with right:
            st.markdown(f"**{page.say('audit.grade', grade=row.grade, name=plain(scale.name(row.grade)))}**")
            if row.steps is None:
                st.caption(page.say("audit.no_rationale"))
            else:
                lines = [
                    f"{number}. **{plain(step.label)}** {plain(step.text)}" for number, step in enumerate(row.steps, 1)
                ]
                st.markdown("\n".join(lines))
    with st.container(border=True):
        st.caption(page.say("audit.why"))
        if not row.reasons:
            st.caption(page.say("audit.left_tier"))
        for reason in row.reasons:
            st.code(reason.part, language="sql", wrap_lines=True)
            told = [f"{name} = {_value(page, value)}" for name, value in reason.values.items()]
            st.caption(" · ".join(plain(one) for one in told))


def _draw_list(page: Page, rows: Sequence[AuditRow], marks: Mapping[str, bool]) -> None:
    said = {True: page.say("audit.list_right"), False: page.say("audit.list_wrong"), None: ""}
    draw_table(
        [
            Column("#", list(range(1, len(rows) + 1)), number="plain"),
            Column(page.say("audit.mark"), [said[marks.get(row.judgment_id)] for row in rows]),
            Column(page.say("audit.grade_column"), [row.grade for row in rows], number="plain"),
            Column(page.say("audit.query"), [row.query for row in rows], width=260),
            Column(page.say("audit.document"), [row.title for row in rows], width=320),
            Column(page.say("audit.judgment"), [row.judgment_id for row in rows]),
        ]
    )


def _open(audit: Audit) -> None:
    st.session_state[KEY] = audit
    st.session_state[AT_KEY] = 0


def _share(tally: tier_audit.Tally) -> str:
    return f"{percent(tally.n_right / tally.n_marked)} ({span(tally.interval)})"


def _value(page: Page, value: object) -> str:
    if value is None:
        return page.say("audit.absent")
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)

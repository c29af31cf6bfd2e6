"""The next version of a rule: written, counted beside the present one, then saved with the reason."""

from __future__ import annotations

import streamlit as st

from curation.rules import FEATURE_COLUMNS, RuleStatistics
from review_app.page import Page
from review_app.rule_review import FEW, RuleBook, RuleLine
from review_app.rule_versions import (
    N_DRAWN,
    Draft,
    Preview,
    Saved,
    begin_version,
    forget_work,
    preview_version,
    version_work,
)
from review_app.views.numbers import percent, span
from review_app.views.plain import plain
from review_app.views.tables import Column, draw_table
from review_app.views.working import draw_failure, draw_work
from storage.errors import UserError
from storage.session import read_scale

MOST_TEXT, MOST_CONDITION = 2_000, 4_000


def draw_edit(page: Page, book: RuleBook, line: RuleLine) -> None:
    """Draw the form, the preview of what stands in it, and save it when that is asked for."""
    rule = line.rule
    scale = read_scale(page.store)
    with st.container(border=True):
        st.markdown(f"**{page.say('rules.edit_title')}**")
        text = st.text_area(
            page.say("rules.edit_text"), rule.text, key=f"rules.text.{rule.rule_id}", max_chars=MOST_TEXT
        )
        condition = st.text_area(
            page.say("rules.edit_condition"),
            rule.condition,
            key=f"rules.condition.{rule.rule_id}",
            max_chars=MOST_CONDITION,
            help=plain(page.say("rules.edit_condition_help", columns=", ".join(FEATURE_COLUMNS))),
        )
        grade = st.selectbox(
            page.say("rules.edit_grade"),
            list(scale.values),
            index=scale.position(rule.grade) if rule.grade in scale else 0,
            format_func=lambda value: f"{value} {scale.name(value)}",
            key=f"rules.grade.{rule.rule_id}",
        )
        written = Draft(text, condition, grade)
        preview = _preview(page, book, line, written)
        reason = st.text_input(
            page.say("rules.edit_reason"), key=f"rules.edit_reason.{rule.rule_id}", max_chars=MOST_TEXT
        )
        with st.container(horizontal=True):
            is_asked = st.button(
                page.say("rules.edit_save"),
                key="rules.save",
                type="primary",
                disabled=preview is None or not reason.strip(),
            )
            st.button(
                page.say("rules.cancel"),
                key="rules.cancel_edit",
                shortcut="Esc",
                on_click=lambda: st.session_state.update({"rules.asking": None}),
            )
        if is_asked:
            _save(page, line, written, reason)


def _preview(page: Page, book: RuleBook, line: RuleLine, written: Draft) -> Preview | None:
    """Count what is written when that is asked for, and show it for as long as nothing else is written."""
    rule_id = line.rule.rule_id
    if st.button(page.say("rules.edit_count"), key="rules.count"):
        st.session_state.pop("rules.preview", None)
        try:
            found = preview_version(page.person, page.store, book.lines, rule_id, written)
        except UserError as error:
            st.error(plain(page.why_not(error)))
            return None
        st.session_state["rules.preview"] = ((rule_id, written), found)
    held: tuple[object, Preview | None] = st.session_state.get("rules.preview", (None, None))
    preview = held[1]
    if held[0] != (rule_id, written) or preview is None:
        st.caption(page.say("rules.edit_count_first"))
        return None
    _draw_preview(page, preview)
    return preview


def _draw_preview(page: Page, preview: Preview) -> None:
    both: tuple[RuleStatistics, RuleStatistics] = (preview.before, preview.after)
    st.caption(page.say("rules.preview"))
    draw_table(
        [
            Column(page.say("rules.preview_column"), [page.say("rules.preview_now"), page.say("rules.preview_next")]),
            Column(page.say("rules.preview_votes"), [one.n_votes for one in both]),
            Column(page.say("rules.column_coverage"), [percent(one.coverage_rate, 1) for one in both]),
            Column(page.say("rules.column_right"), [percent(one.accuracy) for one in both]),
            Column(page.say("rules.column_interval"), [span(one.accuracy_interval) for one in both]),
            Column(page.say("rules.column_judged"), [one.n_judged for one in both]),
        ],
        is_few=[one.n_judged < FEW for one in both],
    )
    st.write(page.say("rules.preview_change", gained=f"{preview.n_gained:,}", lost=f"{preview.n_lost:,}"))
    drawn = page.say("rules.preview_drawn", pairs=f"{preview.before.n_pairs:,}", drawn=f"{N_DRAWN:,}")
    st.caption(drawn if preview.is_drawn else page.say("rules.preview_all"))
    if preview.held is not None:
        status = page.say(f"rules.is_{preview.held.status}")
        st.info(page.say("rules.edit_held", rule=plain(preview.rule.rule_id), status=status))


def draw_saving(page: Page, line: RuleLine) -> bool:
    """Draw the save of a next version of this rule, or what came of it; return whether one is under way."""
    work = version_work(page.person, page.workspace, line.rule.rule_id)
    if work is None:
        return False
    if not work.is_over:
        draw_work(page, work, page.say("rules.edit_saving"))
        return True
    is_failure = draw_failure(page, work)
    forget_work(page.person, page.workspace, line.rule.rule_id)
    if not is_failure:
        saved: Saved = work.outcome
        st.session_state["rules.said"] = page.say("rules.edit_saved", n=f"{saved.n_votes:,}")
        st.session_state["rules.open"] = saved.rule.rule_id
        st.session_state["rules.asking"] = None
        st.session_state.pop("rules.preview", None)
        st.rerun()
    return False


def _save(page: Page, line: RuleLine, written: Draft, reason: str) -> None:
    try:
        work = begin_version(page.person, page.workspace, page.store, line.rule, written, reason=reason)
    except UserError as error:
        st.error(plain(page.why_not(error)))
        return
    work.wait()
    st.rerun()

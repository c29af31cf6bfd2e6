"""One rule: what it says, what its votes are worth, examples for and against, who contradicts it, its history."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from review_app.page import Page
from review_app.rule_review import (
    Conflict,
    Example,
    History,
    RuleBook,
    RuleLine,
    read_conflicts,
    read_examples,
    read_history,
)
from review_app.views.clock import shown_time
from review_app.views.numbers import percent
from review_app.views.plain import plain
from review_app.views.rule_edit import draw_edit, draw_saving
from review_app.views.sentences import together
from review_app.views.tables import Column, draw_words
from storage.session import read_scale


def draw_rule(page: Page, book: RuleBook, rule_id: str) -> None:
    """Draw a rule, and the form of its next version when that is asked for; what takes longer to read comes later."""
    line = book.line(rule_id)
    if line is None:
        st.session_state.pop("rules.open", None)
        return
    st.subheader(plain(line.rule.text), anchor=False)
    scale = read_scale(page.store)
    name = scale.name(line.rule.grade) if line.rule.grade in scale else ""
    st.caption(page.say("rules.condition", grade=plain(f"{line.rule.grade} {name}")))
    st.code(line.rule.condition, language="sql", wrap_lines=True)
    if not draw_saving(page, line) and st.session_state.get("rules.asking") == "edit":
        draw_edit(page, book, line)
    st.write(_worth(page, line))
    if line.parent_id and not line.version_of:
        st.caption(page.say("rules.exception_to", rule=plain(line.parent_id)))
    _draw_evidence(page, read_examples(page.person, page.store, rule_id))
    _draw_conflicts(page, read_conflicts(page.person, page.store, rule_id))
    _draw_history(page, read_history(page.person, page.store, book, line))


def _draw_evidence(page: Page, examples: Sequence[Example]) -> None:
    against, for_it = st.columns(2)
    with against:
        st.markdown(f"**{page.say('rules.against')}**")
        _draw_examples(page, [one for one in examples if not one.agrees], empty="rules.against_none")
    with for_it:
        st.markdown(f"**{page.say('rules.for')}**")
        _draw_examples(page, [one for one in examples if one.agrees], empty="rules.for_none")


def _worth(page: Page, line: RuleLine) -> str:
    counted = line.statistics
    if counted is None:
        return page.say("rules.not_counted")
    votes = page.say(
        "rules.votes",
        votes=f"{counted.n_votes:,}",
        pairs=f"{counted.n_pairs:,}",
        coverage=percent(counted.coverage_rate, 1),
        overlap=percent(counted.overlap_rate, 1),
        conflict=percent(counted.conflict_rate, 1),
    )
    interval = counted.accuracy_interval
    if interval is None or counted.accuracy is None:
        return together(page, [votes, page.say("rules.right_none")])
    right = page.say(
        "rules.right",
        judged=f"{counted.n_judged:,}",
        right=f"{round(counted.accuracy * counted.n_judged):,}",
        rate=percent(counted.accuracy),
        low=percent(interval.low),
        high=percent(interval.high),
    )
    return together(page, [votes, right])


def _draw_examples(page: Page, examples: Sequence[Example], *, empty: str) -> None:
    if not examples:
        st.caption(page.say(empty))
        return
    draw_words(
        [
            Column(page.say("rules.column_says"), [one.grade for one in examples]),
            Column(page.say("rules.column_settled"), [one.settled_grade for one in examples]),
            Column(page.say("rules.column_query"), [one.query for one in examples]),
            Column(page.say("rules.column_title"), [one.title for one in examples]),
            Column(
                page.say("rules.column_how"), [page.say(f"rules.how_{one.origin.split(':')[0]}") for one in examples]
            ),
        ]
    )


def _draw_conflicts(page: Page, conflicts: Sequence[Conflict]) -> None:
    st.markdown(f"**{page.say('rules.conflicts')}**")
    if not conflicts:
        st.caption(page.say("rules.conflicts_none"))
        return
    draw_words(
        [
            Column(page.say("rules.column_grade"), [one.grade for one in conflicts]),
            Column(page.say("rules.column_rule"), [one.text for one in conflicts]),
            Column(page.say("rules.column_both"), [one.n_pairs for one in conflicts]),
            Column(page.say("rules.column_judged"), [one.n_judged for one in conflicts]),
            Column(page.say("rules.column_for_this"), [one.n_for_this for one in conflicts]),
            Column(page.say("rules.column_for_other"), [one.n_for_other for one in conflicts]),
            Column(page.say("rules.column_status"), [page.say(f"rules.is_{one.status}") for one in conflicts]),
            Column(page.say("rules.column_id"), [one.rule_id for one in conflicts]),
        ]
    )


def _draw_history(page: Page, found: History) -> None:
    """Draw when which version was written, and who decided what of it and why, in order of time."""
    st.markdown(f"**{page.say('rules.history')}**")
    status = {"approve": "approved", "reject": "rejected"}
    written = [(one.created_at, f"was_{one.origin}", one.made_by or "", "", one.rule.rule_id) for one in found.versions]
    decided = [
        (one.decided_at, f"was_{status[one.decision]}", one.account, one.reason or "", one.rule_id)
        for one in found.decisions
    ]
    conditions = {one.rule.rule_id: one.rule.condition for one in found.versions}
    rows = sorted([*written, *decided], key=lambda row: row[0])
    draw_words(
        [
            Column(page.say("rules.column_when"), [shown_time(row[0]) for row in rows]),
            Column(page.say("rules.column_what"), [page.say(f"rules.{row[1]}") for row in rows]),
            Column(page.say("rules.column_who"), [row[2] for row in rows]),
            Column(page.say("rules.column_why"), [row[3] for row in rows]),
            Column(page.say("rules.edit_condition"), [conditions[row[4]] for row in rows]),
            Column(page.say("rules.column_id"), [row[4] for row in rows]),
        ]
    )

"""The rule book: a table, the rule that is open beside its evidence, and the acts on it, all by keyboard.

Which rule is open, which are marked and what is being asked stay in the session; the rules themselves are read anew on
every draw.
"""

from __future__ import annotations

import streamlit as st

from review_app.figures import figures_of
from review_app.page import Page
from review_app.rule_review import (
    FEW,
    Order,
    RuleBook,
    RuleLine,
    choose,
    counted_statistics,
    read_book,
    read_instructions,
)
from review_app.views.clock import shown_time
from review_app.views.instructions import draw_instructions
from review_app.views.rule_acts import draw_acts
from review_app.views.rule_detail import draw_rule
from review_app.views.rule_table import MOST_ROWS, draw_table
from review_app.views.sentences import together

STATUSES = ("proposed", "approved", "rejected")


def draw(page: Page) -> None:
    """Draw the page."""
    st.title(page.say("rules.title"), anchor=False)
    book = read_book(page.person, page.store, figures_of(page.workspace.root))
    guidelines = read_instructions(page.person, page.store)
    labels = {
        "rules": page.say("rules.view_rules", n=len(book.lines)),
        "instructions": page.say("rules.view_instructions", n=len(guidelines)),
    }
    shown = st.segmented_control(
        page.say("rules.view"),
        list(labels),
        format_func=lambda name: labels[name],
        default="rules",
        required=True,
        label_visibility="collapsed",
        key="rules.view",
    )
    if shown == "instructions":
        draw_instructions(page, guidelines)
    elif not book.lines:
        st.info(page.say("rules.empty"))
    else:
        _draw_rules(page, book)


def _draw_rules(page: Page, book: RuleBook) -> None:
    lines = _chosen(page, book)
    _draw_count(page, book)
    if not lines:
        st.info(page.say("rules.none_found"))
        return
    marked = draw_table(page, lines[:MOST_ROWS])
    if len(lines) > MOST_ROWS:
        st.caption(page.say("rules.shown", shown=MOST_ROWS, n=len(lines)))
    open_id = draw_acts(page, lines[:MOST_ROWS], marked)
    if open_id is not None:
        draw_rule(page, book, open_id)


def _chosen(page: Page, book: RuleBook) -> list[RuleLine]:
    status_column, text_column, order_column = st.columns([5, 4, 4], vertical_alignment="bottom")
    labels = {"all": page.say("rules.status_all", n=len(book.lines))}
    labels |= {status: page.say(f"rules.status_{status}", n=book.n_of(status)) for status in STATUSES}
    status = status_column.segmented_control(
        page.say("rules.status"),
        list(labels),
        format_func=lambda name: labels[name],
        default="all",
        required=True,
        label_visibility="collapsed",
        key="rules.status",
    )
    text = text_column.text_input(
        page.say("rules.find"),
        placeholder=page.say("rules.find_placeholder"),
        label_visibility="collapsed",
        key="rules.find",
        max_chars=200,
    )
    order = order_column.selectbox(
        page.say("rules.order"),
        list(Order),
        format_func=lambda one: page.say(f"rules.order_{one.value}"),
        label_visibility="collapsed",
        key="rules.order",
    )
    return choose(book.lines, status=None if status == "all" else status, text=text, order=order or Order.DISAGREEMENT)


def _draw_count(page: Page, book: RuleBook) -> None:
    """Say when the figures were counted, and look again by itself while they are."""
    counted = book.counted
    if counted is None:
        st.caption(page.say("rules.counting"))
    else:
        n_pairs = next((one.n_pairs for one in counted.value.values()), 0)
        said = [page.say("rules.counted", at=shown_time(counted.taken_at), n=f"{n_pairs:,}", few=FEW)]
        if counted.is_coming:
            said.append(page.say("rules.counting_again"))
        elif not counted.is_of_now:
            said.append(page.say("rules.counted_before"))
        st.caption(together(page, said))
    if counted is None or counted.is_coming:
        _look_again(page)


@st.fragment(run_every=1.0)
def _look_again(page: Page) -> None:
    counted = counted_statistics(page.store, figures_of(page.workspace.root))
    if counted is not None and not counted.is_coming:
        st.rerun()

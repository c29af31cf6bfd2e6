"""The part that compares two runs: by how much the second is better, how sure that is, and which rules it lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from review_app.page import Page
from review_app.run_desk import RunRow, see_rule_texts, see_runs
from review_app.run_work import begin_compare, compare_work, shared_splits
from review_app.views.clock import shown_time
from review_app.views.numbers import ABSENT
from review_app.views.plain import plain
from review_app.views.sentences import together
from review_app.views.tables import Column, draw_table
from review_app.views.working import draw_failure, draw_work
from storage.errors import UserError

FEW = 20
METRICS_HEIGHT, RULES_HEIGHT = 640, 360  # all metrics of a scale of up to six grades
ROW_HEIGHT = 35


def draw_compare(page: Page) -> None:
    """Draw the choice of two runs, and what came of the last comparison."""
    rows = [row for row in see_runs(page.person, page.workspace, page.store) if row.measured]
    if len(rows) < 2:
        st.info(page.say("runs.compare_none"))
        return
    work = compare_work(page.person, page.workspace)
    is_running = work is not None and not work.is_over
    _draw_choice(page, rows, is_running=is_running)
    if work is None:
        return
    if is_running:
        draw_work(page, work, page.say("runs.comparing"))
    elif not draw_failure(page, work):
        _draw_outcome(page, work.outcome)


def _draw_choice(page: Page, rows: Sequence[RunRow], *, is_running: bool) -> None:
    by_id = {row.run_id: row for row in rows}
    first, second, on, button = st.columns([3, 3, 2, 1], vertical_alignment="bottom")

    def told(run_id: str) -> str:
        at = by_id[run_id].started_at
        return page.say(
            "runs.option", run=run_id, method=by_id[run_id].line.method or ABSENT, at=shown_time(at) if at else ABSENT
        )

    b = second.selectbox(page.say("runs.compare_b"), list(by_id), format_func=told, key="runs.compare_b")
    others = [run_id for run_id in by_id if run_id != b]
    a = first.selectbox(page.say("runs.compare_a"), others, format_func=told, key="runs.compare_a")
    splits = shared_splits(by_id[a], by_id[b])
    split = on.selectbox(
        page.say("runs.compare_on"),
        splits,
        format_func=lambda one: page.say(f"runs.split_{one}"),
        key="runs.compare_on",
    )
    if not splits:
        st.caption(page.say("runs.compare_unshared"))
    is_asked = button.button(
        page.say("runs.compare_now"), type="primary", disabled=is_running or split is None, key="runs.compare_now",
        width="stretch",
    )  # fmt: skip
    if is_asked and split is not None:
        try:
            begin_compare(page.person, page.workspace, a, b, split=split).wait()
        except UserError as error:
            st.error(plain(page.why_not(error)))
        else:
            st.rerun()


def _draw_outcome(page: Page, told: Mapping[str, Any]) -> None:
    paired = told["mcnemar"]
    st.markdown(
        page.say(
            "runs.compared", a=told["a"], b=told["b"], n=f"{told['n']:,}", snapshot=told["snapshot_id"],
            split=page.say(f"runs.split_{told['split']}"),
        )
    )  # fmt: skip
    said = [
        page.say(
            "runs.mcnemar", both=f"{paired['n_both']:,}", a=f"{paired['n_only_a']:,}", b=f"{paired['n_only_b']:,}",
            neither=f"{paired['n_neither']:,}",
        ),
        page.say("runs.mcnemar_p", p=f"{paired['p']:.3g}"),
    ]  # fmt: skip
    st.markdown(together(page, said))
    _draw_metrics(page, told["differences"])
    if told["rules"]:
        _draw_rules(page, told["rules"])


def _draw_metrics(page: Page, metrics: Sequence[Mapping[str, Any]]) -> None:
    draw_table(
        [
            Column(page.say("runs.metric"), [one["metric"] for one in metrics], width=180),
            Column("A", [one["a"] for one in metrics], number="%.3f"),
            Column("B", [one["b"] for one in metrics], number="%.3f"),
            Column(page.say("runs.difference"), [one["difference"] for one in metrics], number="%+.3f"),
            Column(page.say("runs.interval"), [_span(one) for one in metrics], width=150),
            Column("p", [one["p"] for one in metrics], number="%.3g"),
            Column("n", [one["n"] for one in metrics]),
        ],
        is_few=[one["n"] < FEW for one in metrics],
        height=min(METRICS_HEIGHT, ROW_HEIGHT * (len(metrics) + 1) + 3),
    )
    st.caption(page.say("runs.difference_help"))


def _draw_rules(page: Page, rules: Sequence[Mapping[str, Any]]) -> None:
    texts = see_rule_texts(page.person, page.store, [one["rule_id"] for one in rules])
    st.markdown(f"**{page.say('runs.rules_title')}**")
    draw_table(
        [
            Column(page.say("runs.rule"), [one["rule_id"] for one in rules], width=170),
            Column("n", [one["n"] for one in rules], width=60),
            Column("A", [100 * one["a"] for one in rules], number="%.0f%%", width=70),
            Column("B", [100 * one["b"] for one in rules], number="%.0f%%", width=70),
            Column(page.say("runs.fell"), [100 * (one["b"] - one["a"]) for one in rules], number="%+.0f", width=70),
            Column("p", [one["p"] for one in rules], number="%.3g", width=70),
            Column(page.say("runs.rule_text"), [texts.get(one["rule_id"], "") for one in rules], width=620),
        ],
        is_few=[one["n"] < FEW for one in rules],
        height=min(RULES_HEIGHT, ROW_HEIGHT * (len(rules) + 1) + 3),
    )
    st.caption(page.say("runs.rules_help"))


def _span(one: Mapping[str, Any]) -> str:
    if one["low"] is None or one["high"] is None:
        return ABSENT
    return f"[{one['low']:+.3f}, {one['high']:+.3f}]"

"""The table of rules: sortable, walked by arrow keys, rows marked by Shift+Space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from review_app.page import Page
from review_app.rule_review import FEW, RuleLine
from review_app.views.numbers import grey, marked_ground, span
from storage.ids import digest

MOST_ROWS = 400  # more are not read but searched, and each draw sends them all
HEIGHT = 364
_RATES = ("right", "coverage", "overlap", "conflict")


def draw_table(page: Page, lines: Sequence[RuleLine]) -> list[RuleLine]:
    """Draw the rules; return the marked ones. Moving to a cell opens its rule."""
    shown_ids = [line.rule.rule_id for line in lines]
    # another list is another table, so that a mark never slips to another rule
    key = f"rules.table.{digest([shown_ids, st.session_state.get('rules.epoch', 0)])[:16]}"

    def follow() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells:
            st.session_state["rules.open"] = shown_ids[cells[0][0]]
            st.session_state["rules.asking"] = None

    event: Any = st.dataframe(
        _styled(page, lines),
        key=key,
        height=HEIGHT,
        hide_index=True,
        column_config=_columns(page),
        selection_mode=["multi-row", "single-cell"],
        on_select=follow,
        alt=page.say("rules.table"),
    )
    return [lines[place] for place in event["selection"]["rows"] if place < len(lines)]


def _styled(page: Page, lines: Sequence[RuleLine]) -> Any:
    counted = [line.statistics for line in lines]
    frame = pd.DataFrame(
        {
            "rule": [line.rule.text for line in lines],
            "grade": [line.rule.grade for line in lines],
            "right": [_share(one.accuracy) if one else None for one in counted],
            "interval": [span(one.accuracy_interval) if one else "" for one in counted],
            "judged": [one.n_judged if one else None for one in counted],
            "coverage": [_share(one.coverage_rate) if one else None for one in counted],
            "overlap": [_share(one.overlap_rate) if one else None for one in counted],
            "conflict": [_share(one.conflict_rate) if one else None for one in counted],
            "status": [page.say(f"rules.is_{line.status}") for line in lines],
            "id": [line.rule.rule_id for line in lines],
        }
    ).astype(dict.fromkeys(_RATES, "float64") | {"judged": "Int64"})
    styles = pd.DataFrame("", index=frame.index, columns=frame.columns)
    is_few = [one is not None and one.n_judged < FEW for one in counted]
    styles.loc[is_few, ["right", "interval", "judged"]] = f"color: {grey()}"
    is_open = [line.rule.rule_id == st.session_state.get("rules.open") for line in lines]
    styles.loc[is_open] += f";background-color: {marked_ground()}"
    return frame.style.apply(lambda _: styles, axis=None)


def _columns(page: Page) -> dict[str, Any]:
    def number(name: str, written: str, width: int, *, is_told: bool = True) -> Any:
        told = page.say(f"rules.help_{name}") if is_told else None
        return st.column_config.NumberColumn(page.say(f"rules.column_{name}"), format=written, width=width, help=told)

    def text(name: str, width: int | Literal["large"]) -> Any:
        return st.column_config.TextColumn(page.say(f"rules.column_{name}"), width=width)

    return {
        "rule": text("rule", "large"),
        "grade": number("grade", "%d", 60, is_told=False),
        "right": number("right", "%.0f%%", 80),
        "interval": text("interval", 100),
        "judged": number("judged", "%d", 80),
        "coverage": number("coverage", "%.1f%%", 90),
        "overlap": number("overlap", "%.1f%%", 80),
        "conflict": number("conflict", "%.1f%%", 80),
        "status": text("status", 90),
        "id": text("id", 80),
    }


def _share(rate: float | None) -> float | None:
    """Return a share in percent: the column's format takes numbers, so that sorting is by number."""
    return None if rate is None else 100 * rate

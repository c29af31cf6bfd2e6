"""Numbers as the pages write them, and the grey of those that rest on few."""

from __future__ import annotations

import streamlit as st

from curation.intervals import Interval

ABSENT = "–"


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share as a percentage, a dash for none."""
    return ABSENT if share is None else f"{share:.{digits}%}"


def span(interval: Interval | None) -> str:
    """Return an interval of shares, a dash for none."""
    return ABSENT if interval is None else f"{100 * interval.low:.0f}–{interval.high:.0%}"


def decimal_span(interval: Interval | None, digits: int = 2) -> str:
    """Return an interval of numbers, a dash for none."""
    return ABSENT if interval is None else f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def is_dark() -> bool:
    """Say whether the reader sees the dark theme."""
    return st.context.theme.type == "dark"


def accent() -> str:
    """Return the app's one colour."""
    return "#8ab4dc" if is_dark() else "#2f5d8a"


def grey() -> str:
    """Return the colour of figures over few cases: readable (AA) and plainly fainter than text."""
    return "#949ea8" if is_dark() else "#66707a"


def faint() -> str:
    """Return the colour of what stands behind for comparison."""
    return "#3d4751" if is_dark() else "#cfd6dd"


def marked_ground() -> str:
    """Return the ground of the row that is open."""
    return "#2a3a4a" if is_dark() else "#e3edf7"

"""Times as the reader's clock shows them; the store keeps UTC."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st


def minutes_ahead() -> int:
    """Return how many minutes the reader's clock is ahead of UTC; 0 where the browser does not say."""
    return -(st.context.timezone_offset or 0)


def shown_time(moment: datetime) -> str:
    """Return a moment of the store in the reader's zone, to the minute."""
    return f"{moment + timedelta(minutes=minutes_ahead()):%Y-%m-%d %H:%M}"

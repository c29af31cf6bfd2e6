"""The name of this browser tab, so that its work is found again and no other tab's is taken for it."""

from __future__ import annotations

import streamlit as st

from storage.ids import new_session

KEY = "afrel.tab"


def tab_name() -> str:
    """Return the tab's name; it lasts as long as the tab's session."""
    if KEY not in st.session_state:
        st.session_state[KEY] = new_session()
    return str(st.session_state[KEY])

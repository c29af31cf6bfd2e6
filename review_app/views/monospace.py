"""Fields for code, in the type that code is read in: Streamlit has no option for it."""

from __future__ import annotations

from typing import Any

import streamlit as st

_STYLE = "<style>[class*='st-key-af_code_'] textarea {{ font-family: {font}; font-size: .875rem; }}</style>"


def monospace(name: str) -> Any:
    """Return a container whose text areas are set in the code font; names are the page's own."""
    font = st.get_option("theme.codeFont") or "ui-monospace, monospace"
    st.html(_STYLE.format(font=font))
    return st.container(key=f"af_code_{name}")

"""What the pages that run in the browser are given: who looks, where the server is, the scale and the words."""

from __future__ import annotations

from typing import Any

import streamlit as st

from curation.completion import STEP_LABELS
from review_app.page import Page
from review_app.server.serving import serving
from review_app.texts import area_texts
from storage.ids import digest
from storage.session import read_scale


def given_to_browser(page: Page, *areas: str) -> dict[str, Any]:
    """Return what a page's script starts with; `areas` name the texts it says."""
    site = serving().site
    scale = read_scale(page.store)
    return {
        "base": site.prefix,
        "csrf": st.session_state["afrel.login"],
        "account": page.person.account,
        # another workspace served at the same address must not find this one's unsent acts
        "workspace": digest(str(page.workspace.root))[:12],
        "language": page.language,
        "scale": [[grade, scale.name(grade)] for grade in scale.values],
        "labels": list(STEP_LABELS),
        "texts": area_texts(page.language, *areas),
    }

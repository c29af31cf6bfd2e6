"""Mounts the SQL editor, the module `sql_editor.js`, and keeps what is typed in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

import streamlit as st

from review_app.page import Page
from review_app.server.serving import serving
from review_app.texts import area_texts
from storage.sql.schema import PublishedTable

TEXT_KEY, VERSION_KEY = "sql.text", "sql.version"

# The newlines tell Streamlit that this is a script and no path. Drawn again, the editor keeps what is typed.
_SCRIPT = """
const mounted = new WeakMap();

export default async function ({ parentElement, data, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".af-sql");
  const given = JSON.parse(data.given);
  const leave = () => mounted.delete(root);
  const held = mounted.get(root);
  if (held) {
    (await held).update(given);
    return leave;
  }
  const begun = import(`${window.location.origin}${given.base}/app/sql_editor.js?v=${given.script}`).then(({ mount }) =>
    mount(root, given, {
      tell: (typed) => setStateValue("typed", typed),
      run: (typed) => {
        setStateValue("typed", typed);
        setTriggerValue("run", typed.text);
      },
    }),
  );
  mounted.set(root, begun);
  await begun;
  return leave;
}
"""


def held_text() -> str:
    """Return the SQL as it was last told."""
    return str(st.session_state.get(TEXT_KEY, ""))


def write_text(text: str) -> None:
    """Put another text into the editor, in place of what is there."""
    st.session_state[TEXT_KEY] = text
    st.session_state[VERSION_KEY] = st.session_state.get(VERSION_KEY, 0) + 1


def draw_editor(page: Page, tables: Sequence[PublishedTable]) -> bool:
    """Draw the editor; return whether its text is to be run now."""
    version = st.session_state.get(VERSION_KEY, 0)
    component = st.components.v2.component(
        "afrel_sql_editor",
        html='<div class="af-sql"></div>\n',
        css=(resources.files("review_app.card") / "sql_editor.css").read_text(encoding="utf-8"),
        js=_SCRIPT,
        isolate_styles=False,
    )
    given = {
        "base": serving().site.prefix,
        "script": _script_version(),
        "version": version,
        "text": held_text(),
        "tables": [_told(table) for table in tables],
        "texts": area_texts(page.language, "sql"),
    }
    told = component(
        key="sql.editor",
        data={"given": json.dumps(given, ensure_ascii=False)},
        on_typed_change=lambda: None,
        on_run_change=lambda: None,
    )
    typed: Any = told.get("typed")
    # what was typed before another text was loaded is of an earlier version
    if typed and typed["version"] == version:
        st.session_state[TEXT_KEY] = typed["text"]
    return told.get("run") is not None


def _told(table: PublishedTable) -> dict[str, Any]:
    columns = [[column.name, column.type] for column in table.columns]
    return {**asdict(table), "columns": columns}


@cache
def _script_version() -> str:
    return hashlib.sha256((resources.files("review_app.card") / "sql_editor.js").read_bytes()).hexdigest()[:12]

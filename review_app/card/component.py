"""Mounts a page of ours in Streamlit: one v2 component whose script is fetched from this server as plain modules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import streamlit as st

# The newlines tell Streamlit that this is a script and no path. A page that is drawn again keeps its state.
_SCRIPT = """
const mounted = new WeakMap();
export default async function ({ parentElement, data }) {
  const root = parentElement.querySelector(".af-root");
  const given = JSON.parse(data.given);
  const held = mounted.get(root);
  if (held && held.page === given.page) return held.leave;
  if (held) held.leave();
  let isGone = false;
  let close = () => {};
  const leave = () => {
    isGone = true;
    mounted.delete(root);
    close();
  };
  mounted.set(root, { page: given.page, leave });
  const { mount } = await import(`${window.location.origin}${given.base}/app/${given.page}.js?v=${given.version}`);
  if (!isGone) close = mount(root, given);
  return leave;
}
"""


def mount_page(page: str, given: Mapping[str, Any], *, key: str) -> None:
    """Show the module `<page>.js` with what it is given (JSON); it gets `page` and `version` beside."""
    component = st.components.v2.component(
        "afrel_page",
        html='<div class="af-root"></div>',
        css=_styles(),
        js=_SCRIPT,
        isolate_styles=False,
    )
    whole = {**given, "page": page, "version": _version()}
    component(key=key, data={"given": json.dumps(whole, ensure_ascii=False)})


@cache
def _styles() -> str:
    """Return the styles of all pages, the card's first: others build on its."""
    files = sorted(file.name for file in resources.files(__package__).iterdir() if file.name.endswith(".css"))
    files.sort(key=lambda name: name != "card.css")
    return "\n".join((resources.files(__package__) / name).read_text(encoding="utf-8") for name in files)


@cache
def _version() -> str:
    """Return what changes when a script does, so that no browser mixes two versions."""
    files = sorted(file.name for file in resources.files(__package__).iterdir() if file.name.endswith(".js"))
    texts = [(resources.files(__package__) / name).read_bytes() for name in files]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]

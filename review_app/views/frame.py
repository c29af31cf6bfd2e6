"""What stands around every page: the person's menu, and the page's language for screen readers."""

from __future__ import annotations

import json

import streamlit as st

from review_app.page import Page
from review_app.server.markup import language_tag
from review_app.server.site import Site

# The newlines tell Streamlit that these are no paths. Everything in the menu is set as text.
_STYLE = """
.st-key-af_frame { position: fixed; top: 0; right: 1rem; z-index: 999995; width: auto; height: 3.75rem;
  justify-content: center; }
.st-key-af_frame > div { width: auto; }
.af-menu { position: relative; font-size: .9375rem; line-height: 1.5; color: var(--st-text-color); }
.af-menu > button { font: inherit; color: inherit; background: none; border: 0; cursor: pointer;
  padding: .25rem .5rem; border-radius: 4px; white-space: nowrap; max-width: 20rem; overflow: hidden;
  text-overflow: ellipsis; }
.af-menu > button::after { content: "▾"; margin-inline-start: .375rem; }
.af-menu-role { opacity: .75; }
.af-menu-list { position: absolute; right: 0; top: 100%; min-width: 14rem; padding: .5rem;
  background: var(--st-background-color); border: 1px solid var(--st-border-color); border-radius: 4px;
  box-shadow: 0 4px 16px rgb(0 0 0 / 18%); }
.af-menu-list[hidden] { display: none; }
.af-menu-list form { margin: 0; }
.af-menu-list button { display: block; width: 100%; padding: .375rem .5rem; font: inherit; color: inherit;
  text-align: start; background: none; border: 0; border-radius: 4px; cursor: pointer; }
.af-menu-list button:hover { background: var(--st-secondary-background-color); }
/* text on the accent: Streamlit writes white on it in both themes */
.stApp button[data-testid^="stBaseButton-primary"]:not(:disabled), .stApp [data-testid="stMultiSelect"] [data-tag],
.stApp [data-testid="stMultiSelect"] [data-tag] > * { color: light-dark(#fff, #14181c); }
.stApp [data-testid="stCheckbox"] polyline { stroke: light-dark(#fff, #14181c); }
.af-menu button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: -1px; }
"""

_SCRIPT = """
function made(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export default function ({ parentElement, data }) {
  const given = JSON.parse(data.given);
  document.documentElement.lang = given.tag;
  const root = parentElement.querySelector(".af-menu");
  const send = (action, fields, words, lang) => {
    const hidden = Object.entries(fields).map(([name, value]) => made("input", { type: "hidden", name, value }));
    const form = made("form", { method: "post", action }, ...hidden, made("button", { lang, textContent: words }));
    form.addEventListener("submit", () => {
      const next = form.elements.namedItem("next");
      if (next) next.value = window.location.pathname.split("/").pop();
    });
    return form;
  };
  const list = made(
    "div",
    { className: "af-menu-list" },
    send(given.language_url, { language: given.other, next: "" }, given.words.other_language, given.other),
    send(given.logout_url, { csrf: given.csrf }, given.words.log_out, ""),
    send(given.logout_url, { csrf: given.csrf, everywhere: "yes" }, given.words.log_out_everywhere, ""),
  );
  const role = made("span", { className: "af-menu-role", textContent: given.role });
  const button = made("button", { type: "button" }, given.account, " · ", role);
  button.setAttribute("aria-label", `${given.words.menu}: ${given.account}, ${given.role}`);
  const open = (isOpen) => {
    list.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
  };
  open(false);
  button.onclick = () => open(list.hidden);
  root.replaceChildren(button, list);

  root.onkeydown = (event) => {
    if (event.key !== "Escape" || list.hidden) return;
    open(false);
    button.focus();
  };
  const away = (event) => {
    if (!root.contains(event.target)) open(false);
  };
  keepKeysInMenu();
  document.addEventListener("pointerdown", away);
  document.addEventListener("focusin", away);
  return () => {
    document.removeEventListener("pointerdown", away);
    document.removeEventListener("focusin", away);
  };
}

// A key pressed in the menu is meant for the menu, and no page that takes every key may see it. Whoever listens to the
// window first is asked first, so this listens once, before any page is drawn, and never leaves.
function keepKeysInMenu() {
  if (window.afrelKeepsKeys) return;
  window.afrelKeepsKeys = true;
  const keep = (event) => {
    const menu = event.target instanceof Element && event.target.closest(".af-menu");
    if (!menu) return;
    event.stopImmediatePropagation();
    if (event.type === "keydown") menu.onkeydown(event);
  };
  for (const kind of ["keydown", "keyup", "keypress"]) window.addEventListener(kind, keep, { capture: true });
}
"""


def draw_frame(page: Page, site: Site, csrf: str) -> None:
    """Draw the menu of the person in the corner: language, log out, log out everywhere."""
    menu = st.components.v2.component(
        "afrel_menu", html='<div class="af-menu"></div>\n', css=_STYLE, js=_SCRIPT, isolate_styles=False
    )
    given = {
        "account": page.person.account,
        "role": page.say(f"login.role_{page.person.role.value}"),
        "tag": language_tag(page.language),
        "other": "en" if page.language == "zh" else "zh",
        "csrf": csrf,
        "language_url": site.path("/language"),
        "logout_url": site.path("/logout"),
        "words": {
            name: page.say(f"login.{name}") for name in ("menu", "other_language", "log_out", "log_out_everywhere")
        },
    }
    with st.container(key="af_frame"):
        menu(key="af_menu", data={"given": json.dumps(given, ensure_ascii=False)})

"""What of a page is in English: texts, labels, titles and placeholders with three English words in a row."""

from __future__ import annotations

import re
from collections.abc import Collection

from playwright.sync_api import Page

# Texts of experts and shops stand in their own elements, SQL and commands in code; a grid draws on a canvas.
_READ = """
() => {
  const data = "pre, code, textarea, canvas, script, style, noscript, .af-query, .af-doc, .af-step-text, .af-quote";
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.closest(data)) found.push(node.data);
  }
  for (const name of ["aria-label", "title", "placeholder", "alt"]) {
    for (const one of document.querySelectorAll(`[${name}]`)) {
      if (!one.closest("canvas")) found.push(one.getAttribute(name));
    }
  }
  return [...new Set(found.map((text) => text.trim()).filter(Boolean))];
}
"""
_ENGLISH = re.compile(r"(?<![\w./])[A-Za-z']{2,}(?:[ ,;:]+[A-Za-z']{2,}){2,}")


def english_texts(page: Page, *, besides: Collection[str]) -> list[str]:
    """Return what a person reads or hears on a page in English; `besides` are texts of the shop's own."""
    found: list[str] = page.evaluate(_READ)
    read = []
    for text in found:
        left = text
        for own in besides:
            left = left.replace(own, "")
        if _ENGLISH.search(left):
            read.append(text)
    return read

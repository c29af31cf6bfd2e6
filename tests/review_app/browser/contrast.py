"""How well text can be read: the contrast of every visible text of a page against what it stands on, by WCAG 2.2.

Controls that are switched off are left out, as the guideline does (the grades are while words are typed beside them),
and what is about to go; what a canvas draws has no elements to be asked.
"""

from __future__ import annotations

from playwright.sync_api import Page

# Text below AA: [text, ratio]. Large text (24 px, or 18.66 px bold) needs 3, all other 4.5.
_WEAK = """
(within) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => {
    const part = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const opacity = (element) => {
    let whole = 1;
    for (let at = element; at; at = at.parentElement) whole *= Number(getComputedStyle(at).opacity);
    return whole;
  };
  const weak = [];
  const measure = (text, element, style) => {
    if (!text.trim() || !element.checkVisibility({ visibilityProperty: true })) return;
    if (element.closest(".af-hidden, :disabled, [aria-disabled=true], [data-stale=true]")) return;
    if (element.closest(".af-bottom:has(.af-entry:not([hidden])) .af-grades")) return;
    const below = ground(element);
    const [r, g, b, alpha] = rgba(style.color);
    const colour = over([r, g, b, alpha * opacity(element)], below);
    const [most, least] = [light(colour), light(below)].sort((x, y) => y - x);
    const ratio = (most + 0.05) / (least + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) weak.push(`${text.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  };
  for (const root of document.querySelectorAll(within)) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.parentElement.closest("canvas, style, script")) continue;
      measure(node.data, node.parentElement, getComputedStyle(node.parentElement));
    }
    for (const field of root.querySelectorAll("input, textarea")) {
      measure(field.value, field, getComputedStyle(field));
      if (!field.value) measure(field.placeholder, field, getComputedStyle(field, "::placeholder"));
    }
  }
  return [...new Set(weak)];
}
"""


_MOVED = """
() => Promise.all(document.getAnimations()
  .filter((one) => one.effect.getComputedTiming().iterations !== Infinity)
  .map((one) => one.finished.catch(() => null)))
"""


def weak_texts(page: Page, *, within: str = ".af-page") -> list[str]:
    """Return every visible text of a part of the page that is too weak to read, with its contrast."""
    page.evaluate(_MOVED)  # what slides in is faint meanwhile
    found: list[str] = page.evaluate(_WEAK, within)
    return found

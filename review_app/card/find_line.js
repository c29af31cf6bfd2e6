// Finds a text in the document: Enter goes from place to place.

import { h } from "./dom.js";

export class FindLine {
  constructor({ say, within, entry, tell }) {
    Object.assign(this, { say, within, entry, tell });
    this.sought = "";
    this.place = 0;
  }

  open() {
    this.sought = "";
    const words = this.say("review.find");
    const box = h("input", { type: "search", "aria-label": words, placeholder: words });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      this.next(box.value.trim().toLowerCase());
    });
    this.entry.open([box, h("span", { class: "af-quiet" }, this.say("review.find_hint"))]);
    box.focus();
  }

  next(sought) {
    if (!sought) return;
    const places = this.places(sought);
    this.place = sought === this.sought && places.length ? (this.place + 1) % places.length : 0;
    this.sought = sought;
    if (!places.length) {
      this.forget();
      this.tell("review.not_found", { text: sought });
      return;
    }
    const [node, at] = places[this.place];
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, Math.min(node.data.length, at + sought.length));
    if (window.CSS?.highlights) CSS.highlights.set("af-found", new Highlight(range));
    node.parentElement.scrollIntoView({ block: "center" });
    this.tell("review.found", { n: this.place + 1, of: places.length });
  }

  places(sought) {
    const walker = document.createTreeWalker(this.within, NodeFilter.SHOW_TEXT);
    const found = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const text = node.data.toLowerCase();
      for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + 1)) found.push([node, at]);
    }
    return found;
  }

  forget() {
    if (window.CSS?.highlights) CSS.highlights.delete("af-found");
  }
}

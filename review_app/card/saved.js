// What of a page's work the server has: a dot with words, and what it refused, until that has been read.

import { h } from "./dom.js";

export class SavedMark {
  constructor({ say, journals }) {
    this.say = say;
    this.journals = journals;
    this.element = h("span", { class: "af-saved", role: "status", "aria-live": "polite" });
    this.refused = h("div", { class: "af-message", role: "alert", hidden: true });
  }

  draw() {
    const journals = this.journals();
    const n = journals.reduce((sum, journal) => sum + journal.nUnsaved, 0);
    const trouble = journals.map((journal) => journal.trouble).find(Boolean);
    const kind = n === 0 ? "saved" : trouble ? "unsaved" : "saving";
    let key = n && trouble && trouble.kind === "login" ? "review.unsaved_login" : `review.${kind}`;
    if (journals.some((journal) => journal.memory.size)) key = "review.unsaved_memory";
    const words = this.say(key, { n });
    if (this.element.textContent !== words) this.element.textContent = words;
    this.element.dataset.state = kind;
    this.drawRefused(journals);
  }

  drawRefused(journals) {
    const all = journals.flatMap((journal) => journal.refused.map((one) => ({ ...one, journal })));
    this.refused.hidden = all.length === 0;
    if (!all.length) return;
    const dismiss = (one) => {
      one.journal.dismiss(one.key);
      this.draw();
    };
    const told = all.map((one) =>
      h("li", {}, `${one.refused} `, h("button", { type: "button", onclick: () => dismiss(one) }, this.say("review.dismiss"))),
    );
    this.refused.replaceChildren(h("p", {}, this.say("review.refused", { n: all.length })), h("ul", {}, told));
  }

  // What is not sent yet is safe in this browser, but only in this one.
  get isAtRisk() {
    return this.journals().some((journal) => journal.nUnsaved && (journal.trouble || journal.memory.size));
  }
}

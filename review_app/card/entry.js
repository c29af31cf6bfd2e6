// The line in which a page asks for a word: a text to type, or one of a few choices by key. Esc sends it away.

import { h } from "./dom.js";

export class Entry {
  constructor({ say, onclose }) {
    this.say = say;
    this.onclose = onclose;
    this.choices = null;
    this.element = h("div", { class: "af-entry", hidden: true });
  }

  get isOpen() {
    return !this.element.hidden;
  }

  // Ask for one line of text; `done` gets it, never empty.
  ask(words, done) {
    const box = h("input", { type: "text", "aria-label": words, placeholder: words, maxlength: "2000" });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || !box.value.trim()) return;
      event.preventDefault();
      this.close();
      done(box.value.trim());
    });
    this.open([box, h("span", { class: "af-quiet" }, this.say("review.enter_keeps"))]);
    box.focus();
  }

  // Offer choices: [key, words, act] each; a choice closes the line before it acts.
  choose(words, choices) {
    this.open([
      h("span", { class: "af-label" }, words),
      ...choices.map(([key, called, act]) =>
        h("button", { type: "button", onclick: () => this.take(act) }, h("kbd", {}, key), called),
      ),
    ]);
    this.choices = new Map(choices.map(([key, , act]) => [key, act]));
  }

  take(act) {
    this.close();
    act();
  }

  // A key that is a choice; returns whether it was.
  press(key) {
    const act = this.choices?.get(key);
    if (act) this.take(act);
    return Boolean(act);
  }

  open(children) {
    this.choices = null;
    this.element.replaceChildren(...children);
    this.element.hidden = false;
  }

  close() {
    if (!this.isOpen) return;
    this.choices = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    this.onclose();
  }
}

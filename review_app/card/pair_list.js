// The pairs that wait for a decision, in pages, and the one in hand.

import { h } from "./dom.js";
import { gradeBadge } from "./grades.js";
import { shortened } from "./card_view.js";

const NEAR_END = 8;

export class PairList {
  constructor({ api, say, scale, onmove }) {
    Object.assign(this, { api, say, scale, onmove });
    this.status = "disputed";
    this.pairs = [];
    this.decided = new Set(); // here, and perhaps not stored yet
    this.here = null;
    this.counts = null;
    this.trouble = null;
    this.tabs = h("div", { class: "af-tabs", role: "group", "aria-label": say("adjudicate.which") });
    this.list = h("ul", { class: "af-pairs", role: "listbox", tabindex: "0", "aria-label": say("adjudicate.pairs") });
    this.list.addEventListener("scroll", () => this.maybeMore());
    this.element = h("nav", { class: "af-pairlist", "aria-label": say("adjudicate.pairs") }, this.tabs, this.list);
  }

  async show(status) {
    this.status = status;
    this.pairs = [];
    this.here = null;
    this.lastPlace = null;
    this.isWhole = false;
    this.counts = null;
    this.asked = (this.asked || 0) + 1;
    this.isAsking = false;
    await this.more();
    this.take(this.pairs[0] ?? null);
  }

  async more() {
    if (this.isAsking || this.isWhole) return;
    this.isAsking = true;
    const { asked, status } = this;
    try {
      const told = await this.api.post("adjudicate/pairs", { status, after: this.lastPlace });
      if (asked !== this.asked) return;
      this.lastPlace = told.pairs.at(-1)?.place ?? this.lastPlace;
      this.counts ??= told.counts; // then it counts what is decided here
      this.isWhole = told.pairs.length === 0;
      this.pairs.push(...told.pairs.filter((pair) => !this.decided.has(pair.candidate_id)));
      this.trouble = null;
    } catch (error) {
      this.trouble = error;
    } finally {
      if (asked === this.asked) this.isAsking = false;
    }
    this.draw();
  }

  maybeMore() {
    const { scrollTop, clientHeight, scrollHeight } = this.list;
    if (scrollTop + clientHeight > scrollHeight - 200) this.more();
  }

  // The pair is decided: it goes, the one behind it comes.
  remove(candidateId) {
    this.decided.add(candidateId);
    const at = this.pairs.findIndex((pair) => pair.candidate_id === candidateId);
    if (at < 0) return;
    const wasHere = this.pairs[at] === this.here;
    this.pairs.splice(at, 1);
    if (this.counts) this.counts[this.status] = Math.max(0, this.counts[this.status] - 1);
    if (this.pairs.length < NEAR_END) this.more();
    this.draw();
    if (wasHere) this.take(this.pairs[Math.min(at, this.pairs.length - 1)] ?? null);
  }

  step(by) {
    const at = this.pairs.indexOf(this.here);
    const next = this.pairs[Math.max(0, Math.min(this.pairs.length - 1, at + by))];
    if (next && next !== this.here) this.take(next);
    if (at + by > this.pairs.length - NEAR_END) this.more();
  }

  after(pair) {
    return this.pairs[this.pairs.indexOf(pair) + 1] ?? null;
  }

  take(pair) {
    this.here = pair;
    this.point();
    this.onmove(pair);
  }

  draw() {
    const { say } = this;
    this.tabs.replaceChildren(
      ...["disputed", "discarded", "answered"].map((status) =>
        h(
          "button",
          { type: "button", "aria-pressed": String(status === this.status), onclick: () => this.show(status) },
          say(`adjudicate.tab_${status}`),
          h("span", { class: "af-number" }, this.counts ? this.counts[status].toLocaleString() : "…"),
        ),
      ),
    );
    this.list.replaceChildren(...this.pairs.map((pair) => this.drawn(pair)));
    this.point();
  }

  drawn(pair) {
    return h(
      "li",
      { role: "option", id: `af-pair-${pair.place}`, onclick: () => this.take(pair) },
      h("span", { class: "af-query-text" }, shortened(pair.query, 80)),
      h("span", { class: "af-quiet" }, shortened(pair.title, 90)),
      h("span", { class: "af-said-by" }, pair.answers.map((answer) => this.answer(answer))),
    );
  }

  answer({ act, grade }) {
    return act === "submitted" ? gradeBadge(this.scale, grade) : h("span", { class: "af-row-act" }, this.say(`review.did_${act}`));
  }

  point() {
    this.pairs.forEach((pair, place) => {
      const element = this.list.children[place];
      if (!element) return;
      element.classList.toggle("af-here", pair === this.here);
      element.setAttribute("aria-selected", String(pair === this.here));
      if (pair === this.here) element.scrollIntoView({ block: "nearest" });
    });
    if (this.here) this.list.setAttribute("aria-activedescendant", `af-pair-${this.here.place}`);
    else this.list.removeAttribute("aria-activedescendant");
  }
}

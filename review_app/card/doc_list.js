// The rows of a list and the one in hand: which state each is in, in which order they stand, where the focus is.

import { h } from "./dom.js";
import { gradeBadge } from "./grades.js";
import { drawRow } from "./list_rows.js";

const NEAR_END = 12; // rows from the end at which more are fetched

export class DocList {
  constructor({ say, scale, trail, onmove, onnearend, onopen }) {
    Object.assign(this, { say, scale, trail, onmove, onnearend, onopen });
    this.rows = []; // in the person's own order
    this.shown = []; // as they stand
    this.here = null;
    this.whole = new Set(); // candidates shown with their whole body
    this.isComparing = false;
    this.elements = new Map();
    this.element = h("div", { class: "af-rows", role: "feed", "aria-label": say("list.docs") });
    this.element.addEventListener("scroll", () => this.nearEnd());
    this.element.addEventListener("mousedown", (event) => this.point(event));
  }

  // ---- what each row is

  // The person's answer that stands on a row, as far as this tab knows: its own acts are ahead of the server.
  answerOf(row) {
    const own = row.own && row.own.is_sent_back ? null : row.own;
    const here = this.trail.standing(row.candidate_id);
    if (here && !(row.own?.is_sent_back && isSame(here, row.own))) return here;
    return own && !this.trail.withdrawn.has(`${own.session}:${own.sequence}`) ? own : null;
  }

  stateOf(row) {
    if (this.answerOf(row)) return "own";
    return row.state === "own" ? "open" : row.state;
  }

  latestOn(candidateId) {
    return this.find(candidateId)?.own?.effective_at ?? 0;
  }

  find(candidateId) {
    return this.rows.find((row) => row.candidate_id === candidateId) ?? null;
  }

  get nOwn() {
    return this.rows.filter((row) => this.answerOf(row)).length;
  }

  get open() {
    return this.rows.filter((row) => this.stateOf(row) === "open");
  }

  // Of the rows that were asked for, those not held any more are somebody else's now.
  keepHeld(asked, held) {
    for (const candidateId of asked) {
      const row = this.find(candidateId);
      if (!row || this.answerOf(row)) continue;
      row.state = held.has(candidateId) ? "open" : "taken";
      this.redraw(row);
    }
  }

  // ---- rows

  show(rows, of) {
    this.rows = rows;
    this.of = of;
    this.isComparing = false;
    this.whole.clear();
    this.here = rows.find((row) => this.stateOf(row) === "open") ?? rows[0] ?? null;
    this.draw();
    this.element.scrollTop = 0;
    this.focusHere();
    this.onmove();
  }

  add(rows) {
    const known = new Set(this.rows.map((row) => row.candidate_id));
    this.rows.push(...rows.filter((row) => !known.has(row.candidate_id)));
    this.draw();
  }

  // Take what the server says now; the row in hand and the place on the screen stay.
  update(rows) {
    const wholes = new Map(this.rows.map((row) => [row.candidate_id, row.whole]));
    for (const row of rows) row.whole = wholes.get(row.candidate_id);
    const here = this.here?.candidate_id;
    this.rows = rows;
    this.here = this.find(here) ?? rows[0] ?? null;
    this.keepingPlace(() => this.draw());
  }

  draw() {
    this.shown = this.isComparing ? this.byGrade() : this.rows;
    this.elements.clear();
    const children = [];
    let last = null;
    for (const row of this.shown) {
      const group = this.isComparing ? this.groupOf(row) : null;
      if (group && group.key !== last) children.push(this.heading(group));
      last = group?.key;
      children.push(this.drawn(row));
    }
    this.element.replaceChildren(...children);
    this.nearEnd();
  }

  drawn(row) {
    const element = drawRow(row, this.viewOf(row), { say: this.say, scale: this.scale, onopen: () => this.onopen(row) });
    this.elements.set(row.candidate_id, element);
    return element;
  }

  viewOf(row) {
    const isWhole = this.whole.has(row.candidate_id);
    return {
      number: this.rows.indexOf(row) + 1,
      of: this.of,
      answer: this.answerOf(row),
      state: this.stateOf(row),
      isHere: row === this.here,
      isPutOff: row.is_put_off,
      isWhole,
      body: row.whole ?? row.body,
    };
  }

  redraw(row) {
    if (this.isComparing) {
      this.keepingPlace(() => this.draw());
      return;
    }
    const before = this.elements.get(row.candidate_id);
    if (!before) return;
    const isFocused = before.contains(document.activeElement);
    before.replaceWith(this.drawn(row));
    if (isFocused) this.elements.get(row.candidate_id).focus({ preventScroll: true });
  }

  toggleWhole(row) {
    if (!this.whole.delete(row.candidate_id)) this.whole.add(row.candidate_id);
    this.redraw(row);
    this.elements.get(row.candidate_id)?.scrollIntoView({ block: "nearest" });
  }

  // ---- comparing

  // Sort by own grades and begin at the top, or go back to the own order and stay at the doc in hand.
  compare() {
    this.isComparing = !this.isComparing;
    if (this.isComparing) this.here = this.byGrade()[0] ?? null;
    this.draw();
    this.focusHere();
    if (this.isComparing) this.element.scrollTop = 0;
  }

  // Own grades from high to low, then what has none; within a grade the own order.
  byGrade() {
    return [...this.rows].sort((a, b) => this.groupOf(b).weight - this.groupOf(a).weight);
  }

  groupOf(row) {
    const answer = this.answerOf(row);
    if (answer?.act === "submitted") return { key: `grade ${answer.grade}`, weight: answer.grade, grade: answer.grade };
    const order = ["cannot_tell", "discarded", "open", "settled", "answered", "taken"];
    const key = answer ? answer.act : this.stateOf(row);
    return { key, weight: -1 - order.indexOf(key) };
  }

  heading(group) {
    const n = this.rows.filter((row) => this.groupOf(row).key === group.key).length;
    const called =
      group.grade === undefined ? this.say(`list.group_${group.key}`) : gradeBadge(this.scale, group.grade);
    return h("h2", { class: "af-row-group" }, called, h("span", { class: "af-number" }, this.say("list.n_docs", { n })));
  }

  // ---- the row in hand

  point(event) {
    const element = event.target instanceof Element && event.target.closest("[data-candidate]");
    if (element) this.take(this.find(element.dataset.candidate), { isMouse: true });
  }

  step(by) {
    const at = this.shown.indexOf(this.here);
    const next = this.shown[Math.max(0, Math.min(this.shown.length - 1, at + by))];
    if (next) this.take(next);
  }

  // Go on to the next row below that is open, else to the first; returns whether there is one.
  toNextOpen() {
    const at = this.shown.indexOf(this.here);
    const isOpen = (row) => this.stateOf(row) === "open" && !row.is_put_off && row !== this.here;
    const next = this.shown.slice(at + 1).find(isOpen) ?? this.shown.find(isOpen);
    if (next) this.take(next);
    return Boolean(next);
  }

  goTo(candidateId) {
    const row = this.find(candidateId);
    if (row) this.take(row);
    return Boolean(row);
  }

  take(row, { isMouse = false } = {}) {
    if (!row) return;
    const before = this.here;
    this.here = row;
    if (before && before !== row) this.mark(before);
    this.mark(row);
    if (!isMouse) this.focusHere();
    this.nearEnd();
    if (before !== row) this.onmove();
  }

  mark(row) {
    const element = this.elements.get(row.candidate_id);
    if (!element) return;
    const isHere = row === this.here;
    element.classList.toggle("af-here", isHere);
    element.tabIndex = isHere ? 0 : -1;
  }

  focusHere() {
    const element = this.here && this.elements.get(this.here.candidate_id);
    if (!element) return;
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  }

  scroll(isUp) {
    this.element.scrollBy({ top: (isUp ? -0.85 : 0.85) * this.element.clientHeight });
  }

  nearEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    const isLow = scrollHeight - scrollTop - clientHeight < clientHeight;
    if (isLow || this.shown.indexOf(this.here) > this.shown.length - NEAR_END) this.onnearend();
  }

  // Draw so that the row in hand stays where eyes have it.
  keepingPlace(draw) {
    const topOf = () => (this.here && this.elements.get(this.here.candidate_id)?.offsetTop) ?? 0;
    const before = topOf() - this.element.scrollTop;
    const hadFocus = this.element.contains(document.activeElement);
    draw();
    this.element.scrollTop = topOf() - before;
    if (hadFocus) this.focusHere();
  }
}

function isSame(act, own) {
  return act.session === own.session && act.sequence === own.sequence;
}

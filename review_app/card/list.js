// The list: all docs of one query in one view, graded one under the other. Every key writes to the journal before
// anything is drawn; the network follows.

import { DocList } from "./doc_list.js";
import { DocSource } from "./doc_source.js";
import { h } from "./dom.js";
import { Entry } from "./entry.js";
import { gradeBar } from "./grades.js";
import { GradingPage } from "./grading_page.js";
import { COMMANDS, keyName } from "./keys.js";
import { Guideline, HelpPanel } from "./panels.js";
import { QueryChooser } from "./query_chooser.js";
import { SavedMark } from "./saved.js";

const SHARED = ["accept", "discard", "cannot_tell", "later", "undo", "redo", "comment", "guideline", "blind", "help"];
const OWN = { find: COMMANDS.find, open: "Enter", down: "j", up: "k", compare: "s", next_query: "n" };
const LIST_COMMANDS = { ...Object.fromEntries(SHARED.map((command) => [command, COMMANDS[command]])), ...OWN };
const SHOWN = ["accept", "discard", "cannot_tell", "later", "undo", "open", "compare", "find", "next_query", "help"];

export function mount(root, given) {
  const page = new ListPage(root, given);
  return () => page.close();
}

class ListPage extends GradingPage {
  constructor(root, given) {
    super(given, LIST_COMMANDS);
    this.begin(root, this.build());
    this.drawMode();
    this.source = new DocSource({
      api: this.api,
      docs: this.docs,
      isBlind: () => this.isBlind,
      onchange: () => this.drawCounts(),
      ontrouble: () => this.tell("list.more_unreachable"),
    });
    this.start();
  }

  build() {
    const { say, api } = this;
    const { scale } = this.given;
    this.saved = new SavedMark({ say, journals: () => [this.journal] });
    this.counts = h("span", { class: "af-counts" });
    this.modes = h("span", { class: "af-modes" });
    this.query = h("h1", { class: "af-query" });
    this.status = h("div", { class: "af-status", role: "status", "aria-live": "polite" });
    this.message = h("div", { class: "af-message", hidden: true });
    this.entry = new Entry({ say, onclose: () => this.docs.focusHere() });
    this.docs = new DocList({
      say,
      scale,
      trail: this.trail,
      onmove: () => this.moved(),
      onnearend: () => this.source?.more(),
      onopen: (row) => this.toggleWhole(row),
    });
    this.chooser = new QueryChooser({
      api,
      say,
      // the one that is open keeps the doc in hand
      onchoose: (queryId) => queryId === this.queryId || this.show(queryId),
      onclose: () => this.docs.focusHere(),
    });
    this.guideline = new Guideline({ api, say });
    this.help = new HelpPanel({ say, keymap: this.keymap, named: (one) => this.named(one), about: "list.keys_about" });
    const bar = gradeBar(scale, {
      say,
      ongrade: (grade, event) => this.byPointer(event, () => this.grade(grade)),
      onpoint: (grade) => this.guideline.point(grade),
    });
    const change = h("button", { type: "button", class: "af-change", onclick: () => this.chooser.open() }, say("list.change_query"));
    const columns = ["review.document", "review.suggestion", "list.your_grade"];
    this.card = h(
      "section",
      { class: "af-card", "aria-label": say("list.docs"), hidden: true },
      h("header", { class: "af-queryline" }, h("span", { class: "af-label" }, say("review.query")), this.query, change),
      h("div", { class: "af-row-head", "aria-hidden": "true" }, columns.map((key) => h("span", {}, say(key)))),
      this.docs.element,
    );
    return h(
      "div",
      { class: "af-page af-list", "data-theme": "light", lang: this.given.language },
      h("div", { class: "af-top" }, this.counts, this.modes, this.saved.element),
      this.saved.refused,
      this.message,
      h("div", { class: "af-main" }, this.card, this.chooser.element, this.guideline.element),
      h("div", { class: "af-bottom" }, this.entry.element, bar, this.commandBar(SHOWN), this.status),
      this.help.element,
    );
  }

  named(command) {
    return this.say(`${command in OWN ? "list" : "review"}.key_${command}`);
  }

  // ---- which query

  async start() {
    this.tellMessage("list.loading");
    const held = sessionStorage.getItem(`${this.settings}list`);
    const isShown = held ? await this.show(held, { isQuiet: true }) : false;
    if (!isShown) await this.nextQuery();
    await this.acting.load();
  }

  async nextQuery() {
    try {
      const told = await this.api.post("list/next", { besides: this.queryId ?? "", is_blind: this.isBlind });
      this.clock.set(told.now);
      if (told.list) this.showDocs(told.list);
      else if (this.queryId) this.tell("list.no_more_queries");
      else this.tellMessage("list.nothing_waits");
    } catch (error) {
      this.unreachable(error, "list.unreachable", () => this.nextQuery());
    }
  }

  async show(queryId, { isQuiet = false } = {}) {
    let told;
    try {
      told = await this.source.fetch(queryId);
    } catch (error) {
      if (!isQuiet) this.unreachable(error, "list.unreachable", () => this.show(queryId));
      return false;
    }
    this.clock.set(told.now);
    this.showDocs(told);
    return true;
  }

  showDocs(told) {
    this.queryId = told.query_id;
    this.nDocs = told.n_docs;
    sessionStorage.setItem(`${this.settings}list`, told.query_id);
    this.message.hidden = true;
    this.card.hidden = false;
    this.query.textContent = told.text;
    this.docs.show(told.rows, told.n_docs);
    this.source.begin(told);
    this.drawCounts();
    this.tell(null);
  }

  // ---- what a key does to the doc in hand

  get row() {
    return this.docs.here;
  }

  get commands() {
    return {
      accept: () => this.accept(),
      discard: () => this.discard(),
      cannot_tell: () => this.mayAnswer() && this.answer({ act: "cannot_tell" }),
      later: () => this.later(),
      undo: () => this.undo(),
      redo: () => this.redo(),
      comment: () => this.comment(),
      guideline: () => this.guideline.toggle(this.row?.instruction_id ?? null, this.row?.suggestion?.grade ?? null),
      blind: () => this.toggleBlind(),
      open: () => this.toggleWhole(this.row),
      compare: () => this.compare(),
      find: () => this.chooser.open(),
      next_query: () => this.nextQuery(),
      help: () => this.help.toggle(),
    };
  }

  grade(grade) {
    if (this.mayAnswer()) this.answer({ act: "submitted", grade });
  }

  accept() {
    if (!this.mayAnswer()) return;
    const { suggestion, is_blind } = this.row;
    if (!suggestion) return this.tell(is_blind ? "review.accept_blind" : "review.accept_none");
    this.answer({ act: "submitted", grade: suggestion.grade, steps: suggestion.steps });
  }

  discard() {
    if (!this.mayAnswer()) return;
    this.askWhyDiscard();
  }

  later() {
    if (!this.mayAnswer()) return;
    if (this.docs.stateOf(this.row) === "own") return this.tell("list.may_not_later");
    this.row.is_put_off = true;
    this.answer({ act: "later" });
  }

  comment() {
    const { row } = this;
    if (!row) return;
    this.entry.ask(this.say("review.comment_label"), (text) => {
      this.journal.put({ kind: "comment", candidate_id: row.candidate_id, text });
      this.tell("review.commented");
    });
  }

  mayAnswer() {
    if (!this.row) return false;
    const state = this.docs.stateOf(this.row);
    if (state === "open" || state === "own") return true;
    this.tell(`list.may_not_${state}`);
    return false;
  }

  answer(fields) {
    const { row } = this;
    const wasOpen = this.docs.stateOf(row) === "open";
    this.acting.write(row.candidate_id, { ...fields, seconds: this.seconds() }, this.docs.latestOn(row.candidate_id));
    if (fields.act !== "later") row.is_put_off = false;
    this.tell(null);
    this.docs.redraw(row);
    this.drawCounts();
    // what was graded before is only changed: eyes and focus stay
    const isLast = wasOpen && !this.docs.toNextOpen() && this.docs.open.length === 0;
    if (isLast) this.tell("list.all_done", { key: keyName(this.keymap.keys.compare) });
  }

  seconds() {
    return this.secondsSince(this.movedAt);
  }

  async undo() {
    const act = await this.acting.undo((candidateId) => this.docs.latestOn(candidateId));
    if (act) this.changed(act, "review.undone", "list.undone_elsewhere");
    else this.tell(this.trail.isWhole ? "review.nothing_to_undo" : "review.undo_unreachable");
  }

  redo() {
    const act = this.acting.redo((candidateId) => this.docs.latestOn(candidateId));
    if (act) this.changed(act, "review.redone", "list.redone_elsewhere");
    else this.tell("review.nothing_to_redo");
  }

  // Go to the doc of an act that was undone or given again, when it is on this list.
  changed(act, here, elsewhere) {
    const what = act.act === "submitted" ? this.called(act.grade) : this.say(`review.did_${act.act}`);
    const isHere = this.docs.goTo(act.candidate_id);
    if (isHere) this.docs.redraw(this.row);
    this.drawCounts();
    this.tell(isHere ? here : elsewhere, { what });
  }

  receive(entry, receipt) {
    if (entry.kind !== "act") return;
    if (receipt.refused) {
      this.source.refresh();
      return;
    }
    const row = this.docs.find(entry.candidate_id);
    if (row && receipt.suggestion && !row.suggestion) {
      row.suggestion = receipt.suggestion;
      this.docs.redraw(row);
    }
    if (entry.act === "later" || entry.act === "withdrawn") this.source.holdAgain();
  }

  async toggleWhole(row) {
    if (!row) return;
    if (row.is_cut && row.whole === undefined) {
      try {
        const [card] = (await this.api.post("cards", { candidate_ids: [row.candidate_id] })).cards;
        row.whole = card.body;
      } catch {
        return this.tell("list.body_unreachable");
      }
    }
    this.docs.toggleWhole(row);
  }

  async compare() {
    if (!this.docs.isComparing && !(await this.source.all())) return;
    this.docs.compare();
    this.moved();
    this.tell(this.docs.isComparing ? "list.comparing" : "list.in_own_order", { key: keyName(this.keymap.keys.compare) });
  }

  async toggleBlind() {
    this.isBlind = !this.isBlind;
    localStorage.setItem(`${this.settings}blind`, this.isBlind ? "1" : "0");
    this.drawMode();
    if (this.queryId) await this.source.refresh();
    this.tell(this.isBlind ? "review.blind_on" : "review.blind_off");
  }

  // ---- keys and frame

  press(event) {
    this.source.use();
    super.press(event);
  }

  step(by) {
    this.docs.step(by);
  }

  scroll(isUp) {
    this.docs.scroll(isUp);
  }

  escape() {
    if (this.entry.isOpen) this.entry.close();
    else if (this.chooser.isOpen) this.chooser.close();
    else if (this.guideline.isOpen) this.guideline.toggle();
    this.tell(null);
  }

  moved() {
    this.movedAt = performance.now();
    if (this.row) this.guideline.show(this.row.instruction_id, this.row.suggestion?.grade ?? null);
  }

  drawMode() {
    this.modes.textContent = this.isBlind ? this.say("review.mode_blind") : "";
  }

  drawCounts() {
    const { nOwn, open } = this.docs;
    this.counts.textContent = this.say("list.counts", { mine: nOwn, open: open.length, docs: this.nDocs });
    // the person's other tabs show other docs
    this.journal.hold(open.map((row) => row.candidate_id));
  }

  close() {
    this.end();
    this.source.close();
    this.journal.close();
  }
}

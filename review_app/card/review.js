// The review card: one candidate at a time, everything by keyboard. What a key does is decided and written to the
// journal here, before the next card is painted; the network follows.

import { CardView } from "./card_view.js";
import { h } from "./dom.js";
import { Entry } from "./entry.js";
import { FindLine } from "./find_line.js";
import { gradeBar } from "./grades.js";
import { parsed } from "./journal.js";
import { GradingPage } from "./grading_page.js";
import { keyName } from "./keys.js";
import { Guideline, HelpPanel, RulePanel } from "./panels.js";
import { Queue } from "./queue.js";
import { SavedMark } from "./saved.js";

const HINT_EVERY_MS = 60 * 60 * 1000;
const SHOWN = ["accept", "edit", "wrong_step", "discard", "cannot_tell", "later", "undo", "guideline", "help"];

export function mount(root, given) {
  const page = new ReviewPage(root, given);
  return () => page.close();
}

class ReviewPage extends GradingPage {
  constructor(root, given) {
    super(given);
    this.known = new Map(); // cards seen here, for undo without a network
    this.queue = new Queue({
      api: this.api,
      clock: this.clock,
      journal: this.journal,
      isBlind: () => this.isBlind,
      onchange: () => this.onQueue(),
    });
    this.card = null;
    this.state = {};
    this.commands = this.does();
    this.begin(root, this.build());
    const { signal } = this.stop;
    window.addEventListener("keyup", (event) => this.release(event), { capture: true, signal });
    window.addEventListener("blur", () => this.letGo(), { signal });
    this.queue.fill().then(() => this.acting.load());
  }

  build() {
    const { say, api } = this;
    const { scale } = this.given;
    this.saved = new SavedMark({ say, journals: () => [this.journal] });
    this.counts = h("span", { class: "af-counts" });
    this.modes = h("span", { class: "af-modes" });
    this.status = h("div", { class: "af-status", role: "status", "aria-live": "polite" });
    this.announcer = h("div", { class: "af-hidden", "aria-live": "polite" });
    this.message = h("div", { class: "af-message", hidden: true });
    this.entry = new Entry({ say, onclose: () => this.find.forget() });
    this.rule = new RulePanel({ api, say, scale });
    this.view = new CardView({
      say,
      scale,
      onrule: (ruleId) => this.rule.open(ruleId),
      onstep: (step) => this.markWrong(step),
      onnext: () => this.goOn(),
      onedit: () => this.keepDraft(),
    });
    this.find = new FindLine({ say, within: this.view.doc, entry: this.entry, tell: (...said) => this.tell(...said) });
    this.guideline = new Guideline({ api, say });
    this.help = new HelpPanel({ say, keymap: this.keymap });
    this.bar = gradeBar(scale, {
      say,
      ongrade: (grade, event) => this.byPointer(event, () => this.byMouse(grade)),
      onpoint: (grade) => this.guideline.point(grade),
    });
    this.view.element.hidden = true;
    return h(
      "div",
      { class: "af-page af-review", "data-theme": "light", lang: this.given.language },
      h("div", { class: "af-top" }, this.counts, this.modes, this.saved.element),
      this.saved.refused,
      this.message,
      h("div", { class: "af-main" }, this.view.element, this.rule.element, this.guideline.element),
      h("div", { class: "af-bottom" }, this.entry.element, this.bar, this.commandBar(SHOWN), this.status),
      this.announcer,
      this.help.element,
    );
  }

  named(command) {
    return this.say(`review.key_${command}`);
  }

  // What each key does.
  does() {
    return {
      accept: () => this.accept(),
      edit: () => this.edit(),
      wrong_step: () => this.markWrong((this.state.wrongStep ?? 0) + 1),
      discard: () => this.discard(),
      undo: () => this.undo(),
      redo: () => this.redo(),
      later: () => this.answer({ act: "later" }),
      cannot_tell: () => this.answer({ act: "cannot_tell" }),
      comment: () => this.comment(),
      rules: () => this.holdRules(),
      guideline: () => this.guideline.toggle(this.card?.instruction_id ?? null, this.state.suggestion?.grade ?? null),
      blind: () => this.toggleBlind(),
      find: () => this.card && (this.view.unfold(), this.find.open()),
      next: () => this.goOn(),
      help: () => this.help.toggle(),
    };
  }

  // ---- the card and its answer

  onQueue() {
    if (this.card === null) this.next();
    else this.drawCounts();
    this.saved.draw();
  }

  next() {
    const card = this.queue.take();
    if (card?.sent_back) this.trail.sendBack(card.candidate_id);
    this.show(card);
  }

  show(card, { isBack = false } = {}) {
    this.card = card;
    this.shownAt = performance.now();
    this.entry.close();
    this.rule.close();
    this.state = {
      suggestion: card ? card.suggestion : null,
      labels: this.given.labels,
      steps: card ? this.draftOf(card.candidate_id) : null,
      wrongStep: null,
      isEditing: false,
      isAnswered: false,
      isBack,
      standing: card ? this.trail.standing(card.candidate_id) : null,
    };
    this.state.isAnswered = isBack && this.state.standing !== null;
    this.view.element.hidden = !card;
    this.bar.classList.toggle("af-off", !card);
    if (!card) {
      this.drawEmpty();
      return;
    }
    this.message.hidden = true;
    this.known.set(card.candidate_id, card);
    this.view.show(card, this.state);
    this.drawCounts();
    this.welcome();
    this.guideline.show(card.instruction_id, this.state.suggestion ? this.state.suggestion.grade : null);
    this.announcer.textContent = this.say("review.announce", { query: card.query, title: card.title });
  }

  // Who comes for the first time sees the guideline without knowing its key.
  welcome() {
    const key = `${this.settings}welcomed`;
    if (localStorage.getItem(key) || window.innerWidth < 1000) return;
    localStorage.setItem(key, "1");
    this.guideline.element.hidden = false;
  }

  drawEmpty() {
    const { trouble, isAsking, isEmpty } = this.queue;
    this.counts.textContent = "";
    const ask = () => this.card || this.queue.fill({ byItself: true });
    const n = this.queue.nWaiting;
    if (trouble) {
      this.unreachable(trouble, "review.unreachable", ask);
      return;
    }
    if (isEmpty && n) this.tellMessage(null, this.say("review.all_held", { n: n.toLocaleString() }));
    else this.tellMessage(isEmpty ? "review.nothing_waits" : "review.loading");
    clearTimeout(this.again);
    if (!isAsking && !this.stop.signal.aborted) this.again = setTimeout(ask, isEmpty ? 20000 : 2000);
  }

  seconds() {
    return this.secondsSince(this.shownAt);
  }

  answer(fields) {
    if (!this.card) return;
    const { card } = this;
    this.tell(null);
    this.acting.write(card.candidate_id, { ...fields, seconds: this.seconds() });
    localStorage.removeItem(this.draftKey(card.candidate_id));
    const isFirst = !this.state.isAnswered;
    if (isFirst) {
      this.queue.note(card.candidate_id);
      this.queue.took(this.seconds());
    }
    const staysForReveal = card.is_blind && fields.act === "submitted" && isFirst;
    if (staysForReveal) {
      this.state.isAnswered = true;
      this.state.steps = null;
      this.state.wrongStep = null;
      this.state.standing = this.trail.standing(card.candidate_id);
      this.view.drawSuggestion(this.state);
      this.drawCounts();
      this.tell("review.next_hint", { key: keyName(this.keymap.keys.next) });
    } else {
      this.next();
      this.tell("review.kept", { what: this.actCalled(fields), key: keyName(this.keymap.keys.undo) });
    }
  }

  grade(grade) {
    if (!this.card) return;
    this.keepEdits();
    const fields = { act: "submitted", grade, first_wrong_step: this.state.wrongStep ?? undefined };
    if (this.card.is_blind) fields.is_blind = true;
    if (this.state.steps) fields.steps = [...this.state.steps].filter(([, text]) => text);
    this.answer(fields);
  }

  accept() {
    if (!this.state.suggestion) {
      this.tell(this.card && this.card.is_blind ? "review.accept_blind" : "review.accept_none");
      return;
    }
    this.keepEdits();
    const { grade, steps } = this.state.suggestion;
    const written = this.state.steps ? [...this.state.steps].filter(([, text]) => text) : steps;
    this.answer({ act: "submitted", grade, steps: written, first_wrong_step: this.state.wrongStep ?? undefined });
  }

  markWrong(step) {
    const n = this.state.suggestion ? this.state.suggestion.steps.length : 0;
    if (!n) {
      this.tell("review.no_steps");
      return;
    }
    this.keepEdits();
    this.state.wrongStep = this.state.wrongStep === step || step > n ? null : step;
    this.view.drawSuggestion(this.state);
    this.tell("review.wrong_hint", { key: keyName(this.keymap.keys.wrong_step) });
  }

  edit() {
    if (!this.card) return;
    this.state.isEditing = true;
    this.view.drawSuggestion(this.state);
    const box = this.view.suggestion.querySelector("textarea");
    if (box) box.focus();
    this.tell("review.edit_hint");
  }

  keepEdits() {
    if (!this.state.isEditing) return;
    this.state.steps = this.view.editedSteps(this.state.suggestion);
    this.state.isEditing = false;
  }

  endEdit() {
    this.keepEdits();
    this.view.drawSuggestion(this.state);
    this.root.ownerDocument.activeElement?.blur?.();
    this.tell(this.state.steps ? "review.edited" : "review.not_edited");
  }

  discard() {
    if (!this.card) return;
    this.askWhyDiscard();
  }

  comment() {
    if (!this.card) return;
    const { candidate_id } = this.card;
    this.entry.ask(this.say("review.comment_label"), (text) => {
      this.journal.put({ kind: "comment", candidate_id, text });
      this.tell("review.commented");
    });
  }

  // ---- undo and redo, over all candidates and logins

  async undo() {
    const act = await this.acting.undo(() => 0);
    if (act) await this.bring(act.candidate_id, "review.undone", act);
    else this.tell(this.trail.isWhole ? "review.nothing_to_undo" : "review.undo_unreachable");
  }

  redo() {
    const act = this.acting.redo(() => 0);
    if (!act) {
      this.tell("review.nothing_to_redo");
      return;
    }
    this.queue.note(act.candidate_id);
    this.queue.drop(act.candidate_id);
    if (this.card && this.card.candidate_id === act.candidate_id) this.next();
    this.tell("review.redone", { what: this.actCalled(act) });
  }

  // Show a candidate again, in front of the one that is shown.
  async bring(candidateId, words, act) {
    const said = { what: this.actCalled(act) };
    if (this.card && this.card.candidate_id === candidateId) {
      this.state.standing = this.trail.standing(candidateId);
      this.state.isAnswered = this.state.standing !== null;
      this.view.drawSuggestion(this.state);
      this.tell(words, said);
      return;
    }
    let card = this.known.get(candidateId);
    if (!card) {
      try {
        [card] = (await this.api.post("cards", { candidate_ids: [candidateId] })).cards;
      } catch {
        this.tell("review.undone_elsewhere", said);
        return;
      }
    }
    if (!card) {
      this.tell("review.undone_elsewhere", said);
      return;
    }
    this.queue.drop(candidateId);
    this.queue.putBack(this.card);
    this.show({ ...card, heldSince: performance.now() }, { isBack: true });
    this.tell(words, said);
  }

  actCalled(act) {
    return act.act === "submitted" ? this.called(act.grade) : this.say(`review.did_${act.act}`);
  }

  // ---- what the server says of what was sent

  receive(entry, receipt) {
    if (entry.kind !== "act") return;
    this.queue.acknowledge(entry.candidate_id);
    const isShown = this.card && this.card.candidate_id === entry.candidate_id;
    if (receipt.suggestion && this.known.has(entry.candidate_id)) {
      const card = this.known.get(entry.candidate_id);
      card.suggestion = card.suggestion || receipt.suggestion;
      if (receipt.votes?.length) card.votes = receipt.votes;
      if (isShown && this.state.isAnswered && !this.state.suggestion) {
        this.state.suggestion = receipt.suggestion;
        this.view.drawSuggestion(this.state);
        this.announcer.textContent = this.say("review.announce_suggestion", { grade: this.called(receipt.suggestion.grade) });
      }
    }
  }

  // ---- keys

  pressed(event) {
    if (this.queue.isStale(this.card)) {
      this.queue.restart();
      this.card = null;
      this.tell("review.went_back");
      return;
    }
    if (this.state.isEditing && !/^(\d|Escape)$/.test(event.key)) {
      this.tell("review.edit_hint");
      return;
    }
    const step = event.shiftKey && !/^\d$/.test(event.key) && /^Digit([1-9])$/.exec(event.code);
    if (step) this.markWrong(Number(step[1]));
    else super.pressed(event);
  }

  digit(digit) {
    if (!this.isHolding) {
      super.digit(digit);
      return;
    }
    this.wasUsed = true;
    const vote = this.card?.votes[digit - 1];
    if (vote) this.rule.open(vote.rule_id);
    else this.tell("review.no_rule", { n: digit });
  }

  step(direction) {
    this.view.doc.scrollBy({ top: direction * 60 });
  }

  scroll(isUp) {
    const { doc } = this.view;
    const before = doc.scrollTop;
    doc.scrollBy({ top: (isUp ? -0.85 : 0.85) * doc.clientHeight });
    if (!isUp && doc.scrollTop === before) this.view.unfold();
  }

  escape() {
    if (this.state.isEditing) {
      this.endEdit();
      return;
    }
    if (this.entry.isOpen) this.entry.close();
    else if (this.rule.isOpen) this.rule.close();
    else if (this.guideline.isOpen) this.guideline.toggle();
    this.tell(null);
  }

  // While the key is held digits open rules; tapped alone it shows them all.
  holdRules() {
    this.isHolding = true;
    this.wasUsed = false;
    this.root.classList.add("af-holding");
  }

  release(event) {
    if (event.key !== this.keymap.keys.rules || !this.isHolding) return;
    this.letGo();
    if (!this.wasUsed) this.toggleRules();
  }

  letGo() {
    this.isHolding = false;
    this.root.classList.remove("af-holding");
  }

  toggleRules() {
    if (this.rule.isOpen) this.rule.close();
    else if (this.card?.votes.length) this.rule.list(this.card.votes, (ruleId) => this.rule.open(ruleId));
    else this.tell("review.no_rules");
  }

  // What was reworded or marked after the answer goes with it once more.
  goOn() {
    this.keepEdits();
    const { isAnswered, standing, steps, wrongStep } = this.state;
    if (!isAnswered) this.tell("review.answer_first");
    else if ((steps || wrongStep) && standing?.act === "submitted") this.grade(standing.grade);
    else this.next();
  }

  async toggleBlind() {
    this.isBlind = !this.isBlind;
    localStorage.setItem(`${this.settings}blind`, this.isBlind ? "1" : "0");
    this.known.clear();
    this.card = null;
    await this.queue.restart();
    this.tell(this.isBlind ? "review.blind_on" : "review.blind_off");
  }

  // A mouse does what a key does, and once an hour is told of the key.
  byMouse(grade) {
    this.grade(grade);
    const told = Number(localStorage.getItem(`${this.settings}hinted`) || 0);
    if (Date.now() - told <= HINT_EVERY_MS) return;
    localStorage.setItem(`${this.settings}hinted`, String(Date.now()));
    this.tell("review.key_hint", { key: keyName(String(grade)) });
  }

  // ---- the frame

  drawCounts() {
    const { nWaiting, pace, isPaceKnown } = this.queue;
    if (nWaiting === null) return;
    const minutes = Math.max(1, Math.round((nWaiting * pace) / 60));
    const time =
      minutes < 90
        ? this.say("review.minutes", { n: minutes })
        : this.say("review.hours", { n: Math.round(minutes / 60).toLocaleString() });
    const said = { done: this.nDone.toLocaleString(), waiting: nWaiting.toLocaleString(), time };
    this.counts.textContent = this.say(isPaceKnown ? "review.counts" : "review.counts_at_first", said);
    this.modes.textContent = this.isBlind ? this.say("review.mode_blind") : "";
  }

  // How many candidates have an answer of this page's.
  get nDone() {
    const mine = this.trail.acts.filter((act) => act.session === this.journal.session);
    return [...new Set(mine.map((act) => act.candidate_id))].filter((one) => this.trail.standing(one)).length;
  }

  // ---- drafts: words typed and not yet given with a grade, kept for when the tab is gone

  draftKey(candidateId) {
    return `${this.settings}draft:${candidateId}`;
  }

  draftOf(candidateId) {
    const kept = parsed(localStorage.getItem(this.draftKey(candidateId)));
    return kept ? new Map(Object.entries(kept)) : null;
  }

  keepDraft() {
    const steps = this.view.editedSteps(this.state.suggestion);
    try {
      if (steps) localStorage.setItem(this.draftKey(this.card.candidate_id), JSON.stringify(Object.fromEntries(steps)));
      else localStorage.removeItem(this.draftKey(this.card.candidate_id));
    } catch {
      // without room the words live as long as the tab
    }
  }

  close() {
    this.end();
    this.queue.close();
    this.journal.close();
  }
}

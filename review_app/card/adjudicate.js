// Adjudication: disputed pairs on the left, all about the one in hand on the right, a decision by keyboard. A decision
// is kept in this browser until the server has taken it; what somebody else decided first is told.

import { Api } from "./api.js";
import { Clock } from "./clock.js";
import { DecisionForm } from "./decision.js";
import { filler, h } from "./dom.js";
import { DossierView } from "./dossier_view.js";
import { Entry } from "./entry.js";
import { gradeBar } from "./grades.js";
import { KeyedPage } from "./keyed_page.js";
import { keyName, Keymap } from "./keys.js";
import { Outbox } from "./outbox.js";
import { PairList } from "./pair_list.js";
import { Guideline, HelpPanel, RulePanel } from "./panels.js";
import { SavedMark } from "./saved.js";

const FRESH_MS = 20 * 1000; // a dossier fetched ahead is shown as it is for so long
const COMMANDS = {
  settle: "Enter",
  travels: "t",
  own_reasons: "e",
  reason: "c",
  send_back: "s",
  history: "h",
  rules: "r",
  guideline: "g",
  down: "j",
  up: "k",
  back: "u",
  view: "v",
  agreed: "y",
  help: "?",
};
const SHOWN = ["settle", "travels", "own_reasons", "reason", "send_back", "history", "rules", "back", "view", "agreed", "help"];

export function mount(root, given) {
  const page = new AdjudicatePage(root, given);
  return () => page.close();
}

class AdjudicatePage extends KeyedPage {
  constructor(root, given) {
    super();
    this.given = given;
    this.say = filler(given.texts);
    this.api = new Api(given);
    this.settings = `afrel:${given.workspace}:${given.account}:`;
    this.keymap = new Keymap(`${this.settings}adjudicate-keys`, COMMANDS);
    this.dossiers = new Map(); // fetched ahead: candidate -> {dossier, at}
    this.decided = []; // candidates, the last decided last
    this.outbox = new Outbox({
      api: this.api,
      clock: new Clock(),
      workspace: given.workspace,
      account: given.account,
      onchange: () => this.saved?.draw(),
      onreceipt: (entry, told) => this.receive(entry, told),
    });
    this.begin(root, this.build());
    this.tellMessage("adjudicate.loading");
    this.list("disputed");
  }

  build() {
    const { say, api, given } = this;
    const { scale, labels } = given;
    this.saved = new SavedMark({ say, journals: () => [this.outbox] });
    this.status = h("div", { class: "af-status", role: "status", "aria-live": "polite" });
    this.message = h("div", { class: "af-message", hidden: true });
    this.news = h("div", { class: "af-message af-news", role: "alert", hidden: true });
    this.entry = new Entry({ say, onclose: () => this.pairs.list.focus({ preventScroll: true }) });
    this.pairs = new PairList({ api, say, scale, onmove: (pair) => this.open(pair?.candidate_id ?? null) });
    this.rule = new RulePanel({ api, say, scale });
    this.guideline = new Guideline({ api, say });
    this.view = new DossierView({
      api,
      say,
      scale,
      labels,
      language: given.language,
      account: given.account,
      onrule: (ruleId) => this.rule.open(ruleId),
    });
    this.form = new DecisionForm({ say, scale, labels, onchange: () => {} });
    this.help = new HelpPanel({ say, keymap: this.keymap, named: (one) => this.named(one), about: "adjudicate.keys_about" });
    this.bar = gradeBar(scale, {
      say,
      ongrade: (grade) => this.grade(grade),
      onpoint: (grade) => this.guideline.point(grade),
    });
    return h(
      "div",
      { class: "af-page af-adjudicate", "data-theme": "light", lang: given.language },
      h("div", { class: "af-top" }, h("h1", {}, say("adjudicate.title")), this.saved.element),
      this.saved.refused,
      this.news,
      h("div", { class: "af-main" }, this.pairs.element, this.message, this.view.element, this.rule.element, this.guideline.element),
      h("div", { class: "af-bottom" }, this.form.element, this.entry.element, this.bar, this.commandBar(SHOWN), this.status),
      this.help.element,
    );
  }

  // ---- the pair in hand

  async list(status) {
    await this.pairs.show(status);
    this.pairs.list.focus({ preventScroll: true });
  }

  async open(candidateId) {
    this.entry.close();
    this.rule.close();
    this.candidateId = candidateId;
    if (candidateId === null) return this.empty();
    const held = this.dossiers.get(candidateId);
    const isFresh = held && performance.now() - held.at < FRESH_MS;
    if (held) this.show(held.dossier);
    if (!isFresh) {
      try {
        const dossier = await this.fetch(candidateId);
        if (this.candidateId !== candidateId) return;
        this.show(dossier);
      } catch (error) {
        if (this.candidateId === candidateId && !held) this.unreachable(error, "adjudicate.unreachable", () => this.open(candidateId));
        return;
      }
    }
    const next = this.pairs.after(this.pairs.here);
    if (next && !this.dossiers.has(next.candidate_id)) this.fetch(next.candidate_id).catch(() => {});
  }

  async fetch(candidateId) {
    const dossier = await this.api.post("adjudicate/pair", { candidate_id: candidateId });
    this.dossiers.set(candidateId, { dossier, at: performance.now() });
    return dossier;
  }

  show(dossier) {
    clearTimeout(this.again);
    this.message.hidden = true;
    this.view.element.hidden = false;
    this.bar.classList.remove("af-off");
    this.view.show(dossier);
    this.form.show(dossier);
    this.guideline.show(dossier.card.instruction_id, this.form.draft.grade);
  }

  empty() {
    const { trouble, status } = this.pairs;
    if (trouble) return this.unreachable(trouble, "adjudicate.unreachable", () => this.list(status));
    this.form.show(null);
    this.tellMessage(`adjudicate.none_${status}`);
  }

  // ---- deciding

  get isHere() {
    return this.candidateId !== null && this.form.candidateId === this.candidateId;
  }

  grade(grade) {
    if (!this.isHere) return;
    this.form.grade(grade);
    this.guideline.point(grade);
    this.tell("adjudicate.settle_hint", { settle: keyName(this.keymap.keys.settle), reason: keyName(this.keymap.keys.reason) });
  }

  settle() {
    if (!this.isHere) return;
    this.form.keep();
    if (this.form.draft.grade === null) return this.tell("adjudicate.grade_first");
    this.send("settle");
  }

  sendBack() {
    if (!this.isHere) return;
    this.entry.ask(this.say("adjudicate.why_again"), (reason) => {
      this.form.change({ reason });
      this.send("send_back");
    });
  }

  // The decision goes on its way and the next pair comes; should somebody have been first, that is told when it is known.
  send(act) {
    const { candidateId } = this;
    const { card } = this.form.dossier;
    const { grade } = this.form.draft;
    this.outbox.put({ kind: "decision", about: { query: card.query, title: card.title }, ...this.form.sent(act) });
    this.decided = [...this.decided.filter((one) => one !== candidateId), candidateId];
    this.dossiers.delete(candidateId);
    const told = act === "settle" ? ["adjudicate.told_settled", { grade: this.called(grade) }] : ["adjudicate.told_sent_back", {}];
    const isListed = this.pairs.pairs.some((pair) => pair.candidate_id === candidateId);
    this.pairs.remove(candidateId);
    if (!isListed) this.pairs.take(this.pairs.here ?? this.pairs.pairs[0] ?? null);
    this.tell(...told);
  }

  receive(entry, told) {
    const { candidate_id: candidateId } = entry;
    this.dossiers.delete(candidateId);
    if (told.saved) {
      this.form.drop(candidateId);
      return;
    }
    if (told.news.length) this.drawNews(entry, told.news);
  }

  drawNews(entry, news) {
    const { say } = this;
    const line = (one) => {
      const values = { account: one.account ?? "", grade: one.grade === undefined || one.grade === null ? "" : this.called(one.grade) };
      const key = one.kind === "settled" && !one.account ? "adjudicate.news_agreed" : `adjudicate.news_${one.kind}`;
      const isWordless = one.kind === "answered" && one.act !== "submitted";
      const words = isWordless
        ? say("adjudicate.news_said", { account: one.account, what: say(`review.did_${one.act}`) })
        : say(key, values);
      return h("li", {}, words, one.reason ? h("span", { class: "af-comment-text" }, one.reason) : "");
    };
    const look = () => {
      this.closeNews();
      this.goBack(entry.candidate_id);
    };
    this.tell(null);
    this.news.hidden = false;
    this.news.replaceChildren(
      h("p", {}, h("b", {}, entry.about.query), " · ", entry.about.title),
      h("ul", {}, news.map(line)),
      h("p", {}, say("adjudicate.not_taken")),
      h("button", { type: "button", onclick: look }, h("kbd", {}, keyName(this.keymap.keys.back)), say("adjudicate.look_again")),
      h("button", { type: "button", onclick: () => this.closeNews() }, say("review.dismiss")),
    );
    this.decided = [...this.decided.filter((one) => one !== entry.candidate_id), entry.candidate_id];
  }

  closeNews() {
    this.news.hidden = true;
    this.news.replaceChildren();
  }

  // Show the pair that was decided last; what was being decided of it is still there.
  goBack(candidateId = this.decided.at(-1)) {
    if (!candidateId) return this.tell("adjudicate.nothing_decided");
    this.closeNews();
    this.decided = this.decided.filter((one) => one !== candidateId);
    this.open(candidateId);
    this.tell("adjudicate.went_back");
  }

  async settleAgreed() {
    let n = 0;
    let after = null;
    try {
      do {
        const told = await this.api.post("adjudicate/agreed", { after }, { timeout: 60000 });
        n += told.n;
        after = told.next;
        this.tell("adjudicate.settling_agreed", { n: n.toLocaleString() });
      } while (after !== null && !this.stop.signal.aborted);
    } catch {
      return this.tell("adjudicate.agreed_unreachable", { n: n.toLocaleString() });
    }
    await this.list(this.pairs.status);
    this.tell(n ? "adjudicate.settled_agreed" : "adjudicate.nothing_agreed", { n: n.toLocaleString() });
  }

  // All rules that vote here; Tab goes from one to the next, Enter opens it.
  toggleRules() {
    const votes = this.form.dossier?.votes ?? [];
    if (this.rule.isOpen) {
      this.rule.close();
      this.pairs.list.focus({ preventScroll: true });
    } else if (votes.length) {
      this.rule.list(votes, (ruleId) => this.rule.open(ruleId));
      this.rule.element.querySelector("button")?.focus();
    } else {
      this.tell("review.no_rules");
    }
  }

  // ---- keys and frame

  get commands() {
    return {
      settle: () => this.settle(),
      travels: () => (this.form.draft.grade === null ? this.tell("adjudicate.grade_first") : this.form.nextRationale()),
      own_reasons: () => this.isHere && this.form.write(),
      reason: () => this.isHere && this.entry.ask(this.say("adjudicate.reason"), (reason) => this.form.change({ reason })),
      send_back: () => this.sendBack(),
      history: () => this.isHere && this.view.togglePast(),
      rules: () => this.toggleRules(),
      guideline: () => this.guideline.toggle(this.form.dossier?.card.instruction_id ?? null, this.form.draft.grade),
      back: () => this.goBack(),
      view: () => this.nextView(),
      agreed: () => this.settleAgreed(),
      help: () => this.help.toggle(),
    };
  }

  named(command) {
    return this.say(`adjudicate.key_${command}`);
  }

  step(by) {
    this.pairs.step(by);
  }

  nextView() {
    const views = ["disputed", "discarded", "answered"];
    this.list(views[(views.indexOf(this.pairs.status) + 1) % views.length]);
  }

  escape() {
    if (this.entry.isOpen) this.entry.close();
    else if (this.form.isWriting) {
      this.form.keep();
      this.pairs.list.focus({ preventScroll: true });
    } else if (this.rule.isOpen) this.rule.close();
    else if (this.guideline.isOpen) this.guideline.toggle();
    else if (this.form.draft.grade !== null) this.form.drop();
    this.tell(null);
  }

  scroll(isUp) {
    const { doc } = this.view.card;
    const before = doc.scrollTop;
    doc.scrollBy({ top: (isUp ? -0.85 : 0.85) * doc.clientHeight });
    if (!isUp && doc.scrollTop === before) this.view.card.unfold();
  }

  // Words in place of a pair.
  tellMessage(key, words) {
    this.view.element.hidden = true;
    this.bar.classList.add("af-off");
    super.tellMessage(key, words);
  }

  close() {
    this.end();
    this.outbox.close();
  }
}

// Draws everything about one disputed pair: the document, who said what and why, the suggestion, the rules, what was
// undone and decided before. Nothing here decides anything.

import { CardView } from "./card_view.js";
import { h } from "./dom.js";
import { gradeBadge } from "./grades.js";

const MOST_COUNTED = 8; // rules whose counts are fetched

export class DossierView {
  constructor({ api, say, scale, labels, language, account, onrule }) {
    Object.assign(this, { api, say, scale, labels, language, account });
    this.counts = new Map(); // of rules, once they are fetched
    this.card = new CardView({ say, scale, onrule, onstep: () => {} });
    this.said = h("section", { class: "af-answers", "aria-label": say("adjudicate.answers") });
    this.past = h("section", { class: "af-past", "aria-label": say("adjudicate.history") });
    this.element = this.card.element;
    this.side = h("div", { class: "af-side", tabindex: "0", "aria-label": say("adjudicate.answers") }, this.said, this.card.suggestion, this.past);
    this.element.querySelector(".af-columns").append(this.side);
    this.isPastShown = false;
    this.times = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  }

  show(dossier) {
    this.dossier = dossier;
    const card = { ...dossier.card, votes: dossier.votes, why: [], is_blind: false };
    const state = { suggestion: card.suggestion, labels: this.labels, steps: null, wrongStep: null, standing: null };
    this.card.show(card, state);
    this.card.why.textContent = this.why();
    this.drawSaid();
    this.drawPast();
    this.side.scrollTop = 0;
    this.countRules();
  }

  why() {
    const { status, is_own } = this.dossier;
    const told = [this.say(`adjudicate.is_${status.status}`)];
    if (status.split === "test") told.push(this.say("adjudicate.is_test"));
    if (is_own) told.push(this.say("adjudicate.is_own"));
    return told.join(" · ");
  }

  // ---- what people say now

  drawSaid() {
    const { answers, judgments, send_backs: sendBacks, comments } = this.dossier;
    const current = judgments.find((judgment) => judgment.is_current);
    this.said.replaceChildren(
      ...(current ? [this.decided(current)] : []),
      ...sendBacks.map((sent) => this.sentBack(sent)),
      ...answers.map((answer) => this.answer(answer)),
      ...(answers.length ? [] : [h("p", { class: "af-empty" }, this.say("adjudicate.no_answers"))]),
      ...comments.map((said) => this.comment(said)),
    );
  }

  answer(answer) {
    const { say } = this;
    return h(
      "article",
      { class: "af-answer" },
      h(
        "p",
        { class: "af-answer-head" },
        this.who(answer.account),
        answer.act === "submitted" ? gradeBadge(this.scale, answer.grade) : h("span", { class: "af-row-act" }, say(`review.did_${answer.act}`)),
        h("span", { class: "af-quiet" }, this.when(answer.effective_at)),
        answer.seconds === null || answer.seconds < 1 ? "" : h("span", { class: "af-quiet" }, say("adjudicate.took", { n: Math.round(answer.seconds) })),
        answer.is_replayed ? h("span", { class: "af-quiet" }, say("adjudicate.recorded")) : "",
      ),
      answer.reason ? h("p", {}, this.reason(answer)) : "",
      answer.first_wrong_step === null ? "" : h("p", { class: "af-said" }, say("adjudicate.wrong_step", { n: answer.first_wrong_step })),
      answer.steps ? this.steps(answer.steps) : "",
    );
  }

  // A reason chosen by key is stored as its word.
  reason({ act, reason }) {
    const isChosen = act === "discarded" && ["broken", "duplicate", "unreadable", "improper"].includes(reason);
    return isChosen ? this.say(`review.reason_${reason}`) : reason;
  }

  steps(steps) {
    if (!steps.length) return h("p", { class: "af-quiet" }, this.say("adjudicate.struck_out"));
    const step = ([label, text]) =>
      h("li", {}, h("span", { class: "af-label" }, this.say(`review.step_${label}`)), h("span", {}, text));
    return h("ol", { class: "af-steps af-written" }, steps.map(step));
  }

  comment(said) {
    return h(
      "p",
      { class: "af-comment" },
      this.who(said.account),
      h("span", { class: "af-quiet" }, this.when(said.created_at)),
      h("span", { class: "af-comment-text" }, said.text),
    );
  }

  decided(judgment) {
    const { say } = this;
    return h(
      "div",
      { class: "af-decided" },
      h(
        "p",
        { class: "af-answer-head" },
        h("span", { class: "af-label" }, say("adjudicate.settled_now")),
        gradeBadge(this.scale, judgment.grade),
        judgment.account ? this.who(judgment.account) : h("span", { class: "af-quiet" }, say(`adjudicate.by_${origin(judgment)}`)),
        h("span", { class: "af-quiet" }, this.when(judgment.created_at)),
      ),
      judgment.reason ? h("p", {}, judgment.reason) : "",
    );
  }

  sentBack(sent) {
    return h(
      "p",
      { class: "af-comment" },
      this.who(sent.account),
      h("span", { class: "af-quiet" }, this.when(sent.created_at)),
      h("span", { class: "af-comment-text" }, this.say("adjudicate.sent_back", { reason: sent.reason })),
    );
  }

  who(account) {
    return h("b", {}, account === this.account ? this.say("adjudicate.you", { account }) : account);
  }

  when(ms) {
    return this.times.format(new Date(ms));
  }

  // ---- what was said and decided before

  togglePast() {
    this.isPastShown = !this.isPastShown;
    this.drawPast();
    if (this.isPastShown) this.past.scrollIntoView({ block: "nearest" });
  }

  drawPast() {
    const { say } = this;
    const events = this.events();
    const n = events.filter((event) => event.isGone).length;
    this.past.replaceChildren(
      h(
        "button",
        { type: "button", class: "af-row-more", "aria-expanded": String(this.isPastShown), onclick: () => this.togglePast() },
        say("adjudicate.history_of", { n: events.length, gone: n }),
      ),
      this.isPastShown ? h("ol", { class: "af-events" }, events.map((event) => this.event(event))) : "",
    );
  }

  // Every act and decision, the first first.
  events() {
    const { history, judgments, send_backs: sendBacks } = this.dossier;
    const acts = history
      .filter((act) => act.act !== "withdrawn")
      .map((act) => ({ ...act, at: act.effective_at, isGone: !act.is_standing && act.act !== "later" }));
    const decisions = judgments.map((one) => ({ ...one, at: one.created_at, act: "settled", isGone: !one.is_current }));
    const sent = sendBacks.map((one) => ({ ...one, at: one.created_at, act: "sent_back", isGone: false }));
    return [...acts, ...decisions, ...sent].sort((a, b) => a.at - b.at);
  }

  event(event) {
    const { say } = this;
    const what =
      event.act === "submitted" || event.act === "settled"
        ? gradeBadge(this.scale, event.grade)
        : say(event.act === "sent_back" ? "adjudicate.did_send_back" : `review.did_${event.act}`);
    const became = event.is_withdrawn ? "undone" : event.is_sent_back ? "sent_back" : event.isGone ? "replaced" : null;
    return h(
      "li",
      { class: event.isGone ? "af-gone" : "" },
      h("span", { class: "af-quiet" }, this.when(event.at)),
      " ",
      event.account ? this.who(event.account) : h("span", {}, say(`adjudicate.by_${origin(event)}`)),
      " ",
      event.act === "settled" ? h("span", { class: "af-label" }, say("adjudicate.settled_as")) : "",
      what,
      became ? h("span", { class: "af-said" }, say(`adjudicate.became_${became}`)) : "",
      event.reason ? h("span", { class: "af-comment-text" }, this.reason(event)) : "",
    );
  }

  // ---- what the voting rules were worth

  async countRules() {
    const { dossier } = this;
    this.drawCounts();
    for (const vote of dossier.votes.slice(0, MOST_COUNTED)) {
      if (this.counts.has(vote.rule_id)) continue;
      try {
        this.counts.set(vote.rule_id, await this.api.post("rule", { rule_id: vote.rule_id }));
      } catch {
        return; // shown without counts; the next pair asks again
      }
      if (dossier !== this.dossier) return;
      this.drawCounts();
    }
  }

  drawCounts() {
    const shown = this.card.suggestion.querySelectorAll(".af-vote-list li");
    this.dossier.votes.slice(0, shown.length).forEach((vote, place) => {
      const rule = this.counts.get(vote.rule_id);
      if (!rule || shown[place].querySelector(".af-rule-counts")) return;
      const words = rule.n_settled
        ? this.say("adjudicate.rule_right", { right: rule.n_agreeing, settled: rule.n_settled })
        : this.say("adjudicate.rule_unsettled", { votes: rule.n_votes });
      shown[place].append(h("span", { class: "af-rule-counts af-quiet" }, words));
    });
  }
}

function origin({ origin: made }) {
  return made.startsWith("import") ? "import" : made;
}

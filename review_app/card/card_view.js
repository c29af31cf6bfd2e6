// Draws one candidate: query, document, suggestion. Nothing here decides anything.

import { h } from "./dom.js";
import { wordDiff } from "./diff.js";
import { gradeBadge } from "./grades.js";
import { excerpts, marked, places } from "./marks.js";

const MOST_VOTES = 8;
const LONG = 1200; // characters of a body that are shown whole

export class CardView {
  constructor({ say, scale, onrule, onstep, onnext, onedit }) {
    this.say = say;
    this.scale = scale;
    this.onrule = onrule;
    this.onstep = onstep;
    this.onnext = onnext;
    this.onedit = onedit;
    this.query = h("h1", { class: "af-query" });
    this.why = h("span", { class: "af-why" });
    this.doc = h("article", { class: "af-doc", tabindex: "0", "aria-label": say("review.document") });
    this.suggestion = h("section", { class: "af-suggestion", "aria-label": say("review.suggestion") });
    this.element = h(
      "div",
      { class: "af-card" },
      h("header", { class: "af-queryline" }, h("span", { class: "af-label" }, say("review.query")), this.query, this.why),
      h("div", { class: "af-columns" }, this.doc, this.suggestion),
    );
  }

  show(card, state) {
    this.card = card;
    this.isUnfolded = false;
    this.query.replaceChildren(markedQuery(card));
    this.why.textContent = this.whyHere(card, state);
    this.drawDoc();
    this.drawSuggestion(state);
    this.doc.scrollTop = 0;
  }

  whyHere(card, state) {
    const said = [];
    if (state.isBack) said.push(this.say("review.why_back"));
    if (card.sent_back) said.push(this.say("review.sent_back", { reason: card.sent_back }));
    for (const cause of card.why) said.push(this.say(`review.why_${cause}`));
    if (!said.length) said.push(this.say(card.is_blind ? "review.why_blind" : "review.why_first"));
    return said.join(" · ");
  }

  drawDoc() {
    const { card } = this;
    const inTitle = places(card.title, card.terms);
    const inBody = places(card.body, card.terms);
    const isLong = card.body.length > LONG;
    const parts = isLong && !this.isUnfolded ? excerpts(card.body, inBody) : [[0, card.body.length]];
    const body = h("div", { class: "af-body" });
    parts.forEach(([start, end], number) => {
      if (number || start) body.append(h("span", { class: "af-gap" }, " … "));
      body.append(marked(card.body, card.terms, { start, end, found: inBody }));
    });
    this.doc.replaceChildren(
      h("h2", {}, marked(card.title, card.terms, { found: inTitle })),
      this.constraints(),
      card.fields.length ? h("dl", { class: "af-fields" }, card.fields.map((field) => this.field(field))) : "",
      body,
      isLong && !this.isUnfolded
        ? h(
            "button",
            { type: "button", class: "af-quiet", onclick: () => this.unfold() },
            this.say("review.show_all", { n: card.body.length.toLocaleString() }),
          )
        : "",
    );
  }

  unfold() {
    if (this.isUnfolded) return;
    this.isUnfolded = true;
    this.drawDoc();
  }

  field([name, value]) {
    const { card } = this;
    const kind = isUnclear(card, value)
      ? ""
      : card.conflicting_fields.includes(name)
        ? "conflict"
        : card.matched_fields.includes(name)
          ? "match"
          : "";
    return h(
      "div",
      { class: `af-field ${kind ? `af-${kind}` : ""}` },
      h("dt", {}, name),
      h(
        "dd",
        {},
        marked(value, card.terms),
        kind ? [" ", h("span", { class: "af-said" }, this.say(`review.field_${kind}`))] : "",
      ),
    );
  }

  // What the query asks for and the document lacks or contradicts, named once.
  constraints() {
    const { card, say } = this;
    const told = [];
    if (card.missing.length) told.push(["af-missing", say("review.missing", { terms: card.missing.join(", ") })]);
    if (card.has_number_conflict) told.push(["af-conflict", say("review.number_conflict")]);
    if (card.has_refused) told.push(["af-conflict", say("review.refused_present")]);
    return told.length
      ? h("ul", { class: "af-constraints" }, told.map(([kind, text]) => h("li", { class: kind }, text)))
      : "";
  }

  // state: {suggestion, steps (edited or null), wrongStep, isEditing, standing, isAnswered}
  drawSuggestion(state) {
    const { say } = this;
    const suggestion = state.suggestion;
    if (!suggestion && !state.isEditing) {
      this.suggestion.replaceChildren(
        h("p", { class: "af-empty" }, say(state.isAnswered ? "review.suggestion_later" : "review.suggestion_blind")),
        this.standing(state),
        this.nextButton(state),
      );
      return;
    }
    const steps = new Map(suggestion ? suggestion.steps : []);
    const head = suggestion
      ? h(
          "p",
          { class: "af-suggested" },
          h("span", { class: "af-label" }, say("review.suggestion")),
          gradeBadge(this.scale, suggestion.grade),
          suggestion.confidence === null || suggestion.confidence === undefined
            ? ""
            : h("span", { class: "af-number" }, say("review.confidence", { value: suggestion.confidence.toFixed(2) })),
        )
      : "";
    const labels = [...steps.keys()];
    const shown = state.isEditing ? state.labels : labels;
    const list = h(
      "ol",
      { class: "af-steps" },
      shown.map((label) => this.step(label, labels.indexOf(label), steps.get(label) || "", state)),
    );
    this.suggestion.replaceChildren(head, list, this.standing(state), this.nextButton(state), this.votes());
  }

  // `place` is the step's among the suggestion's, -1 for one that it lacks.
  step(label, place, text, state) {
    const { say } = this;
    const isWrong = place >= 0 && state.wrongStep === place + 1;
    const edited = state.steps ? (state.steps.get(label) ?? text) : text;
    const name = h(
      "button",
      {
        type: "button",
        class: "af-step-name",
        "aria-pressed": String(isWrong),
        // Tab goes from text to text
        tabindex: state.isEditing ? "-1" : "0",
        disabled: place < 0,
        title: place < 0 ? null : say("review.mark_wrong", { step: place + 1 }),
        onclick: () => this.onstep(place + 1),
      },
      place < 0 ? say(`review.step_${label}`) : `${place + 1} ${say(`review.step_${label}`)}`,
    );
    const said = isWrong ? h("span", { class: "af-said af-wrong" }, say("review.first_wrong")) : "";
    if (state.isEditing) {
      const named = say(`review.step_${label}`);
      const box = h("textarea", { rows: "2", maxlength: "2000", "data-step": label, "aria-label": named });
      box.value = edited;
      const shown = h("div", { class: "af-diff" });
      const draw = () => shown.replaceChildren(...(box.value === text ? [] : diffed(text, box.value)));
      box.addEventListener("input", () => {
        draw();
        this.onedit();
      });
      draw();
      return h("li", { class: isWrong ? "af-is-wrong" : "" }, name, box, shown, said);
    }
    const body = edited === text ? this.cited(text) : diffed(text, edited);
    return h("li", { class: isWrong ? "af-is-wrong" : "" }, name, h("span", { class: "af-step-text" }, body), said);
  }

  // A step with its rule citations as buttons that open the rule.
  cited(text) {
    return text.split(/(\[r_[0-9a-f]{4,64}\])/).map((part) => {
      const cited = /^\[(r_[0-9a-f]+)\]$/.exec(part);
      if (!cited) return part;
      const vote = this.card.votes.find((one) => one.rule_id === cited[1]);
      const called = vote ? shortened(vote.text, 60) : cited[1].slice(0, 8);
      return h("button", { type: "button", class: "af-rule", onclick: () => this.onrule(cited[1]) }, called);
    });
  }

  // For a mouse or a finger: after a blind answer the card stays until its person goes on.
  nextButton(state) {
    if (!state.isAnswered) return "";
    return h("button", { type: "button", class: "af-next", onclick: () => this.onnext() }, this.say("review.next"));
  }

  standing(state) {
    const { standing } = state;
    if (!standing) return "";
    const said =
      standing.act === "submitted" ? gradeBadge(this.scale, standing.grade) : this.say(`review.did_${standing.act}`);
    return h("p", { class: "af-standing" }, h("span", { class: "af-label" }, this.say("review.your_answer")), said);
  }

  votes() {
    const { votes } = this.card;
    if (!votes.length) return "";
    const counts = new Map();
    for (const vote of votes) counts.set(vote.grade, (counts.get(vote.grade) || 0) + 1);
    return h(
      "div",
      { class: "af-votes" },
      h("span", { class: "af-label" }, this.say("review.votes", { n: votes.length })),
      [...counts].sort((a, b) => a[0] - b[0]).map(([grade, n]) => [gradeBadge(this.scale, grade), ` ${n} `]),
      h(
        "ol",
        { class: "af-vote-list" },
        votes.slice(0, MOST_VOTES).map((vote, place) =>
          h(
            "li",
            {},
            h("kbd", { class: "af-hold" }, String(place + 1)),
            gradeBadge(this.scale, vote.grade),
            " ",
            h(
              "button",
              { type: "button", class: "af-rule", onclick: () => this.onrule(vote.rule_id) },
              shortened(vote.text, 110),
            ),
            vote.status === "approved" ? "" : h("span", { class: "af-said" }, this.say("review.rule_proposed")),
          ),
        ),
      ),
      votes.length > MOST_VOTES
        ? h("p", { class: "af-more" }, this.say("review.more_votes", { n: votes.length - MOST_VOTES }))
        : "",
    );
  }

  // The edited steps as they stand in the boxes; null when none differs from the suggestion.
  editedSteps(suggestion) {
    const before = new Map(suggestion ? suggestion.steps : []);
    const steps = new Map();
    for (const box of this.suggestion.querySelectorAll("textarea")) steps.set(box.dataset.step, box.value.trim());
    const isSame = [...steps].every(([label, text]) => (before.get(label) || "") === text);
    return isSame ? null : steps;
  }
}

// Words of refusal and of limits turn what a field means around: `nut free` and nuts, `max 1 l` and 0.5 l. The machine
// compares words, so there it says nothing.
const REFUSES = /\b(no|not|non|without|free|except|minus)\b|不要|不含|无|免|除/i;
const LIMITS = /\b(under|below|over|above|max|min|up to|at most|at least|less|more|than)\b|以下|以上|以内|不超过|[<>≤≥]/i;

function isUnclear(card, value) {
  return REFUSES.test(card.query) || (/\d/.test(value) && LIMITS.test(card.query));
}

function markedQuery(card) {
  const missing = places(card.query, card.missing);
  const fragment = document.createDocumentFragment();
  let at = 0;
  for (const [from, to] of missing) {
    fragment.append(card.query.slice(at, from), h("span", { class: "af-missing-word" }, card.query.slice(from, to)));
    at = to;
  }
  fragment.append(card.query.slice(at));
  return fragment;
}

function diffed(before, after) {
  return wordDiff(before, after).map(([kind, text]) =>
    kind === "same" ? text : h(kind === "gone" ? "del" : "ins", {}, text),
  );
}

export function shortened(text, n) {
  return text.length <= n ? text : `${text.slice(0, n - 1)}…`;
}

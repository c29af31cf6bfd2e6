// A decision that is being made of one pair: the grade, which rationale goes with it, why. It is kept with its pair
// until it is sent, so that looking at another pair loses nothing.

import { h } from "./dom.js";
import { gradeBadge } from "./grades.js";

export class DecisionForm {
  constructor({ say, scale, labels, onchange }) {
    Object.assign(this, { say, scale, labels, onchange });
    this.drafts = new Map(); // by candidate
    this.element = h("div", { class: "af-decision", "aria-label": say("adjudicate.decision"), role: "group" });
  }

  // Show a pair, or what is newer of the one in hand: its boxes stay as they are being written in.
  show(dossier) {
    const isSame = dossier !== null && this.candidateId === dossier.card.candidate_id;
    if (!isSame) this.keep();
    this.dossier = dossier;
    if (!this.isWriting) this.draw();
  }

  get candidateId() {
    return this.dossier?.card.candidate_id ?? null;
  }

  get draft() {
    return this.drafts.get(this.candidateId) ?? { grade: null, rationale: "none", reason: "", steps: null };
  }

  change(fields) {
    this.drafts.set(this.candidateId, { ...this.draft, ...fields });
    this.draw();
  }

  drop(candidateId = this.candidateId) {
    this.drafts.delete(candidateId);
    if (candidateId !== this.candidateId) return; // another may be being written meanwhile
    this.isWriting = false;
    this.draw();
  }

  // What the draft is as the server takes it.
  sent(act) {
    const { grade, rationale, reason, steps } = this.draft;
    const fields = { candidate_id: this.candidateId, seen: this.dossier.seen, act, reason };
    if (act === "settle") Object.assign(fields, { grade, rationale, ...(rationale === "own" ? { steps } : {}) });
    return fields;
  }

  grade(grade) {
    this.keep();
    this.change({ grade, rationale: this.draft.rationale === "own" ? "own" : this.dossier.travels[grade].default });
  }

  // The rationales that may go with the grade, and none.
  get choices() {
    const { grade, steps } = this.draft;
    return [...this.dossier.travels[grade].choices, ...(steps ? ["own"] : []), "none"];
  }

  nextRationale() {
    const { choices } = this;
    this.change({ rationale: choices[(choices.indexOf(this.draft.rationale) + 1) % choices.length] });
  }

  // ---- an own rationale

  write() {
    this.isWriting = true;
    this.draw();
    this.element.querySelector("textarea")?.focus();
  }

  // Take what stands in the boxes.
  keep() {
    if (!this.isWriting) return;
    const boxes = [...this.element.querySelectorAll("textarea")];
    const steps = boxes.map((box) => [box.dataset.step, box.value.trim()]).filter(([, text]) => text);
    this.isWriting = false;
    const isEmpty = steps.length === 0;
    const rationale = isEmpty ? (this.draft.rationale === "own" ? "none" : this.draft.rationale) : "own";
    this.change({ steps: isEmpty ? null : steps, rationale });
  }

  stepsOf(key) {
    const { card, answers } = this.dossier;
    if (key === "own") return this.draft.steps ?? [];
    if (key === "suggestion") return card.suggestion.steps;
    return answers.find((answer) => answer.response_id === key)?.steps ?? [];
  }

  draw() {
    const { say } = this;
    if (!this.dossier) return this.element.replaceChildren();
    const { grade, rationale, reason } = this.draft;
    if (grade === null && !this.isWriting) {
      this.element.replaceChildren(h("p", { class: "af-quiet" }, say("adjudicate.choose_grade")));
      this.onchange();
      return;
    }
    this.element.replaceChildren(
      h(
        "p",
        { class: "af-decision-line" },
        h("span", { class: "af-label" }, say("adjudicate.settle_as")),
        grade === null ? "" : gradeBadge(this.scale, grade),
        grade === null ? "" : h("span", { class: "af-label" }, say("adjudicate.with_reasons")),
        grade === null ? "" : this.choices.map((key) => this.choice(key, key === rationale)),
      ),
      this.isWriting ? this.boxes() : rationale === "none" ? "" : h("p", { class: "af-quiet" }, this.preview(rationale)),
      reason ? h("p", { class: "af-decision-reason" }, h("span", { class: "af-label" }, say("adjudicate.because")), reason) : "",
    );
    this.onchange();
  }

  choice(key, isChosen) {
    const { say } = this;
    const named = ["suggestion", "own", "none"].includes(key)
      ? say(`adjudicate.rationale_${key}`)
      : say("adjudicate.rationale_of", { account: this.dossier.answers.find((one) => one.response_id === key)?.account ?? "" });
    const choose = () => {
      this.keep();
      this.change({ rationale: key });
    };
    return h("button", { type: "button", "aria-pressed": String(isChosen), onclick: choose }, named);
  }

  preview(rationale) {
    const said = this.stepsOf(rationale).map(([label, text]) => `${this.say(`review.step_${label}`)}: ${text}`);
    return said.join(" · ");
  }

  boxes() {
    const before = new Map(this.stepsOf(this.draft.rationale));
    const box = (label) => {
      const area = h("textarea", { rows: "1", "data-step": label, "aria-label": this.say(`review.step_${label}`), maxlength: "2000" });
      area.value = before.get(label) ?? "";
      return h("li", {}, h("span", { class: "af-label" }, this.say(`review.step_${label}`)), area);
    };
    return h("ol", { class: "af-steps" }, this.labels.map(box));
  }
}

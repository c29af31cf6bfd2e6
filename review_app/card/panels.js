// What slides in beside the card: the guideline, a rule, the keys. Each stays until it is sent away.

import { h } from "./dom.js";
import { gradeBadge } from "./grades.js";
import { keyName } from "./keys.js";
import { rendered } from "./markdown.js";

export class Guideline {
  constructor({ api, say }) {
    this.api = api;
    this.say = say;
    this.texts = new Map();
    this.element = h("aside", { class: "af-panel", "aria-label": say("review.guideline"), hidden: true, tabindex: "-1" });
  }

  get isOpen() {
    return !this.element.hidden;
  }

  async toggle(instructionId, grade) {
    this.element.hidden = !this.element.hidden;
    if (this.isOpen) await this.show(instructionId, grade);
  }

  async show(instructionId, grade) {
    if (!this.isOpen) return;
    if (this.shown !== instructionId || !this.element.childNodes.length) {
      this.shown = instructionId;
      if (!this.texts.has(instructionId)) {
        try {
          const told = await this.api.post("guideline", { instruction_id: instructionId });
          this.texts.set(instructionId, told.text);
        } catch {
          this.element.replaceChildren(h("p", {}, this.say("review.guideline_unreachable")));
          this.shown = null;
          return;
        }
      }
      const text = this.texts.get(instructionId);
      this.element.replaceChildren(...(text ? rendered(text) : [h("p", {}, this.say("review.guideline_none"))]));
    }
    this.point(grade);
  }

  // Bring the line of the grade under the finger into view.
  point(grade) {
    if (!this.isOpen || grade === null || grade === undefined) return;
    for (const row of this.element.querySelectorAll("tr.af-pointed")) row.classList.remove("af-pointed");
    const row = this.element.querySelector(`tr[data-first="${grade}"]`);
    if (!row) return;
    row.classList.add("af-pointed");
    const { top, height } = row.getBoundingClientRect();
    const box = this.element.getBoundingClientRect();
    if (top < box.top || top + height > box.bottom) row.scrollIntoView({ block: "nearest" });
  }
}

export class RulePanel {
  constructor({ api, say, scale }) {
    this.api = api;
    this.say = say;
    this.scale = scale;
    this.rules = new Map();
    this.element = h("aside", { class: "af-panel af-rule-panel", "aria-label": say("review.rule"), hidden: true });
  }

  get isOpen() {
    return !this.element.hidden;
  }

  close() {
    this.element.hidden = true;
  }

  // All rules that vote on the card.
  list(votes, onrule) {
    this.element.hidden = false;
    this.element.replaceChildren(
      h("h2", {}, this.say("review.votes", { n: votes.length })),
      h(
        "ol",
        { class: "af-vote-list" },
        votes.map((vote) =>
          h(
            "li",
            {},
            gradeBadge(this.scale, vote.grade),
            " ",
            h("button", { type: "button", class: "af-rule", onclick: () => onrule(vote.rule_id) }, vote.text),
          ),
        ),
      ),
    );
  }

  async open(ruleId) {
    this.element.hidden = false;
    let rule = this.rules.get(ruleId);
    if (!rule) {
      try {
        rule = await this.api.post("rule", { rule_id: ruleId });
        this.rules.set(ruleId, rule);
      } catch (error) {
        const words = error.kind === "refused" ? error.message : this.say("review.rule_unreachable");
        this.element.replaceChildren(h("p", {}, words));
        return;
      }
    }
    const { say } = this;
    const examples = (isAgreeing) =>
      rule.examples
        .filter((one) => one.is_agreeing === isAgreeing)
        .map((one) =>
          h("li", {}, gradeBadge(this.scale, one.settled_grade), " ", h("b", {}, one.query), h("br"), one.title),
        );
    const agreeing = examples(true);
    const other = examples(false);
    this.element.replaceChildren(
      h("h2", {}, say("review.rule")),
      h("p", {}, rule.text),
      h("p", {}, h("code", {}, rule.condition)),
      h(
        "p",
        { class: "af-number" },
        rule.n_settled
          ? say("review.rule_counts", { votes: rule.n_votes, agreeing: rule.n_agreeing, settled: rule.n_settled })
          : say("review.rule_unsettled", { votes: rule.n_votes }),
      ),
      ...(agreeing.length ? [h("h3", {}, say("review.rule_right")), h("ul", {}, agreeing)] : []),
      ...(other.length ? [h("h3", {}, say("review.rule_wrong")), h("ul", {}, other)] : []),
      h("p", { class: "af-quiet" }, rule.rule_id),
    );
  }
}

export class HelpPanel {
  constructor({ say, keymap, named = (command) => say(`review.key_${command}`), about = "review.keys_grades" }) {
    this.named = named;
    this.about = about;
    this.say = say;
    this.keymap = keymap;
    this.asking = null;
    this.element = h("dialog", { class: "af-help", "aria-label": say("review.keys") });
    this.element.addEventListener("close", () => (this.asking = null));
  }

  get isOpen() {
    return this.element.open;
  }

  toggle() {
    if (this.isOpen) this.element.close();
    else {
      this.draw();
      this.element.showModal();
    }
  }

  draw(message = "") {
    const { say } = this;
    const row = (command) =>
      h(
        "tr",
        {},
        h("td", {}, this.named(command)),
        h(
          "td",
          {},
          h(
            "button",
            {
              type: "button",
              class: "af-key",
              "aria-label": say("review.change_key", { what: this.named(command) }),
              onclick: () => {
                this.asking = command;
                this.draw();
              },
            },
            this.asking === command ? say("review.press_key") : keyName(this.keymap.keys[command]),
          ),
        ),
      );
    this.element.replaceChildren(
      h("h2", {}, say("review.keys")),
      h("p", {}, say(this.about)),
      h("p", { role: "status" }, message),
      h("table", {}, h("tbody", {}, Object.keys(this.keymap.commands).map(row))),
      h(
        "p",
        { class: "af-help-foot" },
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              this.keymap.reset();
              this.draw();
            },
          },
          say("review.keys_reset"),
        ),
        " ",
        h("button", { type: "button", autofocus: true, onclick: () => this.element.close() }, say("review.close")),
      ),
    );
  }

  // A key while the panel is open; returns whether it was for the panel.
  press(event) {
    if (!this.asking) return false;
    if (["Shift", "Control", "Alt", "Meta"].includes(event.key)) return true;
    const command = this.asking;
    this.asking = null;
    if (event.key !== "Escape") {
      const holder = this.keymap.assign(command, event.key);
      const what = holder === "fixed" ? "" : holder && this.named(holder);
      this.draw(
        holder === null ? "" : holder === "fixed" ? this.say("review.key_fixed") : this.say("review.key_taken", { what }),
      );
    } else {
      this.draw();
    }
    return true;
  }
}

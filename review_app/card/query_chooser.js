// Chooses the query of a list: typed words search, without any the queries with the most waiting docs come first.
// Arrows move, Enter takes, Esc leaves; more come in as one nears the end.

import { h } from "./dom.js";

const TYPING_MS = 180;
const NEAR_END = 5;

export class QueryChooser {
  constructor({ api, say, onchoose, onclose }) {
    this.api = api;
    this.say = say;
    this.onchoose = onchoose;
    this.onclose = onclose;
    this.queries = [];
    this.at = 0;
    this.asked = 0;
    this.box = h("input", {
      type: "search",
      role: "combobox",
      "aria-label": say("list.find_query"),
      "aria-controls": "af-queries",
      "aria-expanded": "true",
      "aria-autocomplete": "list",
      placeholder: say("list.find_query"),
      maxlength: "200",
      oninput: () => this.typed(),
      onkeydown: (event) => this.press(event),
    });
    this.options = h("ul", { class: "af-queries", id: "af-queries", role: "listbox", "aria-label": say("list.queries") });
    this.options.addEventListener("scroll", () => this.maybeMore());
    this.words = h("p", { class: "af-quiet", role: "status" });
    this.element = h(
      "aside",
      { class: "af-panel af-chooser", "aria-label": say("list.choose_query"), hidden: true },
      h("h2", {}, say("list.choose_query")),
      this.box,
      this.words,
      this.options,
    );
  }

  get isOpen() {
    return !this.element.hidden;
  }

  open() {
    this.element.hidden = false;
    this.box.value = "";
    this.isWanted = false;
    this.box.focus();
    this.load();
  }

  close() {
    if (!this.isOpen) return;
    this.element.hidden = true;
    clearTimeout(this.timer);
    this.onclose();
  }

  typed() {
    this.isWanted = false;
    this.isStale = true; // what is listed is not what was typed
    this.asked += 1; // and what is on its way is not wanted any more
    this.isAsking = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), TYPING_MS);
  }

  async load() {
    this.queries = [];
    this.next = null;
    this.isStale = true;
    this.isWhole = false;
    this.at = 0;
    await this.more(true);
  }

  async more(isFirst = false) {
    if (this.isWhole || (this.isAsking && !isFirst)) return;
    this.isAsking = true;
    const asked = ++this.asked;
    const text = this.box.value.trim();
    try {
      const told = await this.api.post("list/queries", { text, ...(this.next ? { after: this.next } : {}) });
      if (asked !== this.asked) return; // something else was typed meanwhile
      this.queries.push(...told.queries);
      this.next = told.next;
      this.isWhole = told.next === null;
      this.words.textContent = this.queries.length ? "" : this.say(text ? "list.no_such_query" : "list.nothing_waits");
      this.isStale = false;
      this.draw();
      if (this.isWanted && this.queries.length) return this.take(0);
      if (!told.queries.length && !this.isWhole) setTimeout(() => asked === this.asked && this.more());
    } catch (error) {
      if (asked === this.asked) this.words.textContent = error.kind === "refused" ? error.message : this.say("list.unreachable");
    } finally {
      if (asked === this.asked) this.isAsking = false;
    }
  }

  draw() {
    this.options.replaceChildren(
      ...this.queries.map((query, place) =>
        h(
          "li",
          {
            role: "option",
            id: `af-query-${place}`,
            "aria-selected": String(place === this.at),
            class: place === this.at ? "af-here" : "",
            onclick: () => this.take(place),
          },
          h("span", { class: "af-query-text" }, query.text),
          h("span", { class: "af-quiet" }, this.counted(query)),
        ),
      ),
    );
    this.point();
  }

  counted({ n_waiting, n_mine, n_docs }) {
    return this.say("list.query_counts", { waiting: n_waiting, mine: n_mine, docs: n_docs });
  }

  point() {
    [...this.options.children].forEach((option, place) => {
      option.classList.toggle("af-here", place === this.at);
      option.setAttribute("aria-selected", String(place === this.at));
    });
    const here = this.options.children[this.at];
    if (!here) return this.box.removeAttribute("aria-activedescendant");
    this.box.setAttribute("aria-activedescendant", here.id);
    here.scrollIntoView({ block: "nearest" });
  }

  maybeMore() {
    const { scrollTop, clientHeight, scrollHeight } = this.options;
    if (scrollTop + clientHeight > scrollHeight - 120) this.more();
  }

  press(event) {
    if (event.isComposing) return;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    if (event.key in steps) {
      event.preventDefault();
      this.at = Math.max(0, Math.min(this.queries.length - 1, this.at + steps[event.key]));
      this.point();
      if (this.at > this.queries.length - NEAR_END) this.more();
    } else if (event.key === "Enter") {
      event.preventDefault();
      // Enter before the answer has come takes its first query
      if (this.isStale) this.isWanted = true;
      else this.take(this.at);
    }
  }

  take(place) {
    const query = this.queries[place];
    if (!query) return;
    this.isWanted = false;
    this.close();
    this.onchoose(query.query_id);
  }
}

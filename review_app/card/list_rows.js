// Draws the docs of a list, one row each. Nothing here decides anything.

import { h } from "./dom.js";
import { gradeBadge } from "./grades.js";
import { excerpts, marked, places } from "./marks.js";

const SHORT_FIELDS = 6;
const SHORT_BODY = 260;

// view: {number, of, answer, state, isHere, isWhole, body}
export function drawRow(row, view, { say, scale, onopen }) {
  const fields = h("p", { class: "af-row-fields" }, shortFields(row, say));
  const element = h(
    "article",
    {
      class: `af-row af-is-${view.state}${view.isHere ? " af-here" : ""}`,
      tabindex: view.isHere ? "0" : "-1",
      "data-candidate": row.candidate_id,
      "aria-posinset": String(view.number),
      "aria-setsize": String(view.of),
      "aria-label": say("list.row_label", { n: view.number, of: view.of, title: row.title, said: said(row, view, say, scale) }),
    },
    h("span", { class: "af-row-number", "aria-hidden": "true" }, String(view.number)),
    h(
      "div",
      { class: "af-row-doc" },
      h("h2", {}, marked(row.title, row.terms), constraints(row, say)),
      view.isWhole && row.fields.length ? wholeFields(row, say) : fields,
      body(row, view),
      hasMore(row)
        ? h(
            "button",
            { type: "button", class: "af-row-more", tabindex: "-1", "aria-expanded": String(view.isWhole), onclick: onopen },
            say(view.isWhole ? "list.show_less" : "list.show_more"),
          )
        : "",
    ),
    h("div", { class: "af-row-suggested" }, suggestion(row, view, say, scale)),
    h("div", { class: "af-row-own" }, own(row, view, say, scale)),
  );
  return element;
}

// Whether a row shows less than there is.
export function hasMore(row) {
  return row.is_cut || row.body.length > SHORT_BODY || row.fields.length > SHORT_FIELDS;
}

export function answered(answer, say, scale) {
  if (answer.act === "submitted") return gradeBadge(scale, answer.grade);
  return h("span", { class: "af-row-act" }, say(`review.did_${answer.act}`));
}

function shortFields(row, say) {
  const weight = ([name]) => (row.conflicting_fields.includes(name) ? 0 : row.matched_fields.includes(name) ? 1 : 2);
  const shown = [...row.fields].sort((a, b) => weight(a) - weight(b)).slice(0, SHORT_FIELDS);
  return shown.map(([name, value], place) => {
    const isConflict = row.conflicting_fields.includes(name);
    return [
      place ? " · " : "",
      h(
        "span",
        { class: isConflict ? "af-conflict" : "" },
        h("span", { class: "af-row-name" }, `${name} `),
        marked(value, row.terms),
        isConflict ? h("span", { class: "af-said" }, say("review.field_conflict")) : "",
      ),
    ];
  });
}

function wholeFields(row, say) {
  const field = ([name, value]) => {
    const kind = row.conflicting_fields.includes(name) ? "conflict" : row.matched_fields.includes(name) ? "match" : "";
    return h(
      "div",
      { class: `af-field ${kind ? `af-${kind}` : ""}` },
      h("dt", {}, name),
      h("dd", {}, marked(value, row.terms), kind ? h("span", { class: "af-said" }, say(`review.field_${kind}`)) : ""),
    );
  };
  return h("dl", { class: "af-fields" }, row.fields.map(field));
}

function constraints(row, say) {
  const told = [];
  if (row.missing.length) told.push(say("review.missing", { terms: row.missing.join(", ") }));
  if (row.has_number_conflict) told.push(say("review.number_conflict"));
  if (row.has_refused) told.push(say("review.refused_present"));
  return told.map((text) => h("span", { class: "af-row-lacks" }, `≠ ${text}`));
}

function body(row, view) {
  const text = view.isWhole ? view.body : row.body;
  const found = places(text, row.terms);
  const parts = view.isWhole ? [[0, text.length]] : excerpts(text, found, SHORT_BODY);
  const shown = h("div", { class: view.isWhole ? "af-body" : "af-row-excerpt" });
  parts.forEach(([start, end], number) => {
    if (number || start) shown.append(h("span", { class: "af-gap" }, " … "));
    shown.append(marked(text, row.terms, { start, end, found }));
  });
  if (!view.isWhole && (row.is_cut || parts.at(-1)[1] < text.length)) shown.append(h("span", { class: "af-gap" }, " …"));
  return shown;
}

function suggestion(row, view, say, scale) {
  if (row.suggestion) {
    const { grade, confidence } = row.suggestion;
    return [
      h("span", { class: "af-hidden" }, say("review.suggestion")),
      gradeBadge(scale, grade),
      confidence === null ? "" : h("span", { class: "af-number" }, confidence.toFixed(2)),
    ];
  }
  return view.state === "open" ? h("span", { class: "af-quiet" }, say("list.suggested_later")) : "";
}

function own(row, view, say, scale) {
  const told = [];
  if (view.answer) told.push(answered(view.answer, say, scale));
  else if (view.state === "open" && view.isPutOff) told.push(h("span", { class: "af-row-act" }, say("list.put_off")));
  else if (view.state === "taken" || view.state === "answered") {
    told.push(h("span", { class: "af-quiet" }, say(`list.state_${view.state}`)));
  }
  if (row.settled && (view.state === "own" || view.state === "settled")) {
    const badge = gradeBadge(scale, row.settled.grade);
    told.push(h("span", { class: "af-row-final" }, h("span", { class: "af-label" }, say("list.settled")), badge));
  }
  if (view.state === "open" && row.sent_back) {
    told.push(h("p", { class: "af-row-note" }, say("list.sent_back", { reason: row.sent_back })));
    if (row.own) told.push(h("span", { class: "af-label" }, say("list.you_said")), answered(row.own, say, scale));
  }
  return told;
}

// What a screen reader says of a row's state.
function said(row, view, say, scale) {
  const named = (grade) => scale.find(([value]) => value === grade)?.[1] ?? String(grade);
  if (view.answer) {
    return view.answer.act === "submitted"
      ? say("list.said_grade", { grade: view.answer.grade, name: named(view.answer.grade) })
      : say(`review.did_${view.answer.act}`);
  }
  if (view.state === "settled") {
    return say("list.said_settled", { grade: row.settled.grade, name: named(row.settled.grade) });
  }
  return say(`list.state_${view.state}`);
}

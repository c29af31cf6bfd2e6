// The grade bar: one button a grade in one sequential ramp, with its name and its key.

import { h } from "./dom.js";

// The step of the ramp a grade has, 0 to 5, whatever the length of the scale.
export function rampStep(scale, grade) {
  const place = scale.findIndex(([value]) => value === grade);
  return scale.length < 2 ? 5 : Math.round((place / (scale.length - 1)) * 5);
}

export function gradeBadge(scale, grade) {
  const named = scale.find(([value]) => value === grade);
  return h("span", { class: `af-badge af-ramp-${rampStep(scale, grade)}` }, `${grade} ${named ? named[1] : ""}`);
}

export function gradeBar(scale, { say, ongrade, onpoint }) {
  return h(
    "div",
    { class: "af-grades", role: "group", "aria-label": say("review.grade_bar") },
    scale.map(([grade, name]) =>
      h(
        "button",
        {
          type: "button",
          class: `af-grade af-ramp-${rampStep(scale, grade)}`,
          "data-grade": String(grade),
          "aria-keyshortcuts": String(grade),
          onclick: (event) => ongrade(grade, event),
          onmouseenter: () => onpoint(grade),
          onfocus: () => onpoint(grade),
        },
        h("kbd", {}, String(grade)),
        " ",
        h("span", {}, name),
      ),
    ),
  );
}

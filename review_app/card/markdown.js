// The little Markdown a guideline is written in, as elements: headings, lists, tables, paragraphs, bold, italic, code.
// Anything else stays text, and no text becomes markup.

import { h } from "./dom.js";

export function rendered(text) {
  const blocks = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const heading = /^(#{1,4})\s+(.*)/.exec(line);
    if (!line.trim()) {
      at++;
    } else if (heading) {
      blocks.push(h(`h${heading[1].length + 1}`, {}, spans(heading[2])));
      at++;
    } else if (line.startsWith("|")) {
      const rows = [];
      for (; at < lines.length && lines[at].startsWith("|"); at++) rows.push(cells(lines[at]));
      blocks.push(table(rows));
    } else if (/^\s*([-*]|\d+\.)\s/.test(line)) {
      const isNumbered = /^\s*\d+\./.test(line);
      const points = [];
      for (; at < lines.length && lines[at].trim() && !lines[at].startsWith("#"); at++) {
        const point = /^\s*([-*]|\d+\.)\s+(.*)/.exec(lines[at]);
        if (point) points.push(point[2]);
        else points[points.length - 1] += ` ${lines[at].trim()}`;
      }
      blocks.push(h(isNumbered ? "ol" : "ul", {}, points.map((point) => h("li", {}, spans(point)))));
    } else {
      const words = [];
      for (; at < lines.length && lines[at].trim() && !/^[#|]/.test(lines[at]); at++) words.push(lines[at].trim());
      blocks.push(h("p", {}, spans(words.join(" "))));
    }
  }
  return blocks;
}

function cells(line) {
  return line.replace(/^\||\|\s*$/g, "").split("|").map((cell) => cell.trim());
}

function table([head, ...rows]) {
  const body = rows.filter((row) => !row.every((cell) => /^:?-+:?$/.test(cell)));
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, head.map((cell) => h("th", {}, spans(cell))))),
    h("tbody", {}, body.map((row) => h("tr", { "data-first": row[0] }, row.map((cell) => h("td", {}, spans(cell)))))),
  );
}

function spans(text) {
  return text.split(/(\*\*[^*]+\*\*|\*[^*]+\*|`[^`]+`)/).map((part) => {
    if (/^\*\*.+\*\*$/.test(part)) return h("strong", {}, part.slice(2, -2));
    if (/^\*.+\*$/.test(part)) return h("em", {}, part.slice(1, -1));
    if (/^`.+`$/.test(part)) return h("code", {}, part.slice(1, -1));
    return part;
  });
}

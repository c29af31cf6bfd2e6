// Marks the words of a query in a text. Terms come from the server as it compared them; a run of an unspaced script
// comes as overlapping pairs of characters, which join up where they overlap.

const WORD = /[\p{L}\p{N}]/u;

// Return [start, end) of every place a term stands, merged, for text up to `limit` characters.
export function places(text, terms, limit = 200000) {
  const folded = fold(text.slice(0, limit));
  const found = [];
  for (const term of new Set(terms.map(fold))) {
    if (!term) continue;
    const isUnspaced = /[\u2e80-\u9fff\uac00-\ud7af\u3040-\u30ff]/u.test(term);
    for (let at = folded.indexOf(term); at >= 0; at = folded.indexOf(term, at + 1)) {
      let end = at + term.length;
      if (!isUnspaced) {
        if (at > 0 && WORD.test(folded[at - 1])) continue;
        if (folded[end] === "s" && !WORD.test(folded[end + 1] || " ")) end += 1;
        if (end < folded.length && WORD.test(folded[end])) continue;
      }
      found.push([at, end]);
    }
  }
  found.sort((a, b) => a[0] - b[0]);
  const merged = [];
  for (const [start, end] of found) {
    const last = merged.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
}

// Character for character, so that places in the folded text are places in the text.
function fold(text) {
  const folded = text.toLowerCase();
  if (folded.length === text.length) return folded;
  return [...text].map((c) => (c.toLowerCase().length === c.length ? c.toLowerCase() : c)).join("");
}

// Return a fragment of the text with the terms in <mark>.
export function marked(text, terms, { start = 0, end = text.length, found = places(text, terms) } = {}) {
  const fragment = document.createDocumentFragment();
  let at = start;
  for (const [from, to] of found) {
    if (to <= start || from >= end) continue;
    fragment.append(text.slice(at, Math.max(from, start)));
    const mark = document.createElement("mark");
    mark.textContent = text.slice(Math.max(from, start), Math.min(to, end));
    fragment.append(mark);
    at = Math.min(to, end);
  }
  fragment.append(text.slice(at, end));
  return fragment;
}

// Return the parts of a long text worth reading first: around the matches, at most `room` characters of it.
export function excerpts(text, found, room = 900) {
  if (text.length <= room) return [[0, text.length]];
  const parts = [];
  let used = 0;
  for (const [from, to] of found) {
    const last = parts.at(-1);
    const start = Math.max(0, from - 90);
    const end = Math.min(text.length, to + 110);
    if (last && start <= last[1] + 20) {
      used += Math.max(0, end - last[1]);
      last[1] = Math.max(last[1], end);
    } else {
      used += end - start;
      parts.push([start, end]);
    }
    if (used >= room) break;
  }
  return parts.length ? parts : [[0, room]];
}

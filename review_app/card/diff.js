// Word by word, what an edit took away and what it put in.

const PIECE = /[\u2e80-\u9fff\uac00-\ud7af\u3040-\u30ff]|\s+|[^\s\u2e80-\u9fff\uac00-\ud7af\u3040-\u30ff]+/gu;
const MOST = 400; // pieces compared one by one; longer texts differ as a whole

// Return [["same" | "gone" | "new", text], …], neighbours of one kind joined.
export function wordDiff(before, after) {
  const a = before.match(PIECE) || [];
  const b = after.match(PIECE) || [];
  if (a.length > MOST || b.length > MOST) return join([["gone", before], ["new", after]]);
  const n = b.length + 1;
  const common = new Uint16Array((a.length + 1) * n);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * n + j] =
        a[i] === b[j] ? common[(i + 1) * n + j + 1] + 1 : Math.max(common[(i + 1) * n + j], common[i * n + j + 1]);
    }
  }
  if (common[0] < 0.4 * Math.max(a.length, b.length)) return join([["gone", before], ["new", after]]);
  const parts = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      parts.push(["same", a[i++]]);
      j++;
    } else if (j >= b.length || (i < a.length && common[(i + 1) * n + j] >= common[i * n + j + 1])) {
      parts.push(["gone", a[i++]]);
    } else {
      parts.push(["new", b[j++]]);
    }
  }
  return join(parts);
}

function join(parts) {
  const joined = [];
  for (const [kind, text] of parts) {
    if (!text) continue;
    const last = joined.at(-1);
    if (last && last[0] === kind) last[1] += text;
    else joined.push([kind, text]);
  }
  return joined;
}

// What a person did, in order, and from it what the next undo takes back and what the next redo gives again. The same
// rules as the server's (docs/decisions/0008-acts.md), over all candidates instead of one.

const name = (act) => `${act.session}:${act.sequence}`;

export class Trail {
  constructor() {
    this.acts = []; // first act first; each {session, sequence, candidate_id, act, at, target, ...}
    this.isWhole = false; // all older acts are here
    this.withdrawn = new Set();
    this.sentBack = new Set();
    this.names = new Set();
  }

  // Add what was just done here.
  add(act) {
    if (this.names.has(name(act))) return;
    this.names.add(name(act));
    this.acts.push(act);
    if (act.act === "withdrawn" && act.target) this.withdrawn.add(act.target);
  }

  // Put older acts, as the server tells them (last first), before what is here.
  addOlder(rows) {
    this.isWhole = rows.length === 0;
    const byId = new Map([...rows, ...this.acts].filter((row) => row.response_id).map((row) => [row.response_id, row]));
    const older = [];
    for (const row of [...rows].reverse()) {
      if (this.names.has(name(row))) continue;
      this.names.add(name(row));
      const target = byId.get(row.target_id);
      if (row.is_withdrawn) this.withdrawn.add(name(row));
      if (row.is_sent_back) this.sentBack.add(name(row));
      older.push({ ...row, at: row.effective_at, target: target ? name(target) : row.target_id });
    }
    this.acts = [...older, ...this.acts];
  }

  get oldest() {
    return this.acts.length ? this.acts[0].at : null;
  }

  // The latest time seen on a candidate: an act by somebody who has seen it comes after.
  latestOn(candidateId) {
    return Math.max(0, ...this.acts.filter((act) => act.candidate_id === candidateId).map((act) => act.at));
  }

  get toUndo() {
    return this.acts.findLast((act) => act.act !== "withdrawn" && !this.withdrawn.has(name(act))) || null;
  }

  get toRedo() {
    const held = new Map(this.acts.filter((act) => act.act !== "withdrawn").map((act) => [name(act), act]));
    const givenAgain = new Set([...held.values()].map((act) => act.target));
    const seen = new Set();
    let undone = [];
    for (const act of this.acts) {
      const target = held.has(act.target) ? act.target : null;
      if (act.act === "withdrawn") {
        if (target && !seen.has(target) && !givenAgain.has(target)) undone.push(target);
        if (target) seen.add(target);
      } else if (!target) {
        undone = [];
      }
    }
    return undone.length ? held.get(undone.at(-1)) : null;
  }

  // A card that comes back with a reason: what the person had answered on it stands no more.
  sendBack(candidateId) {
    for (const act of this.acts) if (act.candidate_id === candidateId) this.sentBack.add(name(act));
  }

  // The person's answer that stands on a candidate, null when there is none.
  standing(candidateId) {
    const last = this.acts.findLast(
      (act) =>
        act.candidate_id === candidateId &&
        act.act !== "withdrawn" &&
        act.act !== "later" &&
        !this.withdrawn.has(name(act)),
    );
    return last && !this.sentBack.has(name(last)) ? last : null;
  }
}

export const actName = name;

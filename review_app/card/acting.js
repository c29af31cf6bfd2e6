// A person's acts on many candidates: written to the journal first, undone and given again over all of them.

import { actName } from "./trail.js";

const REPEATED = ["grade", "steps", "reason", "first_wrong_step"];

export class Acting {
  constructor({ api, clock, journal, trail }) {
    Object.assign(this, { api, clock, journal, trail });
  }

  // Keep an act; it comes after everything seen on its candidate (`seenAt`: by other eyes than the trail's).
  write(candidateId, fields, seenAt = 0) {
    const at = Math.max(this.clock.now(), this.trail.latestOn(candidateId) + 0.001, seenAt + 0.001);
    const kept = this.journal.put({ kind: "act", candidate_id: candidateId, at, ...fields });
    this.trail.add(kept);
    return kept;
  }

  // Fetch what was done before this page was opened, some hundred acts at a time. Who asks while it is fetched waits for it.
  load() {
    if (this.trail.isWhole) return Promise.resolve();
    this.loading ??= this.fetchOlder().finally(() => (this.loading = null));
    return this.loading;
  }

  async fetchOlder() {
    try {
      const told = await this.api.post("trail", this.isBegun ? { before: this.trail.oldest - 0.001 } : {});
      this.isBegun = true;
      this.trail.addOlder(told.acts);
    } catch {
      // undo reaches as far as this tab knows until the server answers
    }
  }

  // Take back the last act; returns it, null when there is none that is known.
  async undo(seenAt) {
    if (!this.trail.toUndo && !this.trail.isWhole) await this.load();
    const act = this.trail.toUndo;
    if (act) this.write(act.candidate_id, { act: "withdrawn", target: actName(act) }, seenAt(act.candidate_id));
    return act;
  }

  // Give the act again that was undone last; returns it, null when there is none.
  redo(seenAt) {
    const act = this.trail.toRedo;
    if (!act) return null;
    const fields = REPEATED.filter((field) => act[field] !== undefined && act[field] !== null);
    const again = Object.fromEntries(fields.map((field) => [field, act[field]]));
    this.write(act.candidate_id, { act: act.act, target: actName(act), ...again }, seenAt(act.candidate_id));
    return act;
  }
}

// Decisions on their way to the store, kept as the journal keeps acts. One at a time, in order: what comes back may be
// that somebody else was first.

import { Journal } from "./journal.js";

export class Outbox extends Journal {
  // An outbox beside the journal of the same account: neither sends what the other holds.
  constructor({ workspace, ...more }) {
    super({ workspace: `${workspace}:decisions`, ...more });
  }

  async sendEntries(keys) {
    for (const key of keys) {
      const entry = this.read(key);
      if (!entry) continue;
      const { kind, about, ...sent } = entry;
      try {
        this.settle(key, entry, null, await this.api.post("adjudicate/decide", sent));
      } catch (error) {
        if (error.kind !== "refused") throw error;
        this.settle(key, entry, error.message, { saved: false, news: [] });
      }
    }
  }
}

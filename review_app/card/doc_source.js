// Where the docs of a list come from: page by page, and again while somebody works. Fetching a page leases what stands
// unanswered on it, as cards are leased: leases end after thirty minutes, so they are asked for again every ten.

const RENEW_MS = 10 * 60 * 1000;
const MOST_AT_ONCE = 300;

export class DocSource {
  constructor({ api, docs, isBlind, onchange, ontrouble }) {
    Object.assign(this, { api, docs, isBlind, onchange, ontrouble });
    this.queryId = null;
    this.next = null; // the place behind which there are more
    this.use();
    this.timer = setInterval(() => this.renew(), 60 * 1000);
  }

  fetch(queryId, more = {}) {
    return this.api.post("list/docs", { query_id: queryId, is_blind: this.isBlind(), ...more });
  }

  // Go on from the first page of a query.
  begin(told) {
    this.queryId = told.query_id;
    this.next = told.next;
    this.renewedAt = performance.now();
  }

  use() {
    this.usedAt = performance.now();
  }

  async more() {
    if (!this.next || this.isAsking) return;
    this.isAsking = true;
    const { queryId } = this;
    try {
      const told = await this.fetch(queryId, { after: this.next });
      if (queryId !== this.queryId) return;
      this.next = told.next;
      this.docs.add(told.rows);
      this.onchange();
    } catch {
      this.ontrouble();
    } finally {
      this.isAsking = false;
    }
  }

  // Fetch all that is missing; returns whether all is here.
  async all() {
    for (let before = null; this.next && this.next !== before; ) {
      before = this.next;
      await this.more();
    }
    return !this.next;
  }

  // Who works keeps their leases, and sees what others have done meanwhile.
  async renew() {
    const now = performance.now();
    if (!this.queryId || now - this.renewedAt < RENEW_MS || now - this.usedAt > 2 * RENEW_MS) return;
    this.renewedAt = now;
    await this.refresh();
  }

  async refresh() {
    const { queryId } = this;
    const rows = [];
    let after = "";
    try {
      do {
        const told = await this.fetch(queryId, { after, n: MOST_AT_ONCE });
        rows.push(...told.rows);
        after = told.next;
      } while (after && rows.length < this.docs.rows.length);
    } catch {
      return; // what is shown stays; the next try comes by itself
    }
    if (queryId !== this.queryId) return;
    this.next = after;
    this.docs.update(rows);
    this.onchange();
  }

  // What is put off or taken back is free for others, unless it is still on somebody's list.
  async holdAgain() {
    const asked = this.docs.open.slice(0, MOST_AT_ONCE).map((row) => row.candidate_id);
    if (!asked.length) return;
    try {
      const { held } = await this.api.post("list/hold", { candidate_ids: asked });
      this.docs.keepHeld(asked, new Set(held));
      this.onchange();
    } catch {
      // the next renewal asks again
    }
  }

  close() {
    clearInterval(this.timer);
  }
}

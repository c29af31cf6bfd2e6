// Acts on their way to the store. Each is written to this browser's storage before the next card is shown, and goes
// when the server has acknowledged it: a closed tab, a lost network or a stopped server loses nothing. A tab sends its
// own acts; what a closed tab left is sent by the next one. The server takes each act once, however often it is sent.

const BATCH = 100;
const BATCH_CHARACTERS = 500_000; // the server reads some megabytes at once
const WAITS = [300, 700, 1500, 3000, 6000, 12000];

export class Journal {
  constructor({ api, clock, say, workspace, account, onchange, onreceipt }) {
    this.api = api;
    this.say = say;
    this.clock = clock;
    this.account = account;
    this.session = randomHex(16);
    this.sequence = 0;
    this.prefix = `afrel:${workspace}:${account}:`;
    this.onchange = onchange;
    this.onreceipt = onreceipt;
    this.memory = new Map(); // acts this browser's storage had no room for
    this.isSending = false;
    this.trouble = null; // the last failure, null while all is well
    this.nFailures = 0;
    this.stop = new AbortController();
    this.holdTab();
    for (const event of ["online", "focus"]) {
      window.addEventListener(event, () => this.send(true), { signal: this.stop.signal });
    }
    // what another tab has sent is no longer unsaved here either
    window.addEventListener("storage", () => this.onchange(), { signal: this.stop.signal });
    this.adopt();
  }

  // Keep an entry ({kind: "act" | "comment", ...}) and send it as soon as can be. Returns it with its name.
  put(entry) {
    const kept = { ...entry, session: this.session, sequence: ++this.sequence };
    const key = `${this.prefix}entry:${kept.session}:${String(kept.sequence).padStart(9, "0")}`;
    try {
      localStorage.setItem(key, JSON.stringify(kept));
    } catch {
      this.memory.set(key, kept);
    }
    this.onchange();
    this.send();
    return kept;
  }

  // Keys of this tab's entries that are not acknowledged, oldest first.
  pending(session = this.session) {
    const start = `${this.prefix}entry:${session}:`;
    const stored = Object.keys(localStorage).filter((key) => key.startsWith(start));
    return [...stored, ...[...this.memory.keys()].filter((key) => key.startsWith(start))].sort();
  }

  get nUnsaved() {
    const start = `${this.prefix}entry:`;
    return Object.keys(localStorage).filter((key) => key.startsWith(start)).length + this.memory.size;
  }

  // Entries the server refused for good, with its words; they stay until the person has read them.
  get refused() {
    const start = `${this.prefix}refused:`;
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(start))
      .sort()
      .map((key) => ({ refused: "", ...parsed(localStorage.getItem(key)), key }));
  }

  dismiss(key) {
    localStorage.removeItem(key);
    this.onchange();
  }

  async send(atOnce = false) {
    if (atOnce) clearTimeout(this.timer);
    if (this.isSending) return;
    this.isSending = true;
    try {
      for (;;) {
        const keys = this.batch(this.pending());
        if (!keys.length) break;
        await this.sendEntries(keys);
        this.trouble = null;
        this.nFailures = 0;
        this.onchange();
      }
    } catch (error) {
      this.trouble = error;
      const wait = WAITS[Math.min(this.nFailures++, WAITS.length - 1)];
      clearTimeout(this.timer);
      if (!this.stop.signal.aborted) this.timer = setTimeout(() => this.send(), wait * (0.75 + Math.random() / 2));
    } finally {
      this.isSending = false;
      this.onchange();
    }
  }

  // The next entries to send, no more at once than the server reads.
  batch(keys) {
    const taken = [];
    let n = 0;
    for (const key of keys.slice(0, BATCH)) {
      n += JSON.stringify(this.read(key)).length;
      if (taken.length && n > BATCH_CHARACTERS) break;
      taken.push(key);
    }
    return taken;
  }

  async sendEntries(keys) {
    const entries = keys.map((key) => [key, this.read(key)]);
    await this.sendActs(entries.filter(([, entry]) => entry.kind === "act"));
    for (const [key, entry] of entries.filter(([, one]) => !["act", "comment"].includes(one.kind))) {
      this.settle(key, entry, this.say("review.entry_unreadable"), {});
    }
    for (const [key, entry] of entries.filter(([, one]) => one.kind === "comment")) {
      const { kind, ...sent } = entry;
      try {
        await this.api.post("comment", sent);
        this.settle(key, entry, null, {});
      } catch (error) {
        if (error.kind !== "refused") throw error;
        this.settle(key, entry, error.message, {});
      }
    }
  }

  async sendActs(acts) {
    if (!acts.length) return;
    let told;
    try {
      told = await this.api.post("acts", { acts: acts.map(([, { kind, ...act }]) => act) });
    } catch (error) {
      if (error.kind !== "refused") throw error;
      // one of them cannot be taken: alone it is refused, and the others go
      if (acts.length === 1) this.settle(...acts[0], error.message, {});
      else for (const act of acts) await this.sendActs([act]);
      return;
    }
    this.clock.set(told.now);
    const receipts = new Map(told.receipts.map((one) => [`${one.session}:${one.sequence}`, one]));
    for (const [key, act] of acts) {
      const receipt = receipts.get(`${act.session}:${act.sequence}`) || { refused: this.say("review.no_receipt") };
      this.settle(key, act, receipt.refused, receipt);
    }
  }

  settle(key, entry, refused, receipt) {
    localStorage.removeItem(key);
    this.memory.delete(key);
    if (refused) localStorage.setItem(key.replace(":entry:", ":refused:"), JSON.stringify({ ...entry, refused }));
    this.onreceipt(entry, receipt);
  }

  read(key) {
    if (this.memory.has(key)) return this.memory.get(key);
    return parsed(localStorage.getItem(key)) || { kind: "unreadable" };
  }

  // While a tab lives it holds a lock of its session's name, so others know what it left from what it is sending.
  holdTab() {
    if (!navigator.locks) return;
    const forever = new Promise((done) => this.stop.signal.addEventListener("abort", done));
    navigator.locks.request(`${this.prefix}tab:${this.session}`, () => forever);
  }

  async isAlive(session) {
    if (!navigator.locks) return false;
    return navigator.locks.request(`${this.prefix}tab:${session}`, { ifAvailable: true }, (lock) => lock === null);
  }

  // Send what closed tabs left, until it is gone.
  async adopt() {
    const start = `${this.prefix}entry:`;
    const sessions = new Set(
      Object.keys(localStorage)
        .filter((key) => key.startsWith(start))
        .map((key) => key.slice(start.length).split(":")[0]),
    );
    sessions.delete(this.session);
    let isLeft = false;
    for (const session of sessions) {
      if (await this.isAlive(session)) continue;
      try {
        for (let keys = this.pending(session); keys.length; keys = this.pending(session)) {
          await this.sendEntries(this.batch(keys));
        }
      } catch (error) {
        this.trouble = error;
        isLeft = true;
      }
    }
    this.onchange();
    if (isLeft && !this.stop.signal.aborted) setTimeout(() => this.adopt(), 5000);
  }

  // Which cards this tab has on its hands, for the person's other tabs.
  hold(candidateIds) {
    try {
      localStorage.setItem(`${this.prefix}held:${this.session}`, JSON.stringify(candidateIds));
    } catch {
      // without room the other tabs may show the same card; its answer still counts once
    }
  }

  async heldElsewhere() {
    const start = `${this.prefix}held:`;
    const held = [];
    for (const key of Object.keys(localStorage).filter((one) => one.startsWith(start))) {
      const session = key.slice(start.length);
      if (session === this.session) continue;
      if (await this.isAlive(session)) held.push(...Object.values(parsed(localStorage.getItem(key)) || {}));
      else localStorage.removeItem(key);
    }
    return held;
  }

  close() {
    clearTimeout(this.timer);
    localStorage.removeItem(`${this.prefix}held:${this.session}`);
    this.stop.abort();
  }
}

// What stands in this browser's storage may have been cut off or written by somebody else.
export function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

export function randomHex(n) {
  return [...crypto.getRandomValues(new Uint8Array(n / 2))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

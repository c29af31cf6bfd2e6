// The cards a reviewer holds ahead: enough for ten minutes without a network at their own pace, but never more than a
// tenth of what waits or a dozen, so that nobody holds what others could answer. They come in gulps, not all at once and
// not one by one: a claim of a few cards costs the store half of what one of four dozen does. The first is small, for
// somebody waits for it; the later ones keep no common beat, or a team that sat down together would ask together. A lease
// runs for at least twenty minutes after it was asked for; a card that is older is asked for again before it is shown.

const LEAST = 12;
const URGENT = LEAST / 2;
const MOST = 300;
const GULP = 48;
const AFTER_FIRST_GULP_MS = [0, 10 * 1000];
const BETWEEN_GULPS_MS = [10 * 1000, 30 * 1000];
const OFFLINE_SECONDS = 600;
const LEASE_MS = 18 * 60 * 1000;
const RENEW_MS = 10 * 60 * 1000;

export class Queue {
  constructor({ api, clock, journal, isBlind, onchange }) {
    this.api = api;
    this.clock = clock;
    this.journal = journal;
    this.isBlind = isBlind;
    this.onchange = onchange;
    this.cards = [];
    this.answered = new Set(); // this tab's, until the store's claim knows of them
    this.nWaiting = null;
    this.seconds = []; // what the last cards took
    this.isAsking = false;
    this.isEmpty = false; // the server had nothing more
    this.trouble = null;
    this.lastUsed = performance.now();
    this.timer = setInterval(() => this.tick(), 15000);
  }

  // Seconds a card takes this person: the median of the last fifty.
  get pace() {
    const sorted = [...this.seconds].sort((a, b) => a - b);
    return sorted.length ? Math.max(1, sorted[sorted.length >> 1]) : 8;
  }

  // After a few cards one knows nothing yet.
  get isPaceKnown() {
    return this.seconds.length >= 20;
  }

  took(seconds) {
    this.seconds = [...this.seconds.slice(-49), seconds];
  }

  isStale(card) {
    return Boolean(card?.heldSince) && performance.now() - card.heldSince > LEASE_MS;
  }

  get target() {
    const wanted = Math.ceil(OFFLINE_SECONDS / this.pace);
    const fair = Math.floor((this.nWaiting ?? 50) / 10);
    return Math.max(LEAST, Math.min(MOST, wanted, Math.max(LEAST, fair)));
  }

  // Take the next card; null when none is here.
  take() {
    this.lastUsed = performance.now();
    this.cards = this.cards.filter((card) => !this.isStale(card));
    const card = this.cards.shift() || null;
    this.announce(card);
    if (this.isDue) this.fill();
    return card;
  }

  // The last few wait for no gulp before them.
  get isDue() {
    if (this.cards.length >= 0.7 * this.target) return false;
    return this.cards.length < URGENT || performance.now() > (this.nextGulpAt || 0);
  }

  // Put a card back in front: something else comes first.
  putBack(card) {
    if (card) this.cards.unshift(card);
  }

  drop(candidateId) {
    this.cards = this.cards.filter((card) => card.candidate_id !== candidateId);
  }

  note(candidateId) {
    this.answered.add(candidateId);
    if (this.nWaiting) this.nWaiting -= 1;
  }

  announce(current) {
    this.current = current;
    this.journal.hold([...(current ? [current.candidate_id] : []), ...this.cards.map((card) => card.candidate_id)]);
  }

  async fill({ byItself = false } = {}) {
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      const here = [...this.cards, ...(this.current ? [this.current] : [])].map((card) => card.candidate_id);
      const elsewhere = await this.journal.heldElsewhere();
      const unsent = [...this.answered];
      const held = [...new Set([...here, ...elsewhere, ...unsent])].slice(0, 900);
      const n = Math.max(1, Math.min(GULP, this.target - this.cards.length));
      const told = await this.api.post("claim", { n, held, is_blind: this.isBlind() }, { byItself });
      this.clock.set(told.now);
      this.nWaiting = told.n_waiting;
      const known = new Set(held);
      const heldSince = performance.now();
      const fresh = told.cards.filter((card) => !known.has(card.candidate_id) && !this.answered.has(card.candidate_id));
      this.cards.push(...fresh.map((card) => ({ ...card, heldSince })));
      this.isEmpty = told.cards.length === 0;
      this.trouble = null;
      this.filledAt = heldSince;
      const [soonest, latest] = here.length ? BETWEEN_GULPS_MS : AFTER_FIRST_GULP_MS;
      this.nextGulpAt = heldSince + soonest + Math.random() * (latest - soonest);
    } catch (error) {
      this.trouble = error;
    } finally {
      this.isAsking = false;
      this.announce(this.current);
      this.onchange();
    }
  }

  // Answers the server has acknowledged need not be named any more: its claim passes them over.
  acknowledge(candidateId) {
    this.answered.delete(candidateId);
  }

  async tick() {
    const now = performance.now();
    const isUsed = now - this.lastUsed < 2 * RENEW_MS;
    if (!isUsed) return;
    if (this.cards.length < URGENT) await this.fill({ byItself: true });
    else if (now - (this.filledAt || 0) > RENEW_MS) await this.renew();
  }

  // Asking for nothing but what is held leases it anew.
  async renew() {
    const here = [...this.cards, ...(this.current ? [this.current] : [])];
    try {
      const held = here.map((card) => card.candidate_id);
      await this.api.post("claim", { n: 0, held, is_blind: this.isBlind() }, { byItself: true });
      this.filledAt = performance.now();
      for (const card of here) card.heldSince = this.filledAt;
    } catch (error) {
      this.trouble = error;
    }
  }

  // Begin anew, e.g. in another mode.
  async restart() {
    this.cards = [];
    this.current = null;
    this.isEmpty = false;
    await this.fill();
  }

  close() {
    clearInterval(this.timer);
  }
}

// What the card and the list have in common: a page on which a person grades. Acts go through one journal and one trail;
// a page says with `answer` what an act does to it.

import { Acting } from "./acting.js";
import { Api } from "./api.js";
import { Clock } from "./clock.js";
import { filler } from "./dom.js";
import { Journal } from "./journal.js";
import { KeyedPage } from "./keyed_page.js";
import { Keymap } from "./keys.js";
import { Trail } from "./trail.js";

const MOST_SECONDS = 3600; // somebody who was away did not think that long
const REASONS = ["broken", "duplicate", "unreadable", "improper"];

export class GradingPage extends KeyedPage {
  constructor(given, commands) {
    super();
    this.given = given;
    this.say = filler(given.texts);
    this.api = new Api(given);
    this.clock = new Clock();
    this.trail = new Trail();
    this.settings = `afrel:${given.workspace}:${given.account}:`;
    this.keymap = new Keymap(`${this.settings}keys`, commands);
    this.isBlind = localStorage.getItem(`${this.settings}blind`) === "1";
    this.journal = new Journal({
      api: this.api,
      clock: this.clock,
      say: this.say,
      workspace: given.workspace,
      account: given.account,
      onchange: () => this.saved?.draw(),
      onreceipt: (entry, receipt) => this.receive(entry, receipt),
    });
    this.acting = new Acting(this);
  }

  // Seconds since a moment of this page, as an act tells them.
  secondsSince(moment) {
    return Math.min(MOST_SECONDS, Math.round((performance.now() - moment) / 10) / 100);
  }

  askWhyDiscard() {
    const choose = (reason) => this.answer({ act: "discarded", reason });
    const other = () => this.entry.ask(this.say("review.discard_why"), choose);
    this.entry.choose(this.say("review.discard_because"), [
      ...REASONS.map((reason, place) => [String(place + 1), this.say(`review.reason_${reason}`), () => choose(reason)]),
      [this.keymap.keys.comment, this.say("review.reason_other"), other],
    ]);
  }
}

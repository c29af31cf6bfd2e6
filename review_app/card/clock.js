// The server's time, carried on by a clock that does not jump when somebody sets this machine's.

export class Clock {
  constructor() {
    this.offset = Date.now() - performance.now();
    this.isHeard = false;
    this.last = 0;
  }

  // Take the server's time from an answer. One that was long on its way only says less than the ones before.
  set(serverMs) {
    if (!Number.isFinite(serverMs)) return;
    const offset = serverMs - performance.now();
    this.offset = this.isHeard ? Math.max(this.offset, offset) : offset;
    this.isHeard = true;
  }

  // Later than what was told before, by a microsecond at least: acts keep their order.
  now() {
    this.last = Math.max(this.offset + performance.now(), this.last + 0.001);
    return this.last;
  }
}

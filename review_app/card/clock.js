// The server's time, carried on by a clock that does not jump when somebody sets this machine's.

export class Clock {
  constructor() {
    this.offset = Date.now() - performance.now();
  }

  // Take the server's time from an answer that took no longer than a few seconds.
  set(serverMs) {
    if (Number.isFinite(serverMs)) this.offset = serverMs - performance.now();
  }

  now() {
    return this.offset + performance.now();
  }
}

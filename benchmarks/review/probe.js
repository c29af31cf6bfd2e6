// Runs in the page before its own scripts and only watches: when a key was typed, when what it asked for was painted,
// when an act was written down and when the store's receipt for it had come.
//
// "Painted" is the moment right after the first frame whose content has what is waited for: a frame is asked for
// (requestAnimationFrame), the browser runs style, layout and paint after that callback, and a message posted in the
// callback is answered when they are done. The compositor's and the screen's few milliseconds after that are not in it.

(() => {
  if (window.afrelProbe) return;
  const channel = new MessageChannel();
  const waiting = [];
  channel.port1.onmessage = () => {
    const at = performance.now();
    for (const done of waiting.splice(0)) done(at);
  };
  const afterFrame = (done) =>
    requestAnimationFrame(() => {
      waiting.push(done);
      channel.port2.postMessage(null);
    });

  const probe = {
    keys: [], // {key, at}: ms of this page's clock, as the browser stamped the key
    paints: [], // {key, at, ms}: keys that brought another card
    entries: [], // acts as they were written down, each with the ms until its receipt, null while there is none
    eventTimings: [], // the browser's own figure for keys, in steps of 8 ms; none below 16 are told
    useful: null, // ms from the start of the navigation to the paint of what `afrelWanted` names

    // From now on, a change of the query's words is another card.
    watchCards() {
      const query = document.querySelector(".af-query");
      new MutationObserver(() => {
        const key = probe.pending;
        if (!key) return;
        probe.pending = null;
        afterFrame((at) => probe.paints.push({ ...key, ms: at - key.at }));
      }).observe(query, { childList: true });
    },

    state() {
      const isBlind = !document.querySelector(".af-suggested");
      const nUnsaved = probe.entries.filter((one) => one.ackMs === null).length;
      return { nPaints: probe.paints.length, nKeys: probe.keys.length, isBlind, nUnsaved };
    },
  };

  // First on the window and in its capture phase: before any listener of the page.
  window.addEventListener(
    "keydown",
    (event) => {
      probe.pending = { key: event.key, at: event.timeStamp };
      probe.keys.push(probe.pending);
    },
    { capture: true },
  );
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (one.name === "keydown") probe.eventTimings.push(one.duration);
  }).observe({ type: "event", durationThreshold: 16, buffered: true });

  // The journal's own storage tells when it keeps an act and when it lets go of it.
  const { setItem, removeItem } = Storage.prototype;
  const open = new Map();
  Storage.prototype.setItem = function (key, value) {
    if (key.includes(":entry:") && !open.has(key)) {
      const { kind, steps, ...act } = JSON.parse(value);
      const entry = { ...act, putAt: performance.now(), ackMs: null };
      open.set(key, entry);
      probe.entries.push(entry);
    }
    return setItem.call(this, key, value);
  };
  Storage.prototype.removeItem = function (key) {
    const entry = open.get(key);
    if (entry) {
      entry.ackMs = performance.now() - entry.putAt;
      open.delete(key);
    }
    return removeItem.call(this, key);
  };

  if (window.afrelWanted) {
    const isThere = () => {
      const found = document.querySelector(window.afrelWanted);
      return found !== null && found.getClientRects().length > 0 && (found.textContent.trim() || found.tagName === "CANVAS");
    };
    const look = () => {
      if (isThere()) {
        waiting.push((at) => (probe.useful = at));
        channel.port2.postMessage(null);
      } else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }
  window.afrelProbe = probe;
})();

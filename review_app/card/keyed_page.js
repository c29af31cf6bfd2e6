// What the list and adjudication have in common: a page that fills the window, is worked by keys, says one line at a
// time, and tells when the server does not answer. A page gives `commands` to do and says which are shown.

import { h, isTyping, keepCalm, themeOf } from "./dom.js";
import { keyName } from "./keys.js";

export class KeyedPage {
  // Mount what `build` returned, and listen.
  begin(root, element) {
    this.root = element;
    root.replaceChildren(element);
    element.dataset.theme = themeOf(root);
    this.calm = keepCalm(element);
    this.stop = new AbortController();
    const { signal } = this.stop;
    window.addEventListener("keydown", (event) => this.press(event), { capture: true, signal });
    window.addEventListener("resize", () => this.fit(), { signal });
    window.addEventListener("beforeunload", (event) => this.saved.isAtRisk && event.preventDefault(), { signal });
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => setTimeout(() => (element.dataset.theme = themeOf(root)), 400);
    scheme.addEventListener("change", redraw, { signal });
    this.help.element.addEventListener("close", () => this.redrawCommands(), { signal });
    this.fit();
    this.saved.draw();
  }

  // The bar shows the keys as they are now.
  redrawCommands() {
    const bar = this.root.querySelector(".af-commands");
    if (bar) bar.replaceWith(this.commandBar(this.shown));
  }

  // The page fills the window: nothing on it moves, only its parts scroll.
  fit() {
    const top = this.root.getBoundingClientRect().top + window.scrollY;
    this.root.style.height = `${Math.max(420, window.innerHeight - Math.max(0, top) - 12)}px`;
  }

  commandBar(shown) {
    this.shown = shown;
    const button = (command) =>
      h(
        "button",
        {
          type: "button",
          class: "af-command",
          "aria-keyshortcuts": this.keymap.keys[command],
          onclick: (event) => this.byPointer(event, () => this.command(command)),
        },
        h("kbd", {}, keyName(this.keymap.keys[command])),
        " ",
        this.named(command),
      );
    return h("div", { class: "af-commands" }, shown.map(button));
  }

  // A click acts once, and leaves no button behind that Enter would press on the next card.
  byPointer(event, act) {
    if (event.detail > 0) event.currentTarget.blur();
    if (event.detail < 2) act();
  }

  // ---- keys

  press(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.help.isOpen) return this.pressInHelp(event);
    if (isTyping(event.target)) {
      if (!this.root.contains(event.target) || event.key !== "Escape") return;
      eat(event);
      this.escape();
      return;
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      eat(event);
      this.step(event.key === "ArrowDown" ? 1 : -1);
      return;
    }
    if (event.key === "Tab" || /^(Arrow|Page|Home|End)/.test(event.key)) return;
    const isButton = event.target instanceof HTMLElement && /^(BUTTON|A)$/.test(event.target.tagName);
    if (isButton && (event.key === "Enter" || event.key === " ")) return;
    eat(event);
    if (["Shift", "CapsLock", "Dead", "Unidentified"].includes(event.key)) return;
    if (this.entry.choices && event.key !== "Escape") {
      if (!this.entry.press(event.key)) this.tell("review.choose_first");
      return;
    }
    this.pressed(event);
  }

  pressInHelp(event) {
    if (this.help.press(event)) eat(event);
    else if (event.key === this.keymap.keys.help) {
      this.help.toggle();
      eat(event);
    }
  }

  pressed(event) {
    if (event.key === "Escape") return this.escape();
    if (event.key === " ") return this.scroll(event.shiftKey);
    const command = this.keymap.commandOf(event.key);
    if (command === "down" || command === "up") return this.step(command === "down" ? 1 : -1);
    if (event.repeat) return;
    if (/^\d$/.test(event.key)) return this.digit(Number(event.key));
    if (command) this.command(command);
    else this.tell("review.wrong_key", { key: keyName(event.key), help: this.keymap.keys.help });
  }

  digit(digit) {
    if (this.given.scale.some(([grade]) => grade === digit)) return this.grade(digit);
    this.tell("review.off_scale", { grade: digit, grades: this.given.scale.map(([grade]) => grade).join(", ") });
  }

  command(command) {
    this.tell(null);
    this.entry.close();
    this.commands[command]();
  }

  // ---- what is said

  called(grade) {
    const named = this.given.scale.find(([value]) => value === grade);
    return `${grade} ${named ? named[1] : ""}`;
  }

  tell(key, values = {}) {
    this.status.textContent = key ? this.say(key, values) : "";
  }

  tellMessage(key, words = "") {
    this.message.hidden = false;
    this.message.replaceChildren(h("p", {}, key ? this.say(key) : words));
  }

  // Say why nothing came, and ask again by itself while that may help.
  unreachable(error, words, again) {
    if (error.kind === "refused") return this.tellMessage(null, error.message);
    const isOut = error.kind === "login";
    this.tellMessage(isOut ? "review.logged_out" : words);
    if (isOut) {
      this.message.append(h("p", {}, h("a", { href: `${this.given.base}/login` }, this.say("review.log_in"))));
    } else if (!this.stop.signal.aborted) {
      clearTimeout(this.again);
      this.again = setTimeout(again, 3000);
    }
  }

  end() {
    this.stop.abort();
    clearTimeout(this.again);
    this.calm();
  }
}

function eat(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

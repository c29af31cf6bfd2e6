// Which key does what. A person may give any command another key; the choice stays in this browser.

import { parsed } from "./journal.js";

export const COMMANDS = {
  accept: "a",
  edit: "e",
  wrong_step: "w",
  discard: "x",
  undo: "u",
  redo: "U",
  later: "l",
  cannot_tell: "i",
  comment: "c",
  rules: "r",
  guideline: "g",
  blind: "b",
  find: "/",
  next: "Enter",
  help: "?",
};
// Keys that always mean the same.
const FIXED = new Set([" ", "Escape", "Tab", "ArrowDown", "ArrowUp"]);

export class Keymap {
  // Pages with other commands share the choices: what two of them have in common has one key.
  constructor(storageKey, commands = COMMANDS) {
    this.storageKey = storageKey;
    this.commands = commands;
    const chosen = parsed(localStorage.getItem(storageKey)) || {}; // what cannot be read leaves the usual keys
    this.chosen = chosen;
    this.keys = { ...commands };
    for (const [command, key] of Object.entries(chosen)) if (command in commands) this.keys[command] = key;
  }

  commandOf(key) {
    return Object.keys(this.keys).find((command) => this.keys[command] === key) || null;
  }

  // Give a command a key; returns the command that has it already, null when it was free.
  assign(command, key) {
    if (/^\d$/.test(key) || FIXED.has(key)) return "fixed";
    const holder = this.commandOf(key);
    if (holder && holder !== command) return holder;
    this.keys[command] = key;
    this.chosen = { ...this.chosen, [command]: key };
    localStorage.setItem(this.storageKey, JSON.stringify(this.chosen));
    return null;
  }

  reset() {
    this.keys = { ...this.commands };
    this.chosen = {};
    localStorage.removeItem(this.storageKey);
  }
}

// How a key is written on the screen.
export function keyName(key) {
  return { " ": "␣", Enter: "⏎", Escape: "Esc" }[key] || key;
}

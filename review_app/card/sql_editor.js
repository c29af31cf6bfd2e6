// The SQL editor: a plain text area with the tables and columns beside it; a click or Tab writes their names.
// What is typed is told to the server when the hand rests; Ctrl+Enter runs it.

import { filler, h } from "./dom.js";

const REST_MS = 800;
const MOST_HINTS = 8;
const WORD = /[A-Za-z_][A-Za-z0-9_.]*$/;

export function mount(root, given, { tell, run }) {
  let held = given;
  let told = given.text;
  let timer = 0;
  const say = filler(given.texts);

  const area = h("textarea", {
    class: "af-sql-text",
    "aria-label": say("sql.editor"),
    "aria-describedby": "af-sql-keys",
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    placeholder: say("sql.placeholder"),
    rows: "10",
  });
  area.value = given.text;
  const hints = h("div", { class: "af-sql-hints", role: "status" });
  const keys = h("div", { class: "af-sql-keys", id: "af-sql-keys" }, say("sql.keys"));
  const find = h("input", {
    class: "af-sql-find",
    type: "search",
    "aria-label": say("sql.find_column"),
    placeholder: say("sql.find_column"),
  });
  const tree = h("div", { class: "af-sql-tree", role: "group", "aria-label": say("sql.schema") });
  root.replaceChildren(
    h("div", { class: "af-sql-schema" }, find, tree),
    h("div", { class: "af-sql-edit" }, area, hints, keys),
  );

  function settle() {
    clearTimeout(timer);
    if (area.value === told) return;
    told = area.value;
    tell({ version: held.version, text: told });
  }

  function write(text, from = area.selectionStart, to = area.selectionEnd) {
    area.focus();
    area.setSelectionRange(from, to);
    // keeps the browser's own undo, which setting the value would lose
    if (!document.execCommand("insertText", false, text)) area.setRangeText(text, from, to, "end");
    changed();
  }

  // The word before the caret and the names that begin like it, or whose column does.
  function completions() {
    const [word] = area.value.slice(0, area.selectionStart).match(WORD) ?? [""];
    if (word.length < 2 || area.selectionStart !== area.selectionEnd) return [word, []];
    const asked = word.toLowerCase();
    const names = new Set();
    for (const table of held.tables) {
      if (table.name.startsWith(asked)) names.add(table.name);
      for (const [column] of table.columns) {
        if (column.startsWith(asked)) names.add(column);
        else if (`${table.name}.${column}`.startsWith(asked) && asked.includes(".")) names.add(`${table.name}.${column}`);
      }
    }
    names.delete(asked);
    return [word, [...names].sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).slice(0, MOST_HINTS)];
  }

  function complete(word, name) {
    write(name, area.selectionStart - word.length, area.selectionStart);
  }

  function changed() {
    const [word, names] = completions();
    hints.replaceChildren(
      ...names.map((name) =>
        h("button", { type: "button", tabindex: "-1", onmousedown: (e) => e.preventDefault(), onclick: () => complete(word, name) }, name),
      ),
    );
    clearTimeout(timer);
    timer = setTimeout(settle, REST_MS);
  }

  area.addEventListener("input", changed);
  area.addEventListener("blur", settle);
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      clearTimeout(timer);
      told = area.value;
      run({ version: held.version, text: told });
    } else if (event.key === "Tab" && !event.shiftKey && !event.ctrlKey && !event.altKey) {
      const [word, names] = completions();
      if (names.length) {
        event.preventDefault();
        complete(word, names[0]);
      }
    }
    event.stopPropagation();
  });

  function draw() {
    const asked = find.value.trim().toLowerCase();
    const shown = held.tables.filter(
      (table) => !asked || table.name.includes(asked) || table.columns.some(([column]) => column.toLowerCase().includes(asked)),
    );
    const open = new Set([...tree.querySelectorAll("details[open]")].map((one) => one.dataset.name));
    tree.replaceChildren(
      ...shown.map((table) => {
        const columns = table.columns.filter(
          ([column]) => !asked || table.name.includes(asked) || column.toLowerCase().includes(asked),
        );
        const isOpen = asked ? shown.length <= 6 || columns.length < table.columns.length : open.has(table.name);
        return h(
          "details",
          { "data-name": table.name, open: isOpen },
          h("summary", {}, table.name, table.is_view ? h("span", { class: "af-sql-view" }, say("sql.view")) : null),
          h(
            "ul",
            {},
            h("li", {}, h("button", { type: "button", onclick: () => write(`from ${table.name} `) }, say("sql.write_table"))),
            columns.map(([column, kind]) =>
              h(
                "li",
                {},
                h("button", { type: "button", title: kind, onclick: () => write(column) }, column),
                h("span", { class: "af-sql-type" }, kind.toLowerCase()),
              ),
            ),
          ),
        );
      }),
    );
    if (!shown.length) tree.replaceChildren(h("p", { class: "af-sql-none" }, say(held.tables.length ? "sql.no_column" : "sql.no_schema")));
  }

  find.addEventListener("input", draw);
  find.addEventListener("keydown", (event) => event.stopPropagation());
  draw();

  return {
    update(next) {
      const isLoaded = next.version !== held.version;
      const isOtherSchema = JSON.stringify(next.tables) !== JSON.stringify(held.tables);
      held = next;
      if (isLoaded) {
        area.value = told = next.text;
        hints.replaceChildren();
        area.focus();
      }
      if (isOtherSchema) draw();
    },
    leave: settle,
  };
}

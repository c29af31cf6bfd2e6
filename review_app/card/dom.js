// Elements from plain values. Text of others only ever becomes a text node, so it can hold no markup.

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

// A text of the catalogue with its {names} filled in.
export function filler(texts) {
  return (key, values = {}) => {
    const text = texts[key];
    if (text === undefined) throw new Error(`no text ${key}`);
    return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
  };
}

// Where typing means text, keys are no commands.
export function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

// The page's colours follow Streamlit's theme; ours are chosen by how dark its ground is.
export function themeOf(element) {
  const ground = getComputedStyle(element).getPropertyValue("--st-background-color").trim();
  const probe = h("span", { style: `color:${ground || "#fff"};display:none` });
  document.body.append(probe);
  const [r, g, b] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  return 0.299 * r + 0.587 * g + 0.114 * b < 128 ? "dark" : "light";
}

// Streamlit covers the page with a dialog when its own connection breaks. Ours says so in its own line and works on, so
// the dialog is closed as soon as it comes. Returns what ends the watch.
export function keepCalm(root) {
  const close = () => {
    for (const dialog of document.querySelectorAll('[data-baseweb="modal"], [data-testid="stDialog"]')) {
      if (!root.contains(dialog) && !dialog.contains(root)) dialog.querySelector("button")?.click();
    }
  };
  const watch = new MutationObserver(close);
  watch.observe(document.body, { childList: true, subtree: true });
  return () => watch.disconnect();
}

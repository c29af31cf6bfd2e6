// Streamlit speaks English only. Its own few words are told in the page's language as they appear; what experts and
// shops wrote is never touched, also where it says the same.

const words = new Map(Object.entries(JSON.parse(document.documentElement.dataset.words || "{}")));
const NAMES = ["aria-label", "title", "placeholder"];
const OTHERS = ".af-page, pre, code, textarea, [role=option]";
const TEXTS = `${OTHERS}, [data-testid=stMarkdownContainer]:not([data-testid=stTooltipContent] *)`;

// A label of ours may stand behind: "Download as CSV: the label".
function told(text) {
  const [own, ...label] = text.split(": ");
  const said = words.get(own.trim());
  return said === undefined ? null : [said, ...label].join("：");
}

function tellText(node) {
  const said = node.parentElement?.closest(TEXTS) ? null : told(node.data);
  if (said !== null) node.data = said;
}

function tellNames(element) {
  if (element.closest(OTHERS)) return;
  for (const name of NAMES) {
    const said = element.hasAttribute(name) ? told(element.getAttribute(name)) : null;
    if (said !== null) element.setAttribute(name, said);
  }
}

function tell(node) {
  if (node.nodeType === Node.TEXT_NODE) return tellText(node);
  if (node.nodeType !== Node.ELEMENT_NODE || node.closest(OTHERS)) return;
  tellNames(node);
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let at = walker.nextNode(); at; at = walker.nextNode()) {
    if (at.nodeType === Node.TEXT_NODE) tellText(at);
    else tellNames(at);
  }
}

if (words.size) {
  tell(document.body);
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes") tellNames(target);
      else if (type === "characterData") tellText(target);
      else addedNodes.forEach(tell);
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true, attributeFilter: NAMES });
}

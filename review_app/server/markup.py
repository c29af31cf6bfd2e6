"""The plain pages the server writes itself, without Streamlit: the frame of a page, and what is safe to stand in it."""

from __future__ import annotations

from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --soft: #586470; --ground: #f5f6f7; --sheet: #ffffff; --line: #6b7785;
  --accent: #2f5d8a; --on-accent: #ffffff; --alert: #8a2f2f; --alert-ground: #fbeeee; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #a3aeb9; --ground: #14181c; --sheet: #1c2127;
  --line: #7d8894; --accent: #8ab4dc; --on-accent: #10202f; --alert: #f0b4b4; --alert-ground: #3a2222; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei",
  "Noto Sans CJK SC", sans-serif; }
main { width: min(24rem, calc(100vw - 2rem)); background: var(--sheet); padding: 2rem; border-radius: 8px; }
h1 { margin: 0 0 1.25rem; font-size: 1.375rem; font-weight: 600; }
label { display: block; margin: 0 0 1rem; }
label span { display: block; margin-bottom: .25rem; }
input { width: 100%; padding: .5rem .625rem; font: inherit; color: inherit; background: var(--sheet);
  border: 1px solid var(--line); border-radius: 4px; }
button, .button { display: block; width: 100%; padding: .5rem .75rem; font: inherit; font-weight: 600;
  text-align: center; text-decoration: none; cursor: pointer; border: 1px solid var(--accent); border-radius: 4px;
  background: var(--accent); color: var(--on-accent); }
.button.second { background: none; color: var(--accent); }
:is(input, button, .button, a):focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.said { margin: 0 0 1rem; padding: .5rem .75rem; border-radius: 4px; background: var(--ground); }
.said.wrong { background: var(--alert-ground); color: var(--alert); }
.or { margin: 1.25rem 0 1rem; color: var(--soft); }
.foot { margin: 1.25rem 0 0; color: var(--soft); font-size: .875rem; }
.tongue { margin-top: 1rem; }
.tongue button { width: auto; padding: 0; border: 0; background: none; color: var(--accent); font-weight: 400;
  font-size: .875rem; text-decoration: underline; }
a { color: var(--accent); }
"""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='3' fill='%232f5d8a'/%3E%3Cpath d='M4 12V7h2v5zm3 0V4h2v8zm3 0V9h2v3z' fill='white'/%3E%3C/svg%3E"
)


def page_html(language: str, *, title: str, body: str) -> str:
    """Return a whole page; `body` is markup, everything else is text."""
    return (
        f'<!doctype html>\n<html lang="{language_tag(language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="{ICON}">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def language_tag(language: str) -> str:
    """Return a language as pages declare it."""
    return "zh-CN" if language == "zh" else language


def said_html(words: str, *, is_wrong: bool) -> str:
    """Return one message, announced to screen readers."""
    kind, role = ("said wrong", "alert") if is_wrong else ("said", "status")
    return f'<p class="{kind}" role="{role}">{escape(words)}</p>'

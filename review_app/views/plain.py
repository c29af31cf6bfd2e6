"""Text of others, made safe for places where Streamlit reads Markdown.

Nothing of it may become a link, an image, a formula, a colour or an icon. Escapes keep Markdown away; the word joiner
(no width, no break) keeps apart what Streamlit would still find in plain text: `:name:`, `https://`, `www.`, `a@b`.
"""

from __future__ import annotations

import re

_JOINER = "\u2060"
_MARKS = re.compile(r"([!-/:-@\[-`{-~])")
_FOUND_IN_TEXT = re.compile(r"([:@]|\bwww(?=\.))", re.IGNORECASE)


def plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    one_line = " ".join(text.split())
    return _MARKS.sub(r"\\\1", _FOUND_IN_TEXT.sub(rf"\1{_JOINER}", one_line))

"""HTML whose text cannot become markup: every string is escaped unless it was made here.

Query and doc texts are strangers'. `tag` escapes what it is given; only `Html`, which this module makes and the page's
style is, goes in as it is. Characters that HTML may not hold at all are shown as U+FFFD.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_VOID = frozenset({"meta", "br", "path", "line", "rect", "circle", "polyline"})
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Html(str):
    """Markup that is safe to put into a page."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return a value as text."""
    return Html(html.escape(_FORBIDDEN.sub("\ufffd", str(value)), quote=True))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """Return an element. Children that are None are left out; of an attribute `_` becomes `-` and a last one falls."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = join(children)
    return Html(f"<{name}{given}/>" if name in _VOID and not inner else f"<{name}{given}>{inner}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """Return parts one behind the other."""
    return Html("".join(part if isinstance(part, Html) else text(part) for part in parts if part is not None))

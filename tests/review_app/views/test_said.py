"""Whatever a view says by name, it says with exactly the values the text has places for."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from review_app.texts import texts
from tests.conftest import ROOT

VIEWS = sorted((ROOT / "review_app" / "views").glob("*.py"))


def said(source: str) -> list[tuple[str, int, set[str]]]:
    """Return the texts a view names, with line and the values it gives; not those whose values are unpacked."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "say"):
            continue
        key, names = node.args[0], {keyword.arg for keyword in node.keywords}
        if isinstance(key, ast.Constant) and None not in names:
            found.append((str(key.value), node.lineno, {str(name) for name in names}))
    return found


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.stem)
def test_a_view_gives_each_text_the_values_it_has_places_for(view: Path) -> None:
    wrong = [
        (key, line)
        for key, line, names in said(view.read_text(encoding="utf-8"))
        for text in [texts("en").get(key)]
        if text is None or {name for _, name, _, _ in string.Formatter().parse(text) if name} != names
    ]
    assert wrong == []

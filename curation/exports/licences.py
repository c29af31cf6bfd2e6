"""Licences of sources, as `afrel.toml` states them: `[sources.NAME]` with `licence = "CC-BY-4.0"`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curation.config_tables import raise_mistakes

TABLE = "sources"
_KEY = "licence"


def licences(config: Mapping[str, Any]) -> dict[str, str]:
    """Return source -> licence; UserError names every mistake of the table."""
    table = config.get(TABLE, {})
    mistakes = []
    found = {}
    if not isinstance(table, dict):
        raise_mistakes([f"{TABLE} must be tables, each under a line [{TABLE}.NAME]"])
    for source, stated in table.items():
        place = f"[{TABLE}.{source}]"
        if not isinstance(stated, dict):
            mistakes.append(f"{TABLE}: {source} = {stated!r} is not a table; write {place} and below it {_KEY} = …")
            continue
        mistakes += [f"{place}: unknown key {key!r}; known is {_KEY}" for key in stated if key != _KEY]
        licence = stated.get(_KEY)
        if not isinstance(licence, str) or not licence.strip():
            mistakes.append(f"{place}: {_KEY} is missing or not a text")
        else:
            found[source] = licence.strip()
    raise_mistakes(mistakes)
    return found

"""Thresholds of the screens: the `[screening]` table of `afrel.toml`, every mistake in it told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from curation.config_tables import raise_mistakes

LOWEST_SIMILARITY = 0.7  # what the bands of `curation.sketches` are laid out for


@dataclass(frozen=True, slots=True)
class ScreeningConfig:
    """A checked `[screening]` table.

    `near_duplicate` and `leak` are Jaccard overlaps; `copied_prompt` is a run of words; `boilerplate` is the share of a
    rationale's runs of four words that stand in `boilerplate_repeats` or more rationales of other pairs; `max_tokens`
    is counted by the tokenizer in the file or folder `tokenizer`, estimated from words where none is named.
    """

    near_duplicate: float = 0.7
    leak: float = 0.7
    copied_prompt: int = 12
    boilerplate: float = 0.9
    boilerplate_repeats: int = 20
    max_tokens: int = 1024
    tokenizer: str | None = None


_SIMILARITIES = ("near_duplicate", "leak")
_COUNTS = ("copied_prompt", "boilerplate_repeats", "max_tokens")


def read_screening_config(table: Any, *, root: Path) -> ScreeningConfig:
    """Check the `[screening]` table; UserError names all that is wrong with it.

    A relative `tokenizer` is looked for under `root`, the workspace, and returned as a full path to its file.
    """
    if not isinstance(table, Mapping):
        raise_mistakes(["screening must be a table, under a line [screening]"])
    known = [field.name for field in fields(ScreeningConfig)]
    mistakes = [f"[screening]: unknown key {key!r}; known are {', '.join(known)}" for key in table if key not in known]
    for name in (*_SIMILARITIES, "boilerplate"):
        lowest = LOWEST_SIMILARITY if name in _SIMILARITIES else 0.1
        if name in table and not (_is_number(table[name]) and lowest <= table[name] <= 1):
            mistakes.append(f"[screening]: {name} = {table[name]!r} is not a number from {lowest} to 1")
    for name in _COUNTS:
        if name in table and not (type(table[name]) is int and table[name] >= 4):
            mistakes.append(f"[screening]: {name} = {table[name]!r} is not a whole number of 4 or more")
    found = dict(table)
    if "tokenizer" in table:
        try:
            found["tokenizer"] = str(_tokenizer_file(table["tokenizer"], root))
        except ValueError as error:
            mistakes.append(f"[screening]: {error}")
    raise_mistakes(mistakes)
    return ScreeningConfig(**found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tokenizer_file(given: object, root: Path) -> Path:
    if not isinstance(given, str) or not given:
        raise ValueError(f"tokenizer = {given!r} is not the path of a tokenizer.json or of a folder that has one")
    path = root / Path(given).expanduser()
    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"tokenizer = {given!r}: there is no file {path}")
    return path

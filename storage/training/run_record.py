"""What a training run wrote about itself: its record with a digest of itself, its progress, its lines.

A record that does not match its digest is not read. Lines are read while they are written: one that a kill or this very
moment cut off is left out, as it is not whole yet.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from storage.errors import UserError
from storage.ids import digest


def read_record(folder: Path) -> dict[str, Any]:
    """Return a run's run.json without its digest; UserError when it is missing or does not match."""
    try:
        described: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        held = described.pop("digest")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise UserError(
            f"{folder} is no run of afrel: run.json cannot be read ({error!r}). "
            f"See what runs there are: ls {folder.parent}"
        ) from error
    if held != digest(described):
        raise UserError(f"{folder}/run.json was altered since afrel wrote it. Train again: afrel train sft")
    return described


def read_numbers(path: Path) -> dict[str, float]:
    """Return the numbers of a progress file, none when there is none yet."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    numbers = told.items() if isinstance(told, dict) else ()
    return {name: value for name, value in numbers if isinstance(value, int | float) and not isinstance(value, bool)}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file of JSON objects, none when there is no file; UserError for what is no object."""
    if not path.exists():
        return []
    lines = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise UserError(f"{path} line {number} is no JSON object. See it: sed -n {number}p {path}")
        lines.append(told)
    return lines

"""A trainer's configuration file: flat TOML keys, unknown ones refused, all mistakes told at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from storage.errors import UserError

Config = TypeVar("Config", bound=BaseModel)


def read_flat(
    kind: type[Config], path: Path | None, overrides: Mapping[str, Any], *, context: Mapping[str, Any] | None = None
) -> Config:
    """Return a file's configuration with what is not None of `overrides` laid over it; UserError with all mistakes.

    context: what the configuration's validators may ask for.
    """
    given: dict[str, Any] = {}
    if path is not None:
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UserError(f"--config {path} cannot be read: {error}. Mend the file, flat keys only") from error
    given |= {key: value for key, value in overrides.items() if value is not None}
    try:
        return kind.model_validate(given, context=context)
    except ValidationError as error:
        lines = [f"- {_place(problem)}: {problem['msg']}, got {problem['input']!r}" for problem in error.errors()]
        known = ", ".join(kind.model_fields)
        raise UserError(
            f"the configuration {path or ''} has {len(lines)} mistakes:\n" + "\n".join(lines) + f"\nKeys: {known}"
        ) from error


def _place(problem: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in problem["loc"]) or "whole"

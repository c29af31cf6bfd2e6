"""A configuration as a job keeps it: the text as it was when the job was asked for, whatever becomes of the file.

Files it names (keys that end in `_file`) are looked for beside it, so a relative one is made absolute in the copy.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.errors import UserError

MAX_BYTES = 1 << 20


def keep_config(path: Path) -> str:
    """Return the text of a configuration file for a job's folder; UserError when it cannot be read or is no TOML."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"--config {path} has more than {MAX_BYTES:,} bytes, and is no configuration. Name another")
        text = path.read_text(encoding="utf-8")
        config = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"--config {path} cannot be read: {error}. Mend the file, flat keys only") from error
    anchored = anchor(config, path.parent)
    return text if anchored == config else to_toml(anchored)


def anchor(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a configuration whose files are named by full paths."""
    return {
        name: str((folder / value).resolve()) if name.endswith("_file") and isinstance(value, str) else value
        for name, value in config.items()
    }


def to_toml(config: Mapping[str, Any]) -> str:
    """Return flat keys as TOML; UserError for what is not flat."""
    return "".join(f"{_text(name)} = {_value(value)}\n" for name, value in config.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return _text(value)
    raise UserError(f"a configuration holds numbers, texts and lists of them, not {value!r:.80}. Leave it out")


def _text(text: str) -> str:
    """Return a TOML text: JSON's, but that TOML wants the character DEL escaped too."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{text!r:.80} is half a character. Type it again") from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""Write a workspace's tiers into its `afrel.toml` and leave every other byte of the file as it is.

Only the values that change are rewritten, where they stand; a new tier goes behind the others, a dropped one takes its
lines along. What comes out is parsed and must say what was meant and nothing else, or nothing is written.
"""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curation.tiers import Tier, parse_tiers
from storage import durable, locks
from storage.errors import UserError
from storage.ids import digest
from storage.workspace import CONFIG_NAME, Workspace

_HEADER = re.compile(r"[ \t]*\[\[[ \t]*(?:tiers|\"tiers\"|'tiers')[ \t]*\]\][ \t]*(?:#.*)?")
_ANY_HEADER = re.compile(r"[ \t]*\[")
_KEY = re.compile(r"[ \t]*(?:(tier|name|where)|\"(tier|name|where)\"|'(tier|name|where)')[ \t]*=[ \t]*")
_BASIC_ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\n": "\\n", "\r": "\\r"}
# How a value begins, and what ends it; the longer beginnings first.
_QUOTES = ('"""', "'''", '"', "'")


@dataclass(frozen=True, slots=True)
class SavedTiers:
    """The tiers as `afrel.toml` has them; `are_default` where it names none. `mark` changes when the file does."""

    tiers: tuple[Tier, ...]
    are_default: bool
    mark: str


@dataclass(slots=True)
class _Table:
    """A `[[tiers]]` table in the text: where it begins and ends, and where each value stands."""

    start: int
    end: int
    values: dict[str, tuple[int, int]]


def read_tiers(root: Path) -> SavedTiers:
    """Return the tiers of a workspace as they are on disk now; UserError when the file is wrong."""
    workspace = Workspace.open(root)
    tables = workspace.config.get("tiers", [])
    return SavedTiers(parse_tiers(tables), not tables, _mark(_read(_path(root))))


def save_tiers(root: Path, tiers: Sequence[Tier], *, mark: str) -> SavedTiers:
    """Write a workspace's tiers; UserError when they are wrong, or the file is not the one that `mark` is of."""
    parse_tiers([tier.to_table() for tier in tiers])
    path = _path(root)
    with locks.exclusive_folder(root):
        text = _read(path)
        if _mark(text) != mark:
            raise UserError(
                f"{path} was changed meanwhile, so nothing was written. Look at the tiers as they are now, then change "
                "them again"
            )
        changed = with_tiers(text, tiers)
        if changed != text:
            durable.replace(path, changed, folder=path.parent, mode=stat.S_IMODE(path.stat().st_mode))
    return read_tiers(root)


def with_tiers(text: str, tiers: Sequence[Tier]) -> str:
    """Return the text of an `afrel.toml` with other tiers; UserError when it says its tiers in a form that has to be
    changed by hand."""
    held = tomllib.loads(text)
    wanted = sorted(tiers, key=lambda tier: tier.tier)
    if list(parse_tiers(held.get("tiers", []))) == wanted and (held.get("tiers") or not text.strip()):
        return text
    changed = _changed(text, held.get("tiers", []), wanted)
    meant = {**held, "tiers": [tier.to_table() for tier in wanted]}
    try:
        said = tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        said = {}
    in_order = {**said, "tiers": sorted(said.get("tiers", []), key=lambda table: str(table.get("tier")).zfill(12))}
    if in_order != meant:
        raise UserError(
            f"{CONFIG_NAME} says its tiers in a form that is not rewritten here, so nothing was written. "
            "Change them in the file, each under a line [[tiers]]"
        )
    return changed


def _changed(text: str, held: Sequence[dict[str, object]], wanted: Sequence[Tier]) -> str:
    """Return the text with tiers changed where they stand, dropped, and added behind the last."""
    places = _tables(text)
    if len(places) != len(held):
        return ""
    new = {tier.tier: tier for tier in wanted}
    kept = {table.get("tier") for table in held} & new.keys()
    edits: list[tuple[int, int, str]] = []
    for table, values in zip(places, held, strict=True):
        tier = new.get(values.get("tier"))  # type: ignore[call-overload]
        if tier is None:
            edits.append((table.start, table.end, ""))
            continue
        for key, value in tier.to_table().items():
            if values.get(key) != value and key in table.values:
                edits.append((*table.values[key], _value(value)))
    added = "".join(_table(tier, newline=_newline(text)) for tier in wanted if tier.tier not in kept)
    if added:
        at = places[-1].end if places else len(text)
        is_line_open = at > 0 and not text[:at].endswith("\n")
        edits.append((at, at, (_newline(text) if is_line_open else "") + added))
    for start, end, value in sorted(edits, reverse=True):
        text = text[:start] + value + text[end:]
    return text


def _tables(text: str) -> list[_Table]:
    """Return the `[[tiers]]` tables of a TOML text, each to the end of its last value's line."""
    tables: list[_Table] = []
    is_inside = False
    at = 0
    while at < len(text):
        line_end = text.find("\n", at)
        line_end = len(text) if line_end < 0 else line_end
        line = text[at:line_end]
        if _ANY_HEADER.match(line):
            is_inside = _HEADER.fullmatch(line.rstrip("\r")) is not None
            if is_inside:
                tables.append(_Table(at, min(line_end + 1, len(text)), {}))
        elif "=" in line and not line.lstrip().startswith("#"):
            key = _KEY.match(line)
            begin = at + (key.end() if key else line.index("=") + 1)
            end = _value_end(text, begin)
            line_end = text.find("\n", end)
            line_end = len(text) if line_end < 0 else line_end
            if is_inside:
                tables[-1].end = min(line_end + 1, len(text))
                if key:
                    tables[-1].values[key[1] or key[2] or key[3]] = (begin, end)
        at = line_end + 1
    return tables


def _value_end(text: str, begin: int) -> int:
    """Return where a value ends: behind its closing quotes or bracket, or before a comment."""
    depth = 0
    at = begin
    while at < len(text):
        quote = next((quote for quote in _QUOTES if text.startswith(quote, at)), None)
        if quote is not None:
            at = _string_end(text, at, quote)
            if not depth:
                return at
            continue
        character = text[at]
        if depth and character == "#":
            at = text.find("\n", at)
            if at < 0:
                return len(text)
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
            if not depth:
                return at + 1
        elif not depth and character in "#\r\n":
            break
        at += 1
    return begin + len(text[begin:at].rstrip(" \t"))


def _string_end(text: str, at: int, quote: str) -> int:
    """Return where a string ends that begins here; at most two quotes may stand before three closing ones."""
    at += len(quote)
    while at < len(text) and not text.startswith(quote, at):
        at += 2 if text[at] == "\\" and quote[0] == '"' else 1
    at += len(quote)
    while len(quote) == 3 and text.startswith(quote[0], at):
        at += 1
    return min(at, len(text))


def _value(value: object) -> str:
    """Return a whole number or a text as TOML; a text of several lines stays readable."""
    if isinstance(value, int):
        return str(value)
    text = str(value)
    is_plain = all(character in "\n\t" or (character.isprintable()) for character in text)
    if "\n" in text and is_plain and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''"
    return '"' + "".join(_BASIC_ESCAPES.get(char) or _escaped(char) for char in text) + '"'


def _escaped(character: str) -> str:
    is_control = ord(character) < 32 or ord(character) == 127
    return f"\\u{ord(character):04x}" if is_control else character


def _table(tier: Tier, *, newline: str) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in tier.to_table().items()]
    return newline.join(["", "[[tiers]]", *lines, ""])


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _path(root: Path) -> Path:
    return (root / CONFIG_NAME).resolve()


def _read(path: Path) -> str:
    """Return the file's text with its line ends as they are."""
    return path.read_bytes().decode("utf-8")


def _mark(text: str) -> str:
    return digest(text)

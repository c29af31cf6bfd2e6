"""Cut a predicate's text into words, names, texts, numbers and operators.

Outside quotes only plain ASCII has a meaning: no look-alike letter, invisible space or full-width semicolon reaches the
grammar. One regular expression, read once from left to right: the time is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from storage.errors import UserError

_TOKEN = re.compile(
    r"""
    (?P<blank>   [ \t\r\n]+ | --[^\n]* | /\*(?:(?!/\*).)*?\*/ )
  | (?P<number>  (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?(?![A-Za-z0-9_.]) )
  | (?P<text>    '(?:[^']|'')*+' )
  | (?P<name>    "(?:[^"]|"")++" )
  | (?P<word>    [A-Za-z_][A-Za-z0-9_]* )
  | (?P<sign>    ->>|::|:=|<=|>=|<>|!=|==|&&|@>|<@|//|->|\|\||\*\*|<<|>>|[-+*/%<>=(),\[\]] )
    """,
    re.VERBOSE | re.DOTALL,
)
MAX_NUMBER_CHARACTERS = 30
# What a character opens that this grammar has no use for.
_OPENS = {
    "'": "an unclosed quote",
    '"': "an unclosed or empty quoted name",
    "/": "an unclosed comment",
    ";": "a second statement",
    "?": "a parameter",
    "$": "a parameter",
    ":": "a parameter",
    "#": "a positional column",
    ".": "a qualified name",
    "{": "a struct",
    "~": "a regular expression",
    "^": "a power",
}


class Kind(Enum):
    """What a token is. A WORD is lower-cased, a NAME and a TEXT are without their quotes."""

    NUMBER = "number"
    TEXT = "text"
    NAME = "name"
    WORD = "word"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token. `value` is what it means, `place` where it begins in the text."""

    kind: Kind
    value: str
    place: int

    def is_word(self, *words: str) -> bool:
        return self.kind is Kind.WORD and self.value in words

    def is_sign(self, *signs: str) -> bool:
        return self.kind is Kind.SIGN and self.value in signs


def refusal(text: str, what: str, place: int | None = None) -> UserError:
    """Return the error for a predicate: its text, what is wrong, the line and column."""
    where = ""
    if place is not None:
        line_start = text.rfind("\n", 0, place) + 1
        where = f" (line {text.count(chr(10), 0, place) + 1}, column {place - line_start + 1})"
    return UserError(f"predicate {text if len(text) <= 120 else f'{text[:119]}…'!r} {what}{where}.")


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a predicate and an END; UserError at the first character that begins none."""
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _no_token(text, place)
        written = found.group()
        match found.lastgroup:
            case "number":
                if len(written) > MAX_NUMBER_CHARACTERS:
                    raise refusal(text, f"holds a number of over {MAX_NUMBER_CHARACTERS} characters", place)
                yield Token(Kind.NUMBER, written, place)
            case "text":
                yield Token(Kind.TEXT, written[1:-1].replace("''", "'"), place)
            case "name":
                yield Token(Kind.NAME, written[1:-1].replace('""', '"'), place)
            case "word":
                yield Token(Kind.WORD, written.lower(), place)
            case "sign":
                yield Token(Kind.SIGN, written, place)
        place = found.end()
    yield Token(Kind.END, "", len(text))


def _no_token(text: str, place: int) -> UserError:
    character = text[place]
    if character.isdigit() and character.isascii():
        written = re.match(r"[\w.]+", text[place:], re.ASCII)
        assert written is not None
        return refusal(text, f"holds {written.group()[:MAX_NUMBER_CHARACTERS]!r}, which is no plain decimal", place)
    if character in _OPENS:
        return refusal(text, f"uses {_OPENS[character]}, which is not allowed", place)
    name = unicodedata.name(character, "no name")
    return refusal(text, f"holds {character!r} (U+{ord(character):04X}, {name}), which has no meaning here", place)

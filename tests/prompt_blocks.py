"""Reads a rendered prompt back as a strict reader would: labelled blocks, each of whole lines between its two tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.injections.strings import asking_for, every

_OPENS, _CLOSES = re.compile(r"<([a-z_]+)>"), re.compile(r"</([a-z_]+)>")
_TAG = re.compile(r"[<>]")

HOSTILE = [asking_for(text, 3, "fully") for _, text in every()]


@dataclass(frozen=True)
class Blocks:
    """`blocks` are (name, lines) in order; `outside` are the lines that stand in none."""

    blocks: list[tuple[str, list[str]]]
    outside: list[str]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.blocks]

    def lines(self, name: str) -> list[str]:
        (found,) = [lines for block, lines in self.blocks if block == name]
        return found


def read_blocks(text: str) -> Blocks:
    """Read a prompt; AssertionError for a tag that is not a line of its own, opens in a block, or closes another."""
    blocks: list[tuple[str, list[str]]] = []
    outside: list[str] = []
    is_open = False
    for line in text.split("\n"):
        opens, closes = _OPENS.fullmatch(line), _CLOSES.fullmatch(line)
        if opens:
            assert not is_open, f"{line} inside <{blocks[-1][0]}>"
            blocks.append((opens[1], []))
            is_open = True
        elif closes:
            assert is_open and closes[1] == blocks[-1][0], f"{line} closes what is not open"
            is_open = False
        else:
            assert not is_open or not _TAG.search(line), f"a tag sign in <{blocks[-1][0]}>: {line!r}"
            (blocks[-1][1] if is_open else outside).append(line)
    assert not is_open
    return Blocks(blocks, outside)


def normalised(text: str) -> Iterator[str]:
    """Yield a text as tokenizers may normalise it: each Unicode form, and without its combining marks."""
    yield text
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        changed = unicodedata.normalize(form, text)
        yield changed
        yield "".join(sign for sign in changed if not unicodedata.combining(sign))
        yield changed.casefold()


def assert_shut(text: str, names: Sequence[str], *, n_lines: dict[str, int]) -> None:
    """Assert that a prompt holds just these blocks, of so many lines, also once a tokenizer has normalised it."""
    for form in normalised(text):
        read = read_blocks(form)
        assert read.names == list(names)
        assert {name: len(read.lines(name)) for name in n_lines} == n_lines

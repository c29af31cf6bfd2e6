"""A file of texts, one a line, and which of its lines say a query that models are measured on.

A line leaks when it, or one of its tab-separated cells, is nearly a held-back query, or when it says one of five words
or more in one run. Shorter queries inside longer lines are everyday words ("leather bag") and leak nothing. Lines that
leak are left out; nothing else of the file is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curation.near_duplicates import find_leaks
from curation.text import tokenize
from storage.errors import UserError

MAX_LINE_BYTES = 2**20
RUN_WORDS = 5
_N_NAMED = 20


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file as it was read. lines: number from 1 and text, blank ones left out. sha256: of its bytes."""

    path: Path
    sha256: str
    lines: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class CheckedTexts:
    """What is left of a file without the lines that leak, and the numbers of those."""

    file: TextFile
    texts: tuple[str, ...]
    leaking: tuple[int, ...]

    def to_content(self) -> dict[str, Any]:
        """Return what a run's record says of it."""
        return {
            "path": str(self.file.path), "sha256": self.file.sha256, "n_lines": len(self.file.lines),
            "n_leaking": len(self.leaking), "leaking": list(self.leaking[:_N_NAMED]),
        }  # fmt: skip


def read_text_file(path: Path) -> TextFile:
    """Read a file of texts; UserError for one that is missing, empty, not UTF-8, or has a line of over 1 MiB."""
    digest = hashlib.sha256()
    lines: list[tuple[int, str]] = []
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                digest.update(raw)
                if len(raw) > MAX_LINE_BYTES:
                    raise UserError(
                        f"text_file {path}: line {number} has over {MAX_LINE_BYTES // 2**20} MiB, and a line is one "
                        f"text. Break it up: fold -s -w 10000 {path} > texts.txt, and name that file"
                    )
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    lines.append((number, text))
    except UnicodeDecodeError as error:
        raise UserError(
            f"text_file {path}: line {number} is not UTF-8 ({error.reason}, byte {error.start}). "
            f"Convert it: iconv -f GB18030 -t UTF-8 {path} > texts.txt, with the encoding it has"
        ) from error
    except OSError as error:
        raise UserError(
            f"text_file {path} cannot be read: {error.strerror}. Name a file of texts, one a line"
        ) from error
    if not lines:
        raise UserError(f"text_file {path} holds no text. Name a file of texts, one a line, or leave text_file out")
    return TextFile(path, digest.hexdigest(), tuple(lines))


def leave_out_leaks(file: TextFile, held_back: Mapping[str, str]) -> CheckedTexts:
    """Return a file's texts without those that say a held-back query (texts by id); UserError when none is left."""
    found = leaking_lines(file.lines, held_back)
    texts = tuple(text for number, text in file.lines if number not in found)
    if not texts:
        raise UserError(
            f"text_file {file.path}: each of its {len(file.lines)} lines says a dev or test query, so none may be "
            "learnt from. Name a file of other texts, or leave text_file out"
        )
    return CheckedTexts(file, texts, tuple(sorted(found)))


def leaking_lines(lines: Sequence[tuple[int, str]], held_back: Mapping[str, str]) -> dict[int, str]:
    """Return the numbers of the lines that say a held-back query, each with the text of one that it says."""
    parts = [(str(number), part) for number, text in lines for part in {text, *text.split("\t")} if part.strip()]
    queries = pl.DataFrame({"query_id": list(held_back), "query": list(held_back.values())}, _QUERIES)
    near = find_leaks(pl.DataFrame(parts, _PARTS, orient="row"), queries)
    found = dict(zip(map(int, near["pair_id"].to_list()), near["matched"].to_list(), strict=True))
    by_start: dict[tuple[str, ...], list[tuple[list[str], str]]] = {}
    for query in held_back.values():
        words = tokenize(query)
        if len(words) >= RUN_WORDS:
            by_start.setdefault(tuple(words[:RUN_WORDS]), []).append((words, query))
    for number, text in lines if by_start else ():
        if number not in found and (said := _said(tokenize(text), by_start)) is not None:
            found[number] = said
    return found


_QUERIES = {"query_id": pl.String, "query": pl.String}
_PARTS = {"pair_id": pl.String, "query": pl.String}


def _said(words: list[str], by_start: Mapping[tuple[str, ...], list[tuple[list[str], str]]]) -> str | None:
    """Return a query whose words stand in one run among others; None when none does."""
    for at in range(len(words) - RUN_WORDS + 1):
        for query_words, query in by_start.get(tuple(words[at : at + RUN_WORDS]), ()):
            if words[at : at + len(query_words)] == query_words:
                return query
    return None

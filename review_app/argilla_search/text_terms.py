"""Texts as the terms they are found by, the same for what is indexed and what is typed.

Accents, width and case are folded. Scripts that write no spaces between words (Chinese, Japanese, and Korean, whose
words carry particles) become one term a character: the character with its neighbour, or alone where the run ends.
A phrase of two and more characters is then its pairs in a row, and one character is the start of a term. Invariant: a
term holds no ASCII but letters and digits, so the index may split at spaces and at nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

# Private use: no text folds to these, so neither can be typed.
EVERY_RECORD = "\ue000"
GAP = "\ue001"

_PAIRED = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUNS = re.compile(rf"[{_PAIRED}]+|[^\W_{_PAIRED}]+|[\u2190-\u2bff\U0001f000-\U0001faff]")
_IS_PAIRED = re.compile(rf"[{_PAIRED}]")
_ASCII_RUNS = re.compile(r"[a-z0-9]+")
# The marks of kana (voicing), of Indic scripts (nukta, virama): letters of their own, not accents.
_LETTER_MARKS = frozenset({7, 8, 9})


def folded(text: str) -> str:
    """Return the text without case, width, ligatures and accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = (
        c for c in apart if c.isascii() or unicodedata.combining(c) in _LETTER_MARKS or not unicodedata.combining(c)
    )
    return unicodedata.normalize("NFC", "".join(kept))


def runs_of(text: str) -> list[str]:
    """Return the words, the unspaced runs and the symbols (emoji, arrows) of a text, folded, in order."""
    plain = folded(text)
    return _ASCII_RUNS.findall(plain) if plain.isascii() else _RUNS.findall(plain)


def is_paired(run: str) -> bool:
    """Tell whether a run is of a script that is found by pairs of characters."""
    return _IS_PAIRED.match(run) is not None


def indexed_text(text: str) -> str:
    """Return the terms of a text, one at each place, separated by spaces."""
    terms: list[str] = []
    for run in runs_of(text):
        if is_paired(run):
            terms += [first + second for first, second in pairwise(run)]
            terms.append(run[-1])
        else:
            terms.append(run)
    return " ".join(terms)


def phrase_terms(text: str) -> tuple[list[str], bool]:
    """Return the terms that a text's occurrences hold in a row, and whether the last one is only a term's start.

    A run's last character stands as a term of its own only where the run ends: an unspaced run at the phrase's end may
    go on in the text, so it is looked for by its pairs, or if it is one character as the start of a term.
    """
    terms = indexed_text(text).split()
    runs = runs_of(text)
    if not runs or not is_paired(runs[-1]):
        return terms, False
    if len(runs[-1]) == 1:
        return terms, True
    return terms[:-1], False

"""Text as afrel compares it: one normal form, tokens, character grams, and what a query rules out.

Scripts that write no spaces (Han, kana, Thai, Lao, Khmer, Burmese) become overlapping character bigrams, because a
word list would tie the features to one language; everything else is words. All functions are pure and need no model,
so the same text gives the same tokens on any machine.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # fmt: skip # noqa: E501
# Vowel signs and diacritics belong to their word, yet `\w` leaves them out.
_MARKS = "".join(chr(code) for code in range(0x300, 0x1D00) if unicodedata.category(chr(code))[0] == "M")
_WORD = rf"(?:(?![{UNSPACED}_])[\w{_MARKS}])"
_TOKEN = re.compile(rf"(?P<run>[{UNSPACED}]+)|\d+(?:[.,]\d+)+(?![\d{_MARKS}])|{_WORD}+(?:['’]{_WORD}+)*")
_UNSPACED_CHARACTER = re.compile(rf"[{UNSPACED}]")
_APOSTROPHE = re.compile("['’]")
_PUNCTUATION = re.compile(
    "[" + re.escape("".join(chr(code) for code in range(0x3100) if unicodedata.category(chr(code))[0] == "P")) + "]"
)
# A hyphen or blank parts a text only beside other punctuation or an unspaced script: elsewhere it joins words.
_PART_BREAK = re.compile(
    rf"[_|—–,;:!?。，；：！？、]|-(?!\w)|(?<!\w)-|(?<=[{UNSPACED}])(?:-|\s+)|(?:-|\s+)(?=[{UNSPACED}])"
)

# Words that carry no constraint of their own; English only, because a wrong drop costs more than a kept word.
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be by can could do does for from had has have how i in into is it its me my of on or "
        "our should that the their them there these this those to was we were what when where which who why will with "
        "would you your",
    )
)
_NEGATION_WORD = (
    r"\b(?:without|excluding|except|not|no|never)\b(?!\s+(?:more|less|fewer|longer|bigger|smaller|later|over)\b)"
    r"(?:\s+(?:any|a|an|the|added|for|in|with))*"
)
_NEGATION_UNSPACED = r"不要|不含|不带|不用|没有|无需|除了|不是"
_NEGATED = re.compile(
    rf"{_NEGATION_WORD}\s+(?P<after>{_WORD}+)"
    rf"|(?P<free>{_WORD}+)-free\b"
    rf"|(?:{_NEGATION_UNSPACED})\s*(?P<unspaced>(?:(?!的)[{UNSPACED}]){{1,2}}|{_WORD}+)"
)


@dataclass(frozen=True, slots=True)
class Negation:
    """A query parted in what it asks for and what it rules out."""

    wanted: str
    ruled_out: tuple[str, ...]


def doc_text(title: str, body: str, fields: str) -> str:
    """Return all that a doc says: its title, its body, the values of its fields (a JSON object) by their names.

    Names of fields are left out: they are the same in every doc of a source and would make all of them alike.
    """
    values = () if fields in ("", "{}") else (str(value) for _, value in sorted(json.loads(fields).items()))
    return "\n".join([title, body, *values])


def normalise(text: str) -> str:
    """Return the form texts are compared in: NFKC, case folded."""
    return unicodedata.normalize("NFKC", text).casefold()


def comparable(text: str) -> str:
    """Return the form under which two spellings count as one text: normal, single blanks, no punctuation.

    Apostrophes vanish, other punctuation parts words; a text of nothing else keeps it.
    """
    normal = " ".join(normalise(text).split())
    return " ".join(_PUNCTUATION.sub(" ", _APOSTROPHE.sub("", normal)).split()) or normal


def tokenize(text: str) -> list[str]:
    """Split a text into words and numbers; a run of an unspaced script into its overlapping character bigrams."""
    return tokenize_normal(normalise(text))


def tokenize_normal(text: str) -> list[str]:
    """Split a text that is already in normal form."""
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if match.lastgroup == "run" and len(token) > 1:
            tokens += [token[i : i + 2] for i in range(len(token) - 1)]
        else:
            tokens.append(token)
    return tokens


def is_unspaced(text: str) -> bool:
    """Whether the text holds a character of a script that writes no spaces."""
    return _UNSPACED_CHARACTER.search(text) is not None


def singular(token: str) -> str:
    """Return a word without its English plural `s`, so that `lamps` finds `lamp`; other tokens as they are."""
    if len(token) > 3 and token[-1] == "s" and token[-2] not in "su'’" and token.isascii():
        return token[:-1]
    return token


def count_parts(text: str) -> int:
    """Return how many parts the punctuation of a normal text cuts it in, e.g. `title - site name` is 2."""
    return sum(bool(part.strip()) for part in _PART_BREAK.split(text))


def squeeze(text: str) -> str:
    """Return a normal text with its blanks removed: the characters that grams are counted over."""
    return "".join(text.split())


def grams(squeezed: str) -> set[str]:
    """Return the distinct character 2-grams; a single character is its own gram."""
    return {squeezed[i : i + 2] for i in range(len(squeezed) - 1)} or ({squeezed} if squeezed else set())


def longest_match(first: str, second: str) -> str:
    """Return the longest string that stands in both texts, the earliest in `first` of equals; empty when none does."""
    begin = length = 0
    for start in range(len(first)):
        while start + length < len(first) and first[start : start + length + 1] in second:
            begin, length = start, length + 1
    return first[begin : begin + length]


def split_negation(text: str) -> Negation:
    """Part a normal text in what is asked for and the words it rules out (`without x`, `no x`, `x-free`, `不要…`).

    One word is ruled out for each cue, or two characters of an unspaced script: the scope of a negation is not
    written, and a narrow reading errs on the side of asking for more.
    """
    ruled_out = tuple(match["after"] or match["free"] or match["unspaced"] for match in _NEGATED.finditer(text))
    return Negation(_NEGATED.sub(" ", text), ruled_out) if ruled_out else Negation(text, ())


def content_terms(tokens: Sequence[str]) -> list[str]:
    """Return the distinct tokens in order, without stop words unless nothing else is there."""
    distinct = list(dict.fromkeys(tokens))
    return [token for token in distinct if token not in STOP_WORDS] or distinct


def join_bigrams(terms: Sequence[str]) -> list[str]:
    """Put overlapping neighbour bigrams of an unspaced script back together, for a person or a prompt to read."""
    joined: list[str] = []
    for term in terms:
        if joined and len(term) == 2 and is_unspaced(term) and is_unspaced(joined[-1]) and joined[-1][-1] == term[0]:
            joined[-1] += term[1]
        else:
            joined.append(term)
    return joined

"""Texts as sets of hashed tokens, many at once: words, and character 3-grams where a script writes no spaces.

Two texts that are the same to `curation.text.comparable` get the same set. Everything runs on arrays of code points,
a chunk of texts at a time, because a loop over tokens in Python would cost more than all comparisons together. A
token is 32 bits of a multilinear hash with fixed weights, so the same text gives the same set on any machine; two
words in four billion share one, which no similarity of whole texts can feel.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from curation.text import UNSPACED, comparable, normalise

Tokens = NDArray[np.uint32]
Offsets = NDArray[np.int64]
_Symbols = NDArray[np.uint32]

LARGEST_TOKEN = 0xFFFF_FFFD  # the two above it are padding where sets are compared
CHUNK_CHARACTERS = 300_000  # small enough to stay in the cache
_THREADS = 2
_GRAM = 3
_SEPARATOR = "\0"
_BLANK, _WORD, _UNSPACED, _DELETED = range(4)
_BLANKS = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)
_N_WEIGHTS = 4096  # a token is read so far letter by letter; beyond, the weights come round again


@dataclass(frozen=True, slots=True)
class TokenSets:
    """Sets of tokens, one a text, end to end: the set i is `tokens[offsets[i]:offsets[i + 1]]`, ascending."""

    tokens: Tokens
    offsets: Offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many distinct tokens each text has; none for a text of blanks."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> TokenSets:
        """Return the sets of some rows, in their order."""
        sizes = self.sizes[rows]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        places = np.repeat(self.offsets[:-1][rows] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return TokenSets(self.tokens[places], offsets)


def concat_sets(parts: Sequence[TokenSets]) -> TokenSets:
    """Put sets of several parts behind one another."""
    sizes = np.concatenate([np.zeros(0, np.int64), *(part.sizes for part in parts)])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    return TokenSets(np.concatenate([np.zeros(0, np.uint32), *(part.tokens for part in parts)]), offsets)


def shingle(texts: Sequence[str]) -> TokenSets:
    """Return the token set of each text."""
    chunks = _chunks(texts)
    with ThreadPoolExecutor(_THREADS) as pool:
        return concat_sets(list(pool.map(_shingle_chunk, chunks)))


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    begin = n_characters = 0
    for at, text in enumerate(texts):
        n_characters += len(text) + 1
        if n_characters >= CHUNK_CHARACTERS:
            yield texts[begin : at + 1]
            begin, n_characters = at + 1, 0
    if begin < len(texts):
        yield texts[begin:]


def _shingle_chunk(texts: Sequence[str]) -> TokenSets:
    symbols, kinds = _symbols(texts)
    is_end = symbols == 0
    kinds = np.where(is_end, np.uint8(_BLANK), kinds)
    hashes, places = _tokens(symbols, kinds)
    ends = np.flatnonzero(is_end)
    rows = np.searchsorted(ends, places).astype(np.uint64)
    keys = np.concatenate([(rows << np.uint64(32)) | hashes, _odd_keys(texts, rows)])
    keys.sort()
    keys = keys[np.concatenate([np.ones(min(len(keys), 1), np.bool_), keys[1:] != keys[:-1]])]
    bounds = np.arange(len(texts) + 1, dtype=np.uint64) << np.uint64(32)
    return TokenSets((keys & np.uint64(0xFFFF_FFFF)).astype(np.uint32), np.searchsorted(keys, bounds).astype(np.int64))


def _symbols(texts: Sequence[str]) -> tuple[_Symbols, NDArray[np.uint8]]:
    """Return the code points of the texts in normal form, a 0 behind each text, and the kind of each."""
    joined = _SEPARATOR.join([*texts, ""])
    if joined.count(_SEPARATOR) != len(texts):
        joined = _SEPARATOR.join([*(text.replace(_SEPARATOR, " ") for text in texts), ""])
    # a lone half of a surrogate pair is no text; it counts as a sign like others
    symbols = np.frombuffer(normalise(joined).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = _kinds()[symbols]
    is_deleted = kinds == _DELETED
    if is_deleted.any():
        symbols, kinds = symbols[~is_deleted], kinds[~is_deleted]
    return symbols, kinds


def _tokens(symbols: _Symbols, kinds: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hash of each token and the place where it begins."""
    is_start = np.empty(len(kinds), np.bool_)
    is_start[:1] = True
    np.not_equal(kinds[1:], kinds[:-1], out=is_start[1:])
    starts = np.flatnonzero(is_start)
    lengths = np.diff(np.append(starts, len(kinds)))
    kind_of = kinds[starts]
    # a short run of an unspaced script is one token, as a word is; a long one gives its grams
    is_whole = (kind_of == _WORD) | ((kind_of == _UNSPACED) & (lengths < _GRAM))
    words, word_lengths = starts[is_whole], lengths[is_whole]
    found = [_hash_words(symbols, words, word_lengths)]
    places = [words]
    is_unspaced = kinds == _UNSPACED
    if is_unspaced.any():
        grams = np.flatnonzero(is_unspaced[:-2] & is_unspaced[1:-1] & is_unspaced[2:])
        found.append(_hash_words(symbols, grams, np.full(len(grams), _GRAM, np.int64)))
        places.append(grams)
    return np.concatenate(found), np.concatenate(places)


def _hash_words(symbols: _Symbols, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return 32 bits for each run of symbols: the high half of the sum of weight times symbol."""
    if not len(starts):
        return np.zeros(0, np.uint64)
    weights = _weights()
    begins = np.cumsum(lengths) - lengths
    # place in the text and place in the token, of every letter of every token
    places = np.arange(begins[-1] + lengths[-1], dtype=np.int32)
    positions = places - np.repeat(begins.astype(np.int32), lengths)
    places += np.repeat((starts - begins).astype(np.int32), lengths)
    letters = symbols.take(places).astype(np.uint64)
    letters += np.uint64(1)
    positions &= np.int32(_N_WEIGHTS - 1)
    letters *= weights.take(positions)
    sums: NDArray[np.uint64] = np.add.reduceat(letters, begins) + weights[-1]
    hashes: NDArray[np.uint64] = np.minimum(sums >> np.uint64(32), np.uint64(LARGEST_TOKEN))
    return hashes


def _odd_keys(texts: Sequence[str], rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return keys for texts of nothing but punctuation, which are their own single token."""
    has_token = np.zeros(len(texts), np.bool_)
    has_token[rows.astype(np.int64)] = True
    keys = []
    for row in np.flatnonzero(~has_token).tolist():
        kept = comparable(texts[row].replace(_SEPARATOR, " "))
        if kept:
            letters = np.frombuffer(kept.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
            (hashed,) = _hash_words(letters, np.zeros(1, np.int64), np.array([len(letters)]))
            keys.append((row << 32) | int(hashed))
    return np.array(keys, dtype=np.uint64)


@cache
def _weights() -> NDArray[np.uint64]:
    """Return fixed random weights; the last one is added to every sum."""
    return np.random.Generator(np.random.PCG64(20260201)).integers(
        0, 2**64, size=_N_WEIGHTS + 1, dtype=np.uint64
    ) | np.uint64(1)


@cache
def _kinds() -> NDArray[np.uint8]:
    """Return what each code point is to `comparable`: blank, of a word, of an unspaced script, or left out."""
    kinds = np.full(0x110000, _WORD, dtype=np.uint8)
    for first, last in re.findall("(.)(?:-(.))?", UNSPACED):
        kinds[ord(first) : ord(last or first) + 1] = _UNSPACED
    for code in range(0x3100):  # also within unspaced scripts: a Khmer full stop, a Japanese middle dot
        if unicodedata.category(chr(code))[0] == "P":
            kinds[code] = _BLANK
    kinds[[ord(blank) for blank in _BLANKS]] = _BLANK
    kinds[[ord("'"), ord("’")]] = _DELETED
    return kinds

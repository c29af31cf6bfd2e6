"""Near-duplicates: which texts are nearly the same, how nearly, named by id.

The measure is the Jaccard overlap of word sets (character 3-grams where a script writes no spaces). Bands of MinHash
propose pairs and every proposal is counted exactly, so no pair is told that is not one. Equal sets become one before
anything is proposed: ten thousand copies of a text cost no more than one, and nothing here is quadratic in them. A text
of one or two tokens has equals only, for one other word would decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.shingles import LARGEST_TOKEN, TokenSets
from curation.sketches import N_BANDS, Rows, Sketches, concat_sketches, sketch

THRESHOLD = 0.7  # what the bands are laid out for: below it they would miss pairs
MIN_TOKENS = 3
MAX_BUCKET = 64  # texts that share a band and are all held against each other; of more, each against MAX_NEIGHBOURS
MAX_NEIGHBOURS = 16
_PROPOSED_AT_ONCE = 8_000_000
_COUNTED_AT_ONCE = 2_000_000  # tokens
_LEAK_SCHEMA = {
    "pair_id": pl.String(), "query": pl.String(), "matched_id": pl.String(), "matched": pl.String(),
    "score": pl.Float64(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Similar:
    """What is similar among rows of sketches.

    `first` names for each row the first row with the same token set (itself for most). `earlier`, `later` and `score`
    are the pairs of similar but unequal sets, by their first rows, `earlier < later`, each once.
    """

    first: Rows
    earlier: Rows
    later: Rows
    score: NDArray[np.float64]

    def both_ways(self) -> pl.DataFrame:
        """Return row, other and score of every pair from both its ends, and of every first row with itself."""
        alone = np.unique(self.first)
        return pl.DataFrame(
            {
                "row": np.concatenate([self.earlier, self.later, alone]),
                "other": np.concatenate([self.later, self.earlier, alone]),
                "score": np.concatenate([self.score, self.score, np.ones(len(alone))]),
            }
        )


def find_similar(
    sketches: Sketches, *, asked: NDArray[np.bool_] | None = None, threshold: float = THRESHOLD
) -> Similar:
    """Return the pairs of Jaccard `threshold` or more; with `asked`, those in which at least one row is asked about."""
    sizes = sketches.sets.sizes
    first = _first_of_equals(sketches.sets)
    is_asked = np.ones(len(sketches), np.bool_)
    if asked is not None:
        is_asked = np.zeros(len(sketches), np.bool_)
        is_asked[first[asked]] = True
    rows = np.flatnonzero((first == np.arange(len(sketches))) & (sizes >= MIN_TOKENS))
    found: list[tuple[NDArray[np.uint64], NDArray[np.float64]]] = []
    for pairs in _proposed(sketches.bands, sizes, rows, is_asked, threshold):
        score = _jaccard(sketches.sets, (pairs >> np.uint64(32)).astype(np.int64), _low(pairs))
        is_near = score >= threshold
        found.append((pairs[is_near], score[is_near]))
    pairs = np.concatenate([np.zeros(0, np.uint64), *(pairs for pairs, _ in found)])
    score = np.concatenate([np.zeros(0), *(score for _, score in found)])
    pairs, once = np.unique(pairs, return_index=True)
    return Similar(first, (pairs >> np.uint64(32)).astype(np.int64), _low(pairs), score[once])


def find_leaks(train: pl.DataFrame, held_back: pl.DataFrame, threshold: float = THRESHOLD) -> pl.DataFrame:
    """Return the train pairs whose query is nearly one that is held back, with the most similar of those.

    `train` has pair_id and query, `held_back` query_id and query (dev and test). Returned: pair_id, query, matched_id,
    matched (its text) and score (Jaccard, 1.0 for spellings of the same words), in the order of `train`.
    """
    asked = train.select("query").unique(maintain_order=True)["query"].to_list()
    known = held_back.select("query_id", "query").unique("query", keep="first", maintain_order=True)
    if not asked or known.is_empty():
        return pl.DataFrame(schema=_LEAK_SCHEMA)
    together = concat_sketches([sketch(known["query_id"].to_list(), known["query"].to_list()), sketch(asked, asked)])
    nearest = nearest_earlier(together, n_earlier=len(known), threshold=threshold)
    matches = pl.DataFrame(
        {
            "query": [together.ids[row] for row in nearest["row"].to_list()],
            "matched_id": [together.ids[row] for row in nearest["other"].to_list()],
            "score": nearest["score"],
        },
        schema={name: _LEAK_SCHEMA[name] for name in ("query", "matched_id", "score")},
    )
    texts = known.select(pl.col("query_id").alias("matched_id"), pl.col("query").alias("matched"))
    return (
        train.select("pair_id", "query")
        .join(matches, on="query", maintain_order="left")
        .join(texts, on="matched_id", maintain_order="left")
        .select(list(_LEAK_SCHEMA))
    )


def nearest_earlier(sketches: Sketches, *, n_earlier: int, threshold: float = THRESHOLD) -> pl.DataFrame:
    """Return row, other and score: for each row from `n_earlier` on, the most similar of the rows before it.

    Of equally similar ones the first counts. Rows with none are left out, as are texts without a token.
    """
    n = len(sketches)
    asked = np.arange(n) >= n_earlier
    has_tokens = sketches.sets.sizes > 0
    similar = find_similar(sketches, asked=asked, threshold=threshold)
    rows = pl.DataFrame({"row": np.flatnonzero(asked & has_tokens), "first": similar.first[asked & has_tokens]})
    return (
        rows.join(similar.both_ways().rename({"row": "first"}), on="first")
        .filter(pl.col("other") < n_earlier)
        .sort("row", "score", "other", descending=[False, True, False])
        .unique("row", keep="first", maintain_order=True)
        .select("row", "other", "score")
    )


def _first_of_equals(sets: TokenSets) -> Rows:
    """Return for each set the first row that has the same one."""
    digests = sets.sizes.astype(np.uint64)
    begin = 0
    while begin < len(sets):
        # as many rows as have tokens enough to be worth the call, few enough to need no memory
        end = int(np.searchsorted(sets.offsets, sets.offsets[begin] + _COUNTED_AT_ONCE, side="right")) - 1
        end = min(max(end, begin + 1), len(sets))
        mixed = sets.tokens[sets.offsets[begin] : sets.offsets[end]].astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(15))) * np.uint64(0x9E37_79B9_7F4A_7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58_476D_1CE4_E5B9)
        total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed ^ (mixed >> np.uint64(32)))])
        digests[begin:end] += np.diff(total[sets.offsets[begin : end + 1] - sets.offsets[begin]])
        begin = end
    _, first, group = np.unique(digests, return_index=True, return_inverse=True)
    return first[group]


def _proposed(
    bands: NDArray[np.uint32], sizes: NDArray[np.int64], rows: Rows, is_asked: NDArray[np.bool_], threshold: float
) -> Iterator[NDArray[np.uint64]]:
    """Yield pairs of rows that share a band and whose sizes allow the threshold, as earlier << 32 | later."""
    waiting: list[NDArray[np.uint64]] = []
    n_waiting = 0
    asked_rows = rows[is_asked[rows]]
    is_partial = len(asked_rows) < len(rows)
    for band in range(N_BANDS):
        keys, members = np.ascontiguousarray(bands[rows, band]), rows
        if is_partial:  # a bucket without an asked row has nothing to say
            is_met = np.isin(keys, bands[asked_rows, band])
            keys, members = keys[is_met], members[is_met]
        if len(members) < 2:
            continue
        order = np.argsort(keys, kind="stable")
        for left, right in _neighbours(keys[order]):
            earlier, later = members[order[left]], members[order[right]]
            small, large = np.minimum(sizes[earlier], sizes[later]), np.maximum(sizes[earlier], sizes[later])
            is_possible = (small >= threshold * large) & (is_asked[earlier] | is_asked[later])
            pairs = (earlier[is_possible].astype(np.uint64) << np.uint64(32)) | later[is_possible].astype(np.uint64)
            waiting.append(pairs)
            n_waiting += len(pairs)
        if n_waiting > _PROPOSED_AT_ONCE:
            yield np.unique(np.concatenate(waiting))
            waiting, n_waiting = [], 0
    if n_waiting:
        yield np.unique(np.concatenate(waiting))


def _neighbours(keys: NDArray[np.uint32]) -> Iterator[tuple[Rows, Rows]]:
    """Yield places of equal sorted keys, the earlier first: all pairs of a small bucket, the nearest of a large one."""
    is_start = np.concatenate([np.ones(1, np.bool_), keys[1:] != keys[:-1]])
    starts = np.flatnonzero(is_start)
    lengths = np.diff(np.append(starts, len(keys)))
    begin = np.repeat(starts, lengths)
    length = np.repeat(lengths, lengths)
    place = np.arange(len(keys)) - begin
    is_large = length > MAX_BUCKET
    reach = np.where(is_large, np.minimum(place, MAX_NEIGHBOURS), place)
    active = np.flatnonzero(reach >= 1)
    step = 1
    while len(active):
        yield active - step, active
        step += 1
        active = active[reach[active] >= step]
    for nth in range(MAX_NEIGHBOURS):  # the first of a large bucket are those that stay
        far = np.flatnonzero(is_large & (place > MAX_NEIGHBOURS + nth))
        if not len(far):
            break
        yield begin[far] + nth, far


def _jaccard(sets: TokenSets, left: Rows, right: Rows) -> NDArray[np.float64]:
    """Return the exact Jaccard overlap of the sets of each pair of rows."""
    sizes = sets.sizes
    longest = np.maximum(sizes[left], sizes[right])
    order = np.argsort(longest, kind="stable")
    n_common = np.zeros(len(left), dtype=np.int64)
    begin = 0
    while begin < len(order):
        end = min(len(order), begin + max(1, _COUNTED_AT_ONCE // int(2 * longest[order[begin]])))
        end = min(end, begin + max(1, _COUNTED_AT_ONCE // int(2 * longest[order[end - 1]])))
        some = order[begin:end]
        width = int(longest[some[-1]])
        both = np.empty((len(some), 2 * width), dtype=np.uint32)
        for rows, at, padding in ((left[some], 0, LARGEST_TOKEN + 1), (right[some], width, LARGEST_TOKEN + 2)):
            places = np.arange(width)
            is_token = places < sizes[rows][:, None]
            taken = np.minimum(sets.offsets[rows][:, None] + places, len(sets.tokens) - 1)
            both[:, at : at + width] = np.where(is_token, sets.tokens[taken], np.uint32(padding))
        both.sort(axis=1)
        is_common = (both[:, 1:] == both[:, :-1]) & (both[:, 1:] <= LARGEST_TOKEN)
        n_common[some] = is_common.sum(axis=1)
        begin = end
    overlap: NDArray[np.float64] = n_common / np.maximum(sizes[left] + sizes[right] - n_common, 1)
    return overlap


def _low(pairs: NDArray[np.uint64]) -> Rows:
    return (pairs & np.uint64(0xFFFF_FFFF)).astype(np.int64)

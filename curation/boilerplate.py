"""The screen of worn-out rationales: words that were said of many other pairs say nothing of this one.

A rationale is cut into its runs of four words, and each run is counted over the rationales of all pairs at hand. Runs
are hashed and counted on arrays: a million rationales have some forty million.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.screening_context import Finding, ScreeningContext, failures, rationale, read_steps
from curation.text import tokenize

_RUN = 4
_WEIGHTS = (0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB, 0xD6E8_FEB8_6659_FD93)


def screen_boilerplate(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """A rationale made almost only of runs of words that many rationales of other pairs have too."""
    said = candidates.select("candidate_id", "pair_id", "steps")
    if context.other_rationales is not None:
        said = pl.concat([said, context.other_rationales.select("candidate_id", "pair_id", "steps")])
    runs = _word_runs(said["steps"].to_list())
    # one rationale of a pair counts: the same pair labelled ten times repeats itself rightly
    rows = said.with_row_index("row")
    counts = rows.select(pl.col("row") == pl.col("row").max().over("pair_id")).to_series().to_numpy()
    n_others = runs.n_having(counts) - 1  # its own pair has the run too
    is_worn = n_others >= context.config.boilerplate_repeats
    n_runs = np.bincount(runs.owner, minlength=len(said))
    n_worn = np.bincount(runs.owner, weights=is_worn, minlength=len(said))
    shares = (n_worn / np.maximum(n_runs, 1))[: len(candidates)]
    ids = said["candidate_id"].to_list()
    found = []
    for row in np.flatnonzero((shares >= context.config.boilerplate) & (n_worn[: len(candidates)] > 0)).tolist():
        worn = np.flatnonzero((runs.owner == row) & is_worn)
        reason = (
            f"{shares[row]:.0%} of its runs of {_RUN} words stand in {int(n_others[worn].min())} or more rationales "
            "of other pairs"
        )
        also = Counter(ids[owner] for place in worn.tolist() for owner in runs.some_having(place) if owner != row)
        found.append(Finding(ids[row], reason, float(shares[row]), also.most_common(1)[0][0]))
    return failures("boilerplate", found)


@dataclass(frozen=True, slots=True)
class _WordRuns:
    """Distinct runs of rationales, sorted by run: place i says that rationale `owner[i]` has run `run[i]`."""

    run: NDArray[np.uint64]
    owner: NDArray[np.int64]

    def n_having(self, counts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return for each place how many rationales that count have its run."""
        begins = self._begins()
        if not len(begins):
            return np.zeros(0, np.int64)
        totals = np.add.reduceat(counts[self.owner].astype(np.int64), begins)
        return np.repeat(totals, np.diff(np.append(begins, len(self.run))))

    def some_having(self, place: int, n: int = 3) -> list[int]:
        """Return the first rationales that have the run of a place."""
        begin = int(np.searchsorted(self.run, self.run[place]))
        alike = self.run[begin : begin + n] == self.run[place]
        return [int(owner) for owner in self.owner[begin : begin + n][alike]]

    def _begins(self) -> NDArray[np.int64]:
        is_first = np.ones(len(self.run), np.bool_)
        is_first[1:] = self.run[1:] != self.run[:-1]
        return np.flatnonzero(is_first)


def _word_runs(steps: list[str | None]) -> _WordRuns:
    lengths, codes = [], []
    for text in steps:
        tokens = tokenize(rationale(read_steps(text)))
        lengths.append(len(tokens))
        codes += [zlib.crc32(token.encode("utf-8", "surrogatepass")) for token in tokens]
    words = np.array(codes, dtype=np.uint64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    n = max(len(words) - _RUN + 1, 0)
    run = np.zeros(n, dtype=np.uint64)
    for at, weight in enumerate(_WEIGHTS):
        run = (run ^ (run >> np.uint64(29))) + words[at : at + n] * np.uint64(weight)
    is_whole = owner[:n] == owner[_RUN - 1 : _RUN - 1 + n]
    run, owner = run[is_whole], owner[:n][is_whole]
    order = np.lexsort((owner, run))
    run, owner = run[order], owner[order]
    is_new = np.ones(len(run), np.bool_)
    is_new[1:] = (run[1:] != run[:-1]) | (owner[1:] != owner[:-1])
    return _WordRuns(run[is_new], owner[is_new])

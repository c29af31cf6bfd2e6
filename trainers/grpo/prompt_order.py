"""Which train pairs a step samples answers to: a part of them evenly over the rules, the rest by grade or as they come.

Our own finding, not a paper's: what a pool seldom shows is forgotten whatever stands beside the reward, and prompts
drawn evenly over their rules bring it back from the same pool (docs/evidence.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainers.objectives.mode_balance import Draw, DrawnRows


class PromptOrder:
    """An endless, reproducible order of prompts: a function of seed and step alone, so a resumed run goes on in it."""

    def __init__(
        self,
        grades: Sequence[int],
        rules: Sequence[Sequence[str]],
        *,
        draw: Draw,
        by_rule: float,
        n_prompts: int,
        seed: int,
    ) -> None:
        """grades and rules: of each row, the rules those its answer cites. by_rule: the share of a step's prompts drawn
        evenly over the rules, in 0..1, rounded to whole prompts.
        """
        n_by_rule = round(by_rule * n_prompts)
        by_grade = [[str(grade)] for grade in grades]
        self._seed = seed
        self._parts = [
            DrawnRows(keys, how, n_rows=n, seed=seed + at)
            for at, (keys, how, n) in enumerate(
                ((rules, Draw.BALANCED, n_by_rule), (by_grade, draw, n_prompts - n_by_rule))
            )
            if n
        ]

    def at(self, step: int) -> list[int]:
        """Return the rows of a step, counted from 0. Mixed, so that the first few are drawn as the whole is."""
        rows = [row for part in self._parts for row in part.at(step)]
        return [rows[at] for at in np.random.default_rng([self._seed, 2, step]).permutation(len(rows))]

"""What any model must beat: always the commonest train grade, and the model-free labeller's proposals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence


def majority_grade(train_grades: Sequence[int]) -> int:
    """Return the commonest grade; of equally common ones the lowest. ValueError without grades."""
    if not train_grades:
        raise ValueError("no train grades, so no majority")
    counts = Counter(train_grades)
    return min(counts, key=lambda grade: (-counts[grade], grade))


def proposed_grades(pair_ids: Sequence[str], proposals: Mapping[str, int]) -> tuple[list[int], list[int]]:
    """Return the places of the pairs that have a proposal, and their proposed grades.

    A pair without one is left out, not counted as wrong: the baseline's n tells how many are in.
    """
    places = [at for at, pair_id in enumerate(pair_ids) if pair_id in proposals]
    return places, [proposals[pair_ids[at]] for at in places]

"""What grades of changed and unchanged pairs say of a judge: a line for each bias, with n, interval and bound.

A line passes when its whole 95% interval lies within the bound, so too small a sample passes nothing. That judges rate
too high and are moved by length and words is arXiv 2602.17170 (S); the bounds are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, variance

from curation.intervals import Interval, mean_interval, paired_change, wilson
from evolution.judges.perturbations import Bias
from storage.grades import Scale

MIN_N = 30  # fewer pairs pass no line, whatever they say
# The upper end of the interval may be this high: a share of pairs; of over-rating, a share of a grade.
BOUNDS: Mapping[Bias, float] = {
    Bias.LENGTH_PADDING: 0.10,
    Bias.KEYWORD_STUFFING: 0.10,
    Bias.ORDER: 0.20,
    Bias.PARAPHRASE: 0.20,
    Bias.OVER_RATING: 0.25,
}


@dataclass(slots=True)
class Rated:
    """One pair: the expert's grade, the judge's of the pair as it is, and of each change. Missing: it gave none."""

    expert: int
    plain: int | None = None
    changed: dict[Bias, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BiasLine:
    """One line of a card. `value` is None over nothing; `interval` where it cannot be told."""

    bias: Bias
    value: float | None
    interval: Interval | None
    n: int
    bound: float

    @property
    def is_passed(self) -> bool:
        return self.n >= MIN_N and self.interval is not None and self.interval.high <= self.bound

    @property
    def verdict(self) -> str:
        """Say why it passed or not."""
        if self.is_passed:
            return "passed"
        if self.n < MIN_N:
            return f"failed: {self.n} pairs, {MIN_N} are needed"
        return f"failed: the interval goes over {self.bound:g}"


def card_lines(rated: Sequence[Rated], scale: Scale) -> tuple[BiasLine, ...]:
    """Return a line for every bias, in their order.

    Padding and stuffing: the share of pairs rated higher less the share rated lower, of those an expert graded below
    the highest; a judge that errs by chance errs both ways, and which pairs are counted is no choice of its own. Order
    and paraphrase: the share rated otherwise, by chance or not. Over-rating: the mean of the judge's grade less the
    expert's, in grades of the scale.
    """
    return (
        _raised(Bias.LENGTH_PADDING, rated, scale),
        _raised(Bias.KEYWORD_STUFFING, rated, scale),
        _moved(Bias.ORDER, rated),
        _moved(Bias.PARAPHRASE, rated),
        _over_rating(rated, scale),
    )


def _raised(bias: Bias, rated: Sequence[Rated], scale: Scale) -> BiasLine:
    both = [(plain, changed) for expert, plain, changed in _both(bias, rated) if expert < scale.highest]
    n, n_raised = len(both), sum(changed > plain for plain, changed in both)
    n_lowered = sum(changed < plain for plain, changed in both)
    if not n:
        return BiasLine(bias, None, None, 0, BOUNDS[bias])
    interval = paired_change(n, n_lost=n_lowered, n_won=n_raised)
    return BiasLine(bias, (n_raised - n_lowered) / n, interval, n, BOUNDS[bias])


def _moved(bias: Bias, rated: Sequence[Rated]) -> BiasLine:
    both = _both(bias, rated)
    n_moved = sum(changed != plain for _, plain, changed in both)
    value = n_moved / len(both) if both else None
    return BiasLine(bias, value, wilson(n_moved, len(both)), len(both), BOUNDS[bias])


def _both(bias: Bias, rated: Sequence[Rated]) -> list[tuple[int, int, int]]:
    """Return expert's, plain and changed grade of the pairs that have both of the judge's."""
    return [
        (one.expert, one.plain, one.changed[bias]) for one in rated if one.plain is not None and bias in one.changed
    ]


def _over_rating(rated: Sequence[Rated], scale: Scale) -> BiasLine:
    over = [float(scale.position(one.plain) - scale.position(one.expert)) for one in rated if one.plain is not None]
    mean = fmean(over) if over else None
    interval = mean_interval(mean, variance(over), len(over)) if mean is not None and len(over) > 1 else None
    return BiasLine(Bias.OVER_RATING, mean, interval, len(over), BOUNDS[Bias.OVER_RATING])

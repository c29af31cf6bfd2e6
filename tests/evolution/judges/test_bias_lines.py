from __future__ import annotations

import pytest

from evolution.judges.bias_lines import MIN_N, Rated, card_lines
from evolution.judges.perturbations import Bias
from storage.grades import Scale

SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
SPARSE = Scale((0, 2, 3), ("bad", "fair", "good"))


def rated(plain: int, *, expert: int = 1, **changed: int) -> Rated:
    return Rated(expert, plain, {Bias(name): grade for name, grade in changed.items()})


def test_padding_counts_only_pairs_that_had_room_to_rise() -> None:
    """40 pairs: 10 of the highest grade, of the other 30 are 6 raised and 2 lowered: 4/30.

    With one case added to either: 7/32 - 3/32 = 1/8, and 1.96 * sqrt((10/32 - 1/64) / 32) = 0.1888.
    """
    pairs = [rated(2, expert=2, length_padding=0)] * 10 + [rated(0, length_padding=1)] * 6
    pairs += [rated(1, length_padding=0)] * 2 + [rated(1, length_padding=1)] * 22
    line = card_lines(pairs, SCALE)[0]
    assert (line.bias, line.n, line.value) == (Bias.LENGTH_PADDING, 30, pytest.approx(4 / 30))
    assert line.interval is not None and line.interval.high == pytest.approx(1 / 8 + 0.1888, abs=1e-4)
    assert not line.is_passed and "over 0.1" in line.verdict


def test_a_judge_that_errs_by_chance_errs_both_ways_and_is_not_called_biased() -> None:
    """7 of 100 raised and 7 lowered: nothing, with a half interval of 1.96 * sqrt(16 / 102) / sqrt(102) = 0.0769."""
    pairs = [rated(0, keyword_stuffing=1)] * 7 + [rated(1, keyword_stuffing=0)] * 7
    pairs += [rated(1, keyword_stuffing=1)] * 86
    line = card_lines(pairs, SCALE)[1]
    assert (line.n, line.value, line.is_passed) == (100, 0.0, True)
    assert line.interval is not None and line.interval.high == pytest.approx(0.0769, abs=1e-4)


def test_order_counts_a_change_in_either_direction() -> None:
    pairs = [rated(1, order=0), rated(1, order=2), rated(2, order=1)] + [rated(2, order=2)] * 97
    (line,) = [one for one in card_lines(pairs, SCALE) if one.bias is Bias.ORDER]
    assert (line.n, line.value, line.is_passed) == (100, pytest.approx(3 / 100), True)


def test_over_rating_is_counted_in_grades_of_the_scale() -> None:
    """On the scale 0, 2, 3 a 2 for a 0 is one grade too much: 8 of 32 pairs give a mean of 1/4."""
    pairs = [Rated(0, 2)] * 8 + [Rated(3, 3)] * 24
    (line,) = [one for one in card_lines(pairs, SPARSE) if one.bias is Bias.OVER_RATING]
    assert (line.n, line.value, line.is_passed) == (32, pytest.approx(1 / 4), False)


def test_under_rating_is_no_over_rating() -> None:
    pairs = [Rated(2, 1)] * 20 + [Rated(1, 1)] * 20
    (line,) = [one for one in card_lines(pairs, SCALE) if one.bias is Bias.OVER_RATING]
    assert (line.value, line.is_passed) == (pytest.approx(-1 / 2), True)


def test_too_few_pairs_pass_nothing_however_fair() -> None:
    pairs = [rated(1, length_padding=1, keyword_stuffing=1, order=1, paraphrase=1)] * (MIN_N - 1)
    for line in card_lines(pairs, SCALE):
        assert not line.is_passed and line.verdict == f"failed: {MIN_N - 1} pairs, {MIN_N} are needed"


def test_what_nobody_answered_is_unknown_and_not_zero() -> None:
    for line in card_lines([Rated(1), Rated(2)], SCALE):
        assert (line.value, line.interval, line.n, line.is_passed) == (None, None, 0, False)

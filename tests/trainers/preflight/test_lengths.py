from trainers.preflight.lengths import LengthBin, draw_bins, length_at, length_bins


def test_bins_are_equally_wide_and_hold_every_row_once() -> None:
    """The longest is 80, so of 8 bins each spans 10 tokens; 10 itself lies in the first, 11 in the second."""
    bins = length_bins([1, 10, 11, 20, 75, 80])
    assert [one.most for one in bins] == [10, 20, 30, 40, 50, 60, 70, 80]
    assert [one.n for one in bins] == [2, 2, 0, 0, 0, 0, 0, 2]


def test_short_rows_have_fewer_bins() -> None:
    assert length_bins([1, 2, 2]) == [LengthBin(1, 1), LengthBin(2, 2)]


def test_the_length_that_a_share_does_not_exceed() -> None:
    assert length_at([4, 3, 2, 1], 0.5) == 2
    assert length_at([4, 3, 2, 1], 0.51) == 3
    assert length_at(range(1, 101), 0.99) == 99
    assert length_at([7], 0.5) == 7


def test_bars_are_as_long_as_their_share_of_the_fullest() -> None:
    assert draw_bins([LengthBin(5, 4), LengthBin(10, 1)], width=8) == ["≤  5  ████████ 4", "≤ 10  ██       1"]

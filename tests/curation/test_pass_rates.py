from itertools import combinations

import pytest

from curation.pass_rates import pass_at


def test_it_is_the_share_of_draws_with_a_right_answer() -> None:
    """5 samples, 2 right; of the 10 pairs 3 hold none: 7/10. Every case is counted out."""
    assert pass_at(2, n_samples=5, n_right=2) == pytest.approx(7 / 10)
    for n in range(1, 6):
        draws = list(combinations([True, True, False, False, False], n))
        assert pass_at(n, n_samples=5, n_right=2) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_of_one_it_is_the_pass_rate() -> None:
    assert pass_at(1, n_samples=8, n_right=3) == pytest.approx(3 / 8)
    assert pass_at(1, n_samples=8, n_right=0) == 0
    assert pass_at(6, n_samples=8, n_right=3) == 1  # five wrong ones are too few for six


def test_with_fewer_samples_it_is_unknown_and_absurd_counts_are_refused() -> None:
    assert pass_at(5, n_samples=4, n_right=4) is None
    for n, n_samples, n_right in ((0, 4, 1), (1, 4, 5), (1, 4, -1)):
        with pytest.raises(ValueError, match="no counts"):
            pass_at(n, n_samples=n_samples, n_right=n_right)

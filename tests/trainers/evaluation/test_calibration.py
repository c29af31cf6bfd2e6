import numpy as np
import pytest

from trainers.evaluation.calibration import Bin, calibration_error, reliability


def test_calibration_error_by_hand() -> None:
    """Bins hold (count, confidence, right): |1.8 - 1| + |0.5 - 1| over 3 = 1.3/3."""
    assert calibration_error(np.array([[2, 1.8, 1], [1, 0.5, 1]])) == pytest.approx(1.3 / 3)


def test_a_reliability_diagram_counts_what_each_bin_holds() -> None:
    """Sure by .62 and .68 with one of them right: mean .65, 1/2. Sure by 1 falls in the last bin, not beyond it."""
    truth, predicted = np.array([0, 1, 1]), np.array([0, 0, 1])
    bins = reliability(truth, predicted, np.array([[0.62, 0.38], [0.68, 0.32], [0.0, 1.0]]))
    assert len(bins) == 10
    assert bins[6] == Bin(0.6, 0.7, 2, pytest.approx(0.65), 1 / 2)
    assert (bins[9].n, bins[9].confidence, bins[9].accuracy) == (1, 1.0, 1.0)
    assert bins[0] == Bin(0.0, 0.1, 0, None, None)

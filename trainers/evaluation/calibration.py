"""Whether a model is as often right as it says it is: bins of confidence, and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainers.evaluation.resampling import Floats, Ints, divide

N_BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The pairs whose grade was given with a confidence from `low` to `high`; means are None where there are none."""

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


def bin_sums(truth: Ints, predicted: Ints, probabilities: Floats, query: Ints, n_queries: int) -> Floats:
    """Return each query's bins, shape (Q, N_BINS, 3): count, sum of confidence, number right.

    Confidence is the probability (n, K) of the predicted grade; 1 falls in the last bin.
    """
    confidence = probabilities[np.arange(len(predicted)), predicted]
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    sums = np.zeros((n_queries, N_BINS, 3))
    for column, values in enumerate((np.ones(len(truth)), confidence, (truth == predicted).astype(float))):
        np.add.at(sums[:, :, column], (query, bins), values)
    return sums


def calibration_error(bins: Floats) -> Floats:
    """Return the expected calibration error of bins (..., N_BINS, 3): count, sum of confidence, number right."""
    count, confidence, right = bins[..., 0], bins[..., 1], bins[..., 2]
    return divide(np.abs(confidence - right).sum(axis=-1), count.sum(axis=-1))


def reliability(truth: Ints, predicted: Ints, probabilities: Floats) -> list[Bin]:
    """Return what a reliability diagram draws: of each bin how sure the model was, and how often right."""
    (sums,) = bin_sums(truth, predicted, probabilities, np.zeros(len(truth), dtype=np.int64), 1)
    found = []
    for place, (count, confidence, right) in enumerate(sums.tolist()):
        means = (confidence / count, right / count) if count else (None, None)
        found.append(Bin(place / N_BINS, (place + 1) / N_BINS, int(count), *means))
    return found

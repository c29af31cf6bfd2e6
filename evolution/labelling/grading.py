"""From rule votes and lexical evidence to a grade and a confidence.

A rule that votes moves the log odds of each grade by what it was seen to mean on train judgments; several votes are
averaged, because rules overlap and are no independent witnesses. The grade is chosen from the distribution tilted
towards rare grades, for a plain arg-max never says them; the tilt is the one with the best macro-F1 on train among
those that cost no more than a point of accuracy. The confidence is the untilted probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score

from evolution.labelling.evidence_model import EvidenceModel, fit_evidence
from storage.grades import Scale

BELIEF = 4.0  # an approved rule starts with the weight of four cases …
BELIEF_RIGHT = 0.75  # … three of them right
TILTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
VOTE_WEIGHT = 0.4
MAX_ACCURACY_LOSS = 0.01

Matrix = NDArray[np.float64]
Votes = NDArray[np.bool_]  # pairs × rules: whether the rule's condition holds


@dataclass(frozen=True, slots=True)
class Proposal:
    """A grade and how sure the distribution is of it, 0 to 1."""

    grade: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Grader:
    """Fitted on train judgments. `meanings` (rules × grades) are log odds; `prior` is the share of each grade."""

    scale: Scale
    evidence: EvidenceModel
    meanings: Matrix
    prior: Matrix
    tilt: float
    judged: dict[str, Matrix]

    def distributions(self, features: pl.DataFrame, votes: Votes) -> Matrix:
        """Return the grade distributions (pairs × grades); train pairs without their own judgment."""
        told = self.evidence.predict(features)
        for row, pair_id in enumerate(features["pair_id"]):
            if pair_id in self.judged:
                told[row] = self.judged[pair_id]
        return _combine(told, votes, self.meanings)

    def propose(self, features: pl.DataFrame, votes: Votes) -> list[Proposal]:
        """Return a proposal for each pair, in order."""
        told = self.distributions(features, votes)
        chosen = np.argmax(_tilted(told, self.prior, self.tilt), axis=1) if len(told) else np.empty(0, np.intp)
        return [Proposal(self.scale.values[int(k)], round(float(told[row, k]), 4)) for row, k in enumerate(chosen)]


def fit_grader(
    features: pl.DataFrame,
    grades: Sequence[int],
    votes: Votes,
    rule_grades: Sequence[int],
    *,
    queries: Sequence[str],
    scale: Scale,
    seed: int = 0,
) -> Grader:
    """Fit evidence, vote meanings and tilt on judged train pairs; with none, rules and the fixed rule speak alone."""
    fitted = fit_evidence(features, grades, queries=queries, scale=scale, seed=seed)
    truth = np.asarray([scale.position(grade) for grade in grades], np.intp)
    one_hot = np.eye(len(scale.values))[truth] if truth.size else np.zeros((0, len(scale.values)))
    prior = (one_hot.sum(axis=0) + 1.0) / (truth.size + len(scale.values))
    meanings = _meanings(votes, one_hot, prior, [scale.position(grade) for grade in rule_grades])
    told = _combine(fitted.out_of_fold, votes, meanings)
    tilt = _best_tilt(told, truth, prior)
    judged = dict(zip(features["pair_id"].to_list(), fitted.out_of_fold, strict=True))
    return Grader(scale, fitted.model, meanings, prior, tilt, judged)


def _meanings(votes: Votes, one_hot: Matrix, prior: Matrix, positions: Sequence[int]) -> Matrix:
    """Return what each rule's vote means: log of (grades seen where it holds, with a belief) over the prior."""
    n_rules, n_grades = len(positions), len(prior)
    if not n_rules:
        return np.zeros((0, n_grades))
    seen = votes.astype(np.float64).T @ one_hot
    others = prior[None, :].repeat(n_rules, axis=0)
    others[np.arange(n_rules), positions] = 0.0
    belief = (1.0 - BELIEF_RIGHT) * others / others.sum(axis=1, keepdims=True)
    belief[np.arange(n_rules), positions] = BELIEF_RIGHT
    rates = (seen + BELIEF * belief) / (seen.sum(axis=1, keepdims=True) + BELIEF)
    return np.asarray(np.log(rates / prior[None, :]))


def _combine(told: Matrix, votes: Votes, meanings: Matrix) -> Matrix:
    """Add the mean log odds of the rules that vote to the evidence, and normalise."""
    if not meanings.shape[0] or not told.shape[0]:
        return told
    n_votes = votes.sum(axis=1, keepdims=True)
    logits = np.log(told) + VOTE_WEIGHT * (votes @ meanings) / np.maximum(n_votes, 1)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _tilted(told: Matrix, prior: Matrix, tilt: float) -> Matrix:
    return np.asarray(told / prior[None, :] ** tilt)


def _best_tilt(told: Matrix, truth: NDArray[np.intp], prior: Matrix) -> float:
    if truth.size == 0:
        return 0.0
    scores = []
    for tilt in TILTS:
        chosen = np.argmax(_tilted(told, prior, tilt), axis=1)
        macro = float(f1_score(truth, chosen, average="macro", zero_division=0.0))
        scores.append((float(accuracy_score(truth, chosen)), macro, tilt))
    best = max(accuracy for accuracy, _, _ in scores)
    allowed = [score for score in scores if score[0] >= best - MAX_ACCURACY_LOSS]
    return max(allowed, key=lambda score: (score[1], -score[2]))[2]

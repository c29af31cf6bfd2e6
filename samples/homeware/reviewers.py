"""Three reviewers and an adjudicator, as their answers were recorded.

Errors are what people make: the neighbouring grade, more often in the middle of the scale; the frequent rule where a
rare one overrides it; now and then a slip of the finger. The error rate is set by bisection on Cohen's kappa with
linear weights against the truth, over all of a reviewer's graded responses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from samples.homeware.pairing import Pair
from samples.homeware.truth import share

TARGET_KAPPAS = {"ana": 0.60, "bo": 0.70, "chen": 0.80}
ADJUDICATOR, ADJUDICATOR_KAPPA = "dora", 0.90
SHARED_RATE = 0.20
SLIP_RATE = 0.03
CANNOT_TELL_RATE, DISCARDED_RATE = 0.014, 0.006
# One sitting in which a reviewer pressed almost the same key all the time.
CARELESS_REVIEWER, CARELESS_FROM, CARELESS_LENGTH, CARELESS_GRADE = "ana", 861, 80, 2
PACE = {"ana": 6.8, "bo": 8.0, "chen": 9.6}  # median seconds a pair
DISCARD_REASONS = (
    "title and body describe different things",
    "body is cut off",
    "several products in one listing",
    "query is too vague to judge",
)
GENERIC_REASONS = {
    0: "Not what the shopper is looking for.",
    1: "Related, but most shoppers would look further.",
    2: "A good answer with one thing off.",
    3: "Answers the query as asked.",
}


@dataclass(frozen=True, slots=True)
class Response:
    """One recorded answer: a grade, or an act (cannot_tell, discarded) without one."""

    pair: Pair
    reviewer: str
    sequence: int
    seconds: float
    grade: int | None
    act: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Adjudication:
    pair: Pair
    grade: int
    reason: str


def linear_kappa(given: Sequence[int], true: Sequence[int], *, n_grades: int = 4) -> float:
    """Return Cohen's kappa with weights |i - j|: 1 minus observed over chance disagreement."""
    n = len(given)
    observed = sum(abs(a - b) for a, b in zip(given, true, strict=True)) / n
    rates_given = [given.count(grade) / n for grade in range(n_grades)]
    rates_true = [true.count(grade) / n for grade in range(n_grades)]
    chance = sum(abs(a - b) * rates_given[a] * rates_true[b] for a in range(n_grades) for b in range(n_grades))
    return 1.0 - observed / chance


def record_responses(pairs: Sequence[Pair], *, seed: int) -> list[Response]:
    """Return every reviewer's responses, by sequence: each pair once, a fifth of them by all three."""
    by_chance = sorted(pairs, key=lambda pair: share(seed, "assign", pair.query_id, pair.doc.doc_id))
    n_shared = round(SHARED_RATE * len(pairs))
    assigned: dict[str, list[Pair]] = dict.fromkeys(TARGET_KAPPAS, by_chance[:n_shared])
    for place, pair in enumerate(by_chance[n_shared:]):
        reviewer = list(TARGET_KAPPAS)[place % len(TARGET_KAPPAS)]
        assigned[reviewer] = [*assigned[reviewer], pair]
    responses = [
        response
        for reviewer, own in assigned.items()
        for response in _answer(reviewer, sorted(own, key=lambda pair: _place(pair, reviewer, seed)), seed)
    ]
    return sorted(responses, key=lambda response: (response.sequence, response.reviewer))


def _place(pair: Pair, reviewer: str, seed: int) -> tuple[float, float]:
    """Reviewers see a query's docs together, the queries and the docs each in an order of their own."""
    return share(seed, reviewer, pair.query_id), share(seed, reviewer, pair.query_id, pair.doc.doc_id)


def _answer(reviewer: str, own: Sequence[Pair], seed: int) -> list[Response]:
    draws = Random(f"answers {reviewer} {seed}")
    acts = [_unable(pair, reviewer, seed, draws) for pair in own]
    careless = range(CARELESS_FROM, CARELESS_FROM + CARELESS_LENGTH) if reviewer == CARELESS_REVIEWER else range(0)

    def grades_at(rate: float) -> list[int]:
        return [
            _careless_grade(pair, reviewer, seed) if place in careless else err(pair, reviewer, rate, seed)
            for place, pair in enumerate(own, start=1)
        ]

    graded = [place for place, act in enumerate(acts) if act is None]
    truth = [own[place].grade for place in graded]

    def kappa_at(rate: float) -> float:
        given = grades_at(rate)
        return linear_kappa([given[place] for place in graded], truth)

    grades = grades_at(_rate_for(kappa_at, TARGET_KAPPAS[reviewer]))
    responses = []
    for place, (pair, act) in enumerate(zip(own, acts, strict=True), start=1):
        if place in careless:
            responses.append(Response(pair, reviewer, place, round(draws.uniform(0.6, 1.7), 1), grades[place - 1]))
            continue
        slower = 1.3 if pair.rule_id is None or pair.verdict.rule is not pair.verdict.usual else 1.0
        seconds = round(max(2.2, PACE[reviewer] * slower * draws.lognormvariate(0.0, 0.45)), 1)
        if act is None:
            responses.append(Response(pair, reviewer, place, seconds, grades[place - 1]))
        else:
            responses.append(Response(pair, reviewer, place, seconds, None, act[0], act[1]))
    return responses


def _unable(pair: Pair, reviewer: str, seed: int, draws: Random) -> tuple[str, str | None] | None:
    chance = share(seed, "unable", reviewer, pair.query_id, pair.doc.doc_id)
    if chance < CANNOT_TELL_RATE:
        return "cannot_tell", None
    if chance < CANNOT_TELL_RATE + DISCARDED_RATE:
        return "discarded", draws.choice(DISCARD_REASONS)
    return None


def _careless_grade(pair: Pair, reviewer: str, seed: int) -> int:
    if share(seed, "careless", reviewer, pair.query_id, pair.doc.doc_id) < 0.9:
        return CARELESS_GRADE
    return pair.grade


def err(pair: Pair, reviewer: str, rate: float, seed: int) -> int:
    """Return the grade a reviewer gives at an error rate; the same draws at every rate, so a higher rate errs more."""
    ids = (reviewer, pair.query_id, pair.doc.doc_id)
    if share(seed, "slip", *ids) < SLIP_RATE:
        others = [grade for grade in range(4) if grade != pair.grade]
        return others[int(3 * share(seed, "slip to", *ids))]
    is_rare = pair.rule_id is not None and pair.verdict.rule is not pair.verdict.usual
    weight = (1.35 if pair.grade in (1, 2) else 0.75) * (1.3 if is_rare or pair.rule_id is None else 1.0)
    if share(seed, "err", *ids) >= rate * weight:
        return pair.grade
    if is_rare and share(seed, "overlooks", *ids) < 0.5:
        return pair.verdict.usual.grade
    if pair.grade in (0, 3):
        return 1 if pair.grade == 0 else 2
    return pair.grade + (1 if share(seed, "up", *ids) < 0.5 else -1)


def _rate_for(kappa_at: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 0.9
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if kappa_at(middle) > target else (low, middle)
    return (low + high) / 2


def adjudicate(responses: Sequence[Response], *, seed: int) -> list[Adjudication]:
    """Return the adjudicator's ruling on every pair that needs one, in the order of the pairs' ids."""
    by_pair: dict[tuple[str, str], list[Response]] = defaultdict(list)
    for response in responses:
        by_pair[response.pair.query_id, response.pair.doc.doc_id].append(response)
    open_ = [answers[0].pair for _, answers in sorted(by_pair.items()) if _needs_ruling(answers)]

    def kappa_at(rate: float) -> float:
        return linear_kappa([err(pair, ADJUDICATOR, rate, seed) for pair in open_], [pair.grade for pair in open_])

    rate = _rate_for(kappa_at, ADJUDICATOR_KAPPA)
    rulings = []
    for pair in open_:
        grade = err(pair, ADJUDICATOR, rate, seed)
        is_by_rule = pair.rule_id is not None and grade == pair.grade
        rulings.append(Adjudication(pair, grade, pair.verdict.rule.text if is_by_rule else GENERIC_REASONS[grade]))
    return rulings


def _needs_ruling(answers: Sequence[Response]) -> bool:
    """A disagreement, an answer without a grade, or a lone answer two or more grades off the truth."""
    grades = {answer.grade for answer in answers}
    if None in grades or len(grades) > 1:
        return True
    return len(answers) == 1 and any(grade is not None and abs(grade - answers[0].pair.grade) >= 2 for grade in grades)

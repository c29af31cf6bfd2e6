from dataclasses import dataclass

import pytest

from storage.grades import Scale
from trainers.evaluation.explanations import drawn_places, explanation_measures
from trainers.evaluation.first_token import latency_measures

SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))


@dataclass
class Graded:
    scale: Scale = SCALE


def test_a_verdict_that_concludes_with_another_grade_is_a_hallucination() -> None:
    """One of the two with a verdict says another grade; one has no verdict, one does not parse: 1/2 and 1/4."""
    texts = ["2\nverdict: fully", "2\nverdict: partly", "1\nintent: a sofa", "well, partly"]
    unparsed, hallucination = explanation_measures(texts, ["a", "b", "c", "d"], Graded())
    assert (unparsed.metric, unparsed.value, unparsed.n) == ("unparsed_rate", 1 / 4, 4)
    assert (hallucination.metric, hallucination.value, hallucination.n) == ("discriminative_hallucination", 1 / 2, 2)
    assert (hallucination.low, hallucination.high) == (0.0, 1.0)


def test_grades_without_reasons_hallucinate_neither_much_nor_little() -> None:
    unparsed, hallucination = explanation_measures(["2", "1"], ["a", "b"], Graded())
    assert unparsed.value == 0 and (hallucination.value, hallucination.n) == (None, 0)


def test_the_same_pairs_are_asked_each_time_and_all_where_they_are_few() -> None:
    assert drawn_places(3, 5) == [0, 1, 2]
    drawn = drawn_places(100, 10)
    assert drawn == drawn_places(100, 10) == sorted(set(drawn)) and len(drawn) == 10


def test_percentiles_of_request_times_by_hand() -> None:
    """0 to 100 ms: the median is 50, the 99th percentile 99."""
    middle, slow = latency_measures([float(at) for at in range(101)])
    assert (middle.metric, middle.value, middle.n) == ("first_token_ms_p50", 50, 101)
    assert (slow.metric, slow.value) == ("first_token_ms_p99", pytest.approx(99))
    assert middle.low < 50 < middle.high <= 100
    assert latency_measures([]) == []

from __future__ import annotations

import pytest

from curation.adjudication import Answer, Consensus, Rationale, consensus, travelling_steps
from curation.completion import Step


def answers(*grades: int | None) -> list[Answer]:
    return [
        Answer(f"a_{i}", f"reviewer {i}", "cannot_tell" if grade is None else "submitted", grade)
        for i, grade in enumerate(grades)
    ]


@pytest.mark.parametrize(
    ("grades", "n_required", "settled"),
    [
        ((2,), 1, 2),
        ((2, 2), 2, 2),
        ((2,), 2, None),  # too few yet
        ((2, 3), 2, None),
        ((2, 2, 3), 2, 2),  # two of three, one grade away
        ((2, 2, 0), 2, None),  # two grades away
        ((1, 2, 3), 3, None),
        ((1, 1, 2, 2), 2, None),  # a half is no majority
        ((1, 1, 1, 2, 2), 2, None),  # 3/5 is under two thirds
        ((1, 1, 1, 1, 2, 0), 2, 1),  # 4/6, both others next to it
        ((None,), 1, None),
        ((2, 2, None), 2, None),
        ((), 1, None),
        ((), 0, None),
    ],
)
def test_people_settle_a_pair_or_leave_it(grades: tuple[int | None, ...], n_required: int, settled: int | None) -> None:
    found = consensus(answers(*grades), n_required=n_required)
    assert (found.grade if found else None) == settled


def test_a_consensus_rests_on_every_standing_response() -> None:
    assert consensus(answers(2, 2, 3), n_required=2) == Consensus(2, ("a_0", "a_1", "a_2"), is_unanimous=False)
    assert consensus(answers(2, 2), n_required=2) == Consensus(2, ("a_0", "a_1"), is_unanimous=True)


def test_a_discarded_pair_is_disputed() -> None:
    thrown_out = [*answers(2), Answer("a_9", "reviewer 9", "discarded", None)]
    assert consensus(thrown_out, n_required=2) is None


PROPOSED = (Step("verdict", "partly relevant"),)
WRITTEN = (Step("verdict", "fully relevant"),)


@pytest.mark.parametrize(
    ("settled", "proposed", "written", "expected"),
    [
        (1, Rationale(1, PROPOSED), [], PROPOSED),
        (3, Rationale(1, PROPOSED), [], None),
        (3, Rationale(1, PROPOSED), [Rationale(3, None)], None),
        (3, Rationale(1, PROPOSED), [Rationale(3, WRITTEN)], WRITTEN),
        (1, Rationale(1, PROPOSED), [Rationale(1, WRITTEN)], WRITTEN),
        (1, Rationale(1, PROPOSED), [Rationale(1, None)], PROPOSED),
        (1, Rationale(1, PROPOSED), [Rationale(3, WRITTEN)], PROPOSED),
        (3, Rationale(1, PROPOSED), [Rationale(3, PROPOSED)], None),  # the old steps, sent back with a new grade
        (1, Rationale(1, PROPOSED), [Rationale(1, ())], None),  # struck out
        (1, Rationale(1, ()), [], None),
        (3, None, [Rationale(3, WRITTEN)], WRITTEN),
        (3, None, [], None),
    ],
)
def test_a_rationale_never_travels_with_another_grade(
    settled: int, proposed: Rationale | None, written: list[Rationale], expected: tuple[Step, ...] | None
) -> None:
    assert travelling_steps(settled, proposed, written=written) == expected


def test_the_weightiest_written_rationale_travels() -> None:
    other = (Step("intent", "a lamp"),)
    assert travelling_steps(3, None, written=[Rationale(3, other), Rationale(3, WRITTEN)]) == other

"""The books of the review benchmark find what they are there to find, and the line of memory is the line."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.review.books import Beyond, Books, check
from benchmarks.review.clients import Sent
from benchmarks.review.memory import growth
from storage.ids import action_id
from storage.rows import ResponseRow
from storage.store import Store

AT = datetime(2031, 5, 4, 9, 30)
STAMP = {"run_id": "run_1", "created_at": AT}
NONE_BEYOND = Beyond(0, 0, None)
PAIR, OTHER = "p_00000000000000a0", "p_00000000000000b0"


def respond(sent: Sent, pair_id: str) -> ResponseRow:
    return ResponseRow(
        response_id=action_id(sent.account, sent.session, sent.sequence),
        candidate_id=sent.candidate_id,
        pair_id=pair_id,
        account=sent.account,
        act="submitted",
        grade=sent.grade,
        is_replayed=False,
        session=sent.session,
        sequence=sent.sequence,
        created_at=AT,
    )


def propose(store: Store, candidate_id: str, pair_id: str) -> None:
    """Add a candidate that one person has to look at, to a pair that may be there already."""
    number = pair_id[2:]
    pair = {
        "pair_id": pair_id,
        "query_id": f"q_{number}",
        "doc_id": f"d_{number}",
        "split": "train",
        "origin": "import",
    }
    candidate = {"candidate_id": candidate_id, "pair_id": pair_id, "grade": 1, "steps": "[]", "rule_ids": [], **STAMP}
    screening = {"screening_id": f"s_{candidate_id[2:]}", "candidate_id": candidate_id, "screen": "all", **STAMP}
    query = {"query_id": pair["query_id"], "root_query_id": pair["query_id"], "text": "red sofa", "split": "train"}
    store.append(
        {
            "queries": [{**query, "source": "shop", **STAMP}],
            "pairs": [{**pair, "source": "shop", **STAMP}],
            "candidates": [{**candidate, "confidence": 0.5, "proposer": "lexical"}],
            "screenings": [{**screening, "is_passed": True, "reason": "no screen objects"}],
        }
    )


@pytest.fixture
def sent() -> list[Sent]:
    """Ana on one pair and Bo on another: all is well."""
    return [Sent("ana", "aa" * 8, 1, "c_00000000000000a1", 2), Sent("bo", "bb" * 8, 1, "c_00000000000000b1", 0)]


def books_of(folder: Path, rows: list[ResponseRow], sent: list[Sent], *, candidates: dict[str, str]) -> Books:
    folder.mkdir()
    with Store.embedded(folder, sees_test=True) as store:
        for candidate_id, pair_id in candidates.items():
            propose(store, candidate_id, pair_id)
        store.append({"responses": rows})
    return check(folder, sent, since=None)


ONE_EACH = {"c_00000000000000a1": PAIR, "c_00000000000000b1": OTHER}


def test_nothing_is_found_where_all_is_well(tmp_path: Path, sent: list[Sent]) -> None:
    rows = [respond(sent[0], PAIR), respond(sent[1], OTHER)]
    found = books_of(tmp_path / "shop", rows, sent, candidates=ONE_EACH)
    assert found == Books(2, 0, 0, 0, 0, NONE_BEYOND, None)


def test_lost_altered_and_extra_acts_are_counted(tmp_path: Path, sent: list[Sent]) -> None:
    unsent = replace(sent[1], sequence=2)
    rows = [respond(replace(sent[1], grade=3), OTHER), respond(unsent, OTHER)]
    found = books_of(tmp_path / "shop", rows, sent, candidates=ONE_EACH)
    assert (found.n_lost, found.n_altered, found.n_extra, found.n_answered_twice) == (1, 1, 1, 1)


def test_a_pair_with_two_candidates_that_two_people_answered_is_beyond_its_policy(
    tmp_path: Path, sent: list[Sent]
) -> None:
    candidates = {"c_00000000000000a1": PAIR, "c_00000000000000b1": PAIR}
    rows = [respond(one, PAIR) for one in sent]
    found = books_of(tmp_path / "shop", rows, sent, candidates=candidates)
    assert found.answered == Beyond(1, 1, PAIR)


def test_leases_count_as_given_from_the_moment_they_are_asked_for(tmp_path: Path, sent: list[Sent]) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    with Store.embedded(folder, sees_test=True) as store:
        propose(store, "c_00000000000000a1", PAIR)
        assert store.claim("cy", 1).num_rows == 1
        store.append({"responses": [respond(sent[0], PAIR)]})
    assert check(folder, sent[:1], since=datetime(9999, 1, 1)).given == NONE_BEYOND
    assert check(folder, sent[:1], since=datetime(2020, 1, 1)).given == Beyond(1, 0, PAIR)


def test_memory_that_grows_a_mebibyte_a_minute_grows_sixty_an_hour() -> None:
    found = growth([(60.0 * minute, 100.0 + minute) for minute in range(5)])
    assert found is not None
    assert (found.first, found.last, round(found.per_hour, 6), round(found.low, 6)) == (100.0, 104.0, 60.0, 60.0)


def test_the_interval_of_growth_is_that_of_a_t_distribution() -> None:
    # MiB 0, 2, 0, 2 at hours 0 to 3: slope 0.4, residual sum 3.2, standard error sqrt(1.6 / 5), t(2) = 4.302653
    found = growth([(3600.0 * hour, mib) for hour, mib in enumerate((0.0, 2.0, 0.0, 2.0))])
    assert found is not None
    reach = 4.302653 * (1.6 / 5) ** 0.5
    assert (found.per_hour, found.low, found.high) == pytest.approx((0.4, 0.4 - reach, 0.4 + reach), abs=1e-5)

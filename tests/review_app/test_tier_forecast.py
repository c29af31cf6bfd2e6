"""How many rows tiers will get: shares of what people settled, kind by kind, worked by hand."""

from __future__ import annotations

from curation.intervals import wilson
from curation.tiers import DEFAULT_TIERS
from review_app.tier_forecast import Settled, TierStand, count_tiers_now, forecast
from storage.clock import now
from storage.store import Store
from tests.review_app.review_rows import add_pair, pair_id_of

STAND = TierStand(
    DEFAULT_TIERS[:2],
    {1: 50, 2: 5},
    {False: Settled(100, {1: 40, 2: 10}), True: Settled(20, {1: 2, 2: 10})},
)
NOTHING = {False: 0, True: 0}


def test_what_waits_settles_as_what_people_settled_of_its_kind() -> None:
    clear, ruled = forecast(STAND, waiting={False: 200, True: 40}, discarded=NOTHING)
    # tier 1: 200 * 40/100 + 40 * 2/20 = 84; tier 2: 200 * 10/100 + 40 * 10/20 = 40
    assert (clear.n_now, clear.n_more, ruled.n_now, ruled.n_more) == (50, 84, 5, 40)
    first, again = wilson(40, 100), wilson(2, 20)
    assert first and again and clear.interval
    assert clear.interval.low == 200 * first.low + 40 * again.low
    assert clear.interval.high == 200 * first.high + 40 * again.high


def test_what_people_discarded_gives_no_row() -> None:
    clear, _ = forecast(STAND, waiting={False: 200, True: 0}, discarded={False: 100, True: 0})
    assert clear.n_more == 200 * 40 / 200


def test_a_kind_nobody_settled_is_taken_as_the_other() -> None:
    stand = TierStand(STAND.tiers, {}, {False: Settled(100, {1: 40}), True: Settled(0, {})})
    clear, ruled = forecast(stand, waiting={False: 0, True: 10}, discarded=NOTHING)
    assert (clear.n_now, clear.n_more, ruled.n_more) == (0, 4, 0)


def test_before_people_settled_anything_there_is_no_forecast() -> None:
    stand = TierStand(STAND.tiers, {1: 7}, {False: Settled(0, {}), True: Settled(0, {})})
    clear, _ = forecast(stand, waiting={False: 3, True: 0}, discarded=NOTHING)
    assert (clear.n_now, clear.n_more, clear.interval) == (7, None, None)


def test_with_nothing_waiting_nothing_more_comes() -> None:
    clear, ruled = forecast(STAND, waiting=NOTHING, discarded=NOTHING)
    assert (clear.n_more, ruled.n_more) == (0, 0)


def settle(store: Store, n: int, grade: int, origin: str) -> None:
    row = {"judgment_id": f"j_{n}", "pair_id": pair_id_of(n), "grade": grade, "origin": origin, "response_ids": []}
    store.append({"judgments": [{**row, "is_replayed": False, "run_id": "run_1", "created_at": now()}]})


def test_tiers_are_counted_by_what_people_settled_and_test_rows_are_in_none(store: Store) -> None:
    store.append(
        {
            "grades": [
                {"grade_id": f"g_{grade}", "grade": grade, "name": f"grade {grade}", "created_at": now()}
                for grade in range(4)
            ]
        }
    )
    for n in range(1, 4):
        add_pair(store, n, grade=3)
    add_pair(store, 4, confidence=0.2, n_required=2)
    stamp = {"source": "s", "run_id": "run_1", "created_at": now()}
    query = {"query_id": "q_5", "text": "a held back one", "root_query_id": "q_5", "split": "test"}
    held_back = {"pair_id": pair_id_of(5), "query_id": "q_5", "doc_id": "d_1", "split": "test", "origin": "import"}
    store.append({"queries": [query | stamp], "pairs": [held_back | stamp]})
    settle(store, 1, 3, "import:s")
    settle(store, 2, 3, "adjudicated")  # an adjudicated row is hard
    settle(store, 4, 1, "adjudicated")  # so is this, which two were asked about
    settle(store, 5, 3, "import:s")
    stand = count_tiers_now(store, DEFAULT_TIERS)
    assert stand.n_now == {1: 1, 3: 2}
    assert stand.settled == {False: Settled(1, {3: 1}), True: Settled(1, {3: 1})}

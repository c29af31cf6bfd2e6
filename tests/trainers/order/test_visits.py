from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.order.visits import plan_visits


@settings(deadline=None, max_examples=40)
@given(
    stages=st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=60), min_size=1, max_size=3),
    batch_size=st.integers(1, 8),
    rate=st.sampled_from([0.0, 0.4, 1.0]),
    seed=st.integers(0, 5),
)
def test_a_stage_visits_its_rows_as_often_as_it_names_them(stages, batch_size, rate, seed) -> None:
    random = np.random.default_rng(seed)
    visits = plan_visits(
        stages, range(5, 25), [1] * 20, batch_size=batch_size, rationale_rate=rate, random=random
    )  # fmt: skip
    done = 0
    for stage in stages:
        assert Counter(visit.row for visit in visits[done : done + len(stage)]) == Counter(stage)
        done += len(stage)
    assert done == len(visits)
    if rate in (0.0, 1.0):
        assert {visit.has_rationale for visit in visits} == {rate == 1.0}


def test_the_order_follows_the_seed_and_nothing_else() -> None:
    def plan(seed: int):
        random = np.random.default_rng(seed)
        stages = [range(100), range(100)]
        return plan_visits(stages, range(1, 101), [1] * 100, batch_size=4, rationale_rate=0.5, random=random)

    assert plan(1) == plan(1)
    assert plan(1) != plan(2)


def test_rows_of_like_length_share_a_batch() -> None:
    """8 rows fill one pool: with batches of 4, the four short rows come together."""
    random = np.random.default_rng(0)
    lengths = [1, 9, 1, 9, 1, 9, 1, 9]
    visits = plan_visits([range(8)], lengths, [1] * 8, batch_size=4, rationale_rate=1.0, random=random)
    batches = [{visit.row % 2 for visit in visits[:4]}, {visit.row % 2 for visit in visits[4:]}]
    assert sorted(batches, key=min) == [{0}, {1}]

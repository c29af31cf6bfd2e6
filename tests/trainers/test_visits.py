from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.visits import plan_visits


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    epochs=st.integers(1, 3),
    batch_size=st.integers(1, 8),
    rate=st.sampled_from([0.0, 0.4, 1.0]),
    seed=st.integers(0, 5),
)
def test_every_row_is_visited_once_an_epoch(lengths, epochs, batch_size, rate, seed) -> None:
    shorter = [1] * len(lengths)
    visits = plan_visits(lengths, shorter, epochs=epochs, batch_size=batch_size, rationale_rate=rate, seed=seed)
    assert Counter(visit.row for visit in visits) == dict.fromkeys(range(len(lengths)), epochs)
    if rate in (0.0, 1.0):
        assert {visit.has_rationale for visit in visits} == {rate == 1.0}


def test_the_order_follows_the_seed_and_nothing_else() -> None:
    def plan(seed: int):
        return plan_visits(range(1, 101), [1] * 100, epochs=2, batch_size=4, rationale_rate=0.5, seed=seed)

    assert plan(1) == plan(1)
    assert plan(1) != plan(2)


def test_rows_of_like_length_share_a_batch() -> None:
    """8 rows fill one pool: with batches of 4, the four short rows come together."""
    visits = plan_visits([1, 9, 1, 9, 1, 9, 1, 9], [1] * 8, epochs=1, batch_size=4, rationale_rate=1.0, seed=0)
    batches = [{visit.row % 2 for visit in visits[:4]}, {visit.row % 2 for visit in visits[4:]}]
    assert sorted(batches, key=min) == [{0}, {1}]

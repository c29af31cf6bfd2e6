"""Choosing docs for queries: shares, quotas, strata, near-duplicates and hard negatives, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.bm25 import Bm25Index, IndexBuilder
from curation.doc_terms import count_texts
from curation.pool import Choice, Held, Quota, allot, choose_hard, choose_ranked, hard_candidates, quota
from curation.pool_config import PoolConfig, Stratum, checked_pool
from storage.errors import UserError


def held_of(texts: list[str], places: list[int] | None = None, threshold: float = 0.7) -> Held:
    builder = IndexBuilder()
    builder.add(count_texts(texts))
    index: Bm25Index = builder.build()
    return Held(index, np.array(places or [], np.int64), threshold=threshold, marks=np.zeros(index.n_terms, np.uint8))


def words(n: int) -> list[str]:
    """Texts that share no word."""
    return [f"word{place}a word{place}b" for place in range(n)]


def shares(weights: list[float], most: int, limit: int | None) -> list[int]:
    return allot(np.array(weights), most=most, limit=limit).tolist()


def test_without_a_limit_every_query_gets_all_it_may() -> None:
    assert shares([1, 1, 1], 20, None) == [20, 20, 20]
    assert shares([1, 1, 1], 20, 60) == [20, 20, 20]


def test_a_limit_is_shared_by_weight_and_met() -> None:
    assert shares([1, 1], 20, 10) == [5, 5]
    assert shares([3, 1], 20, 8) == [6, 2]
    assert shares([1, 1, 1], 20, 10) == [4, 3, 3]  # 3 1/3 each; the first of equals is rounded up


def test_what_a_query_cannot_take_goes_to_the_others() -> None:
    assert shares([8, 1, 1], 10, 20) == [10, 5, 5]


def test_a_query_never_asked_gets_nothing_of_a_limit() -> None:
    assert shares([0, 1], 10, 8) == [0, 8]
    assert shares([0, 1], 10, 15) == [0, 10]
    assert shares([0, 0], 10, 15) == [0, 0]


@pytest.mark.parametrize("limit", [1, 7, 99, 1234])
def test_shares_of_many_queries_meet_the_limit(limit: int) -> None:
    weights = np.random.default_rng(2).pareto(1.0, 500).tolist()
    found = shares(weights, 9, limit)
    assert sum(found) == limit and max(found) <= 9 and min(found) >= 0


def test_a_quota_parts_a_share_as_the_config_does() -> None:
    config = PoolConfig()  # 10 top, 3 strata of 2, 4 hard: 20
    assert quota(20, config, {}) == Quota(10, (2, 2, 2), 4)
    assert quota(40, config, {}) == Quota(20, (4, 4, 4), 8)
    assert quota(5, config, {}) == Quota(3, (1, 0, 0), 1)  # 2.5, .5, .5, .5, 1: two are rounded up, the first two
    assert quota(1, config, {}) == Quota(1, (0, 0, 0), 0)
    assert quota(0, config, {}) == Quota(0, (0, 0, 0), 0)


def test_what_a_query_holds_is_taken_off_by_kind_and_in_all() -> None:
    config = PoolConfig()
    held = {"pool:top": 10, "pool:ranks 11-30": 1, "pool:hard conflict": 3, "pool:hard missing term": 1}
    assert quota(20, config, held) == Quota(0, (1, 2, 2), 0)
    assert quota(20, config, {"pool:ranks 11-40": 15}) == Quota(5, (0, 0, 0), 0)
    assert quota(20, config, {"pool:top": 30}).total == 0


@given(
    n=st.integers(0, 60),
    held=st.dictionaries(
        st.sampled_from(["pool:top", "pool:ranks 11-30", "pool:ranks 5-9", "pool:hard conflict"]), st.integers(0, 30)
    ),
    kinds=st.tuples(st.integers(0, 12), st.integers(0, 5), st.integers(1, 9)),
)
def test_a_quota_is_always_what_lacks_of_the_share(n: int, held: dict[str, int], kinds: tuple[int, int, int]) -> None:
    top, per_stratum, hard = kinds
    wanted = quota(n, PoolConfig(top=top, per_stratum=per_stratum, hard=hard), held)
    assert wanted.total == max(0, n - sum(held.values()))
    assert min(wanted.top, *wanted.strata, wanted.hard) >= 0


def test_top_are_the_best_docs_that_the_query_does_not_have() -> None:
    held = held_of(words(6), [0, 2])
    chosen = choose_ranked([0, 1, 2, 3, 4, 5], held, query_id="q", wanted=Quota(2, (), 0), strata=())
    assert chosen == [Choice(1, "pool:top"), Choice(3, "pool:top")]


def test_a_stratum_is_drawn_from_its_ranks_and_the_same_again_for_the_same_query() -> None:
    strata = (Stratum(11, 30), Stratum(31, 100))
    ranked = list(range(100))[::-1]
    drawn = {
        query_id: choose_ranked(
            ranked, held_of(words(100)), query_id=query_id, wanted=Quota(0, (3, 2), 0), strata=strata
        )
        for query_id in ("q_1", "q_2", "q_3")
    }
    for query_id, chosen in drawn.items():
        ranks = [ranked.index(choice.place) + 1 for choice in chosen]
        assert all(11 <= rank <= 30 for rank in ranks[:3]) and all(31 <= rank <= 100 for rank in ranks[3:])
        assert [choice.source for choice in chosen] == ["pool:ranks 11-30"] * 3 + ["pool:ranks 31-100"] * 2
        again = choose_ranked(ranked, held_of(words(100)), query_id=query_id, wanted=Quota(0, (3, 2), 0), strata=strata)
        assert again == chosen
    assert len({tuple(choice.place for choice in chosen) for chosen in drawn.values()}) == 3


def test_a_draw_of_all_ranks_is_even() -> None:
    """2,000 queries draw 1 of 20 ranks: 100 each; 60 to 140 is four standard deviations (σ = 9.7)."""
    counts = np.zeros(20, int)
    texts = words(20)
    for number in range(2000):
        held = held_of(texts)
        (choice,) = choose_ranked(
            list(range(20)), held, query_id=f"q_{number}", wanted=Quota(0, (1,), 0), strata=(Stratum(1, 20),)
        )
        counts[choice.place] += 1
    assert counts.sum() == 2000 and counts.min() > 60 and counts.max() < 140


def test_a_short_ranking_gives_what_it_has() -> None:
    chosen = choose_ranked(
        [4, 2], held_of(words(5)), query_id="q", wanted=Quota(10, (2,), 0), strata=(Stratum(11, 30),)
    )
    assert [choice.place for choice in chosen] == [4, 2]
    assert (
        choose_ranked([], held_of(words(1)), query_id="q", wanted=Quota(10, (2,), 4), strata=(Stratum(11, 30),)) == []
    )


def test_a_near_duplicate_of_a_held_or_chosen_doc_is_left_out() -> None:
    """Doc 1 has 7 of the 10 words of docs 0 and 1 together, doc 2 has 6 of 11 with doc 0."""
    base = [f"w{n}" for n in range(8)]
    texts = [" ".join(base), " ".join([*base[:7], "x", "y"]), " ".join([*base[:6], "x", "y", "z"]), "other words"]
    jaccards = {1: 7 / 10, 2: 6 / 11}
    assert jaccards[1] >= 0.7 > jaccards[2]
    held = held_of(texts, [0])
    assert [held.take(place) for place in (1, 2, 3)] == [False, True, True]
    assert held.near == {1}
    assert held.take(2) is False and held.near == {1}  # the doc itself is no near-duplicate


def test_the_same_text_in_another_spelling_is_left_out() -> None:
    held = held_of(["Levi’s Jeans, blue!", "levis  JEANS blue", "Ｌevis jeans blue", "red sofa"])
    assert [held.take(place) for place in range(4)] == [True, False, False, True]


def test_a_doc_without_words_is_like_no_other() -> None:
    held = held_of(["", "", "red sofa"], [0, 1])
    assert held.take(2) and held.most_alike(2, {0: 1.0}) is None


def features(**more: Any) -> dict[str, Any]:
    none = dict.fromkeys(("n_attribute_conflicts", "n_number_conflicts", "n_negated_present"), 0)
    return {**none, "missing_terms": [], **more}


def test_hard_negatives_are_conflicts_first_then_docs_that_lack_a_term() -> None:
    looked_at = [
        (0, features()),
        (1, features(missing_terms=["oak"])),
        (2, features(n_number_conflicts=1, missing_terms=["oak"])),
        (3, features(missing_terms=["oak"])),
        (4, features(n_negated_present=1)),
    ]
    chosen = choose_hard(looked_at, held_of(words(5)), n=3, expected={}, low=1.0)
    assert chosen == [
        Choice(2, "pool:hard conflict"),
        Choice(4, "pool:hard conflict"),
        Choice(1, "pool:hard missing term"),
    ]


def test_a_doc_much_like_one_a_model_graded_low_is_a_hard_negative() -> None:
    """Doc 2 shares 2 of 4 words with doc 0 (expected 0.4), doc 3 shares 2 of 4 with doc 1 (expected 2.6)."""
    held = held_of(["red oak table", "blue wool rug", "red oak chair", "blue wool coat", "steel pan"], [0, 1])
    looked_at = [(place, features()) for place in (2, 3, 4)]
    chosen = choose_hard(looked_at, held, n=3, expected={0: 0.4, 1: 2.6}, low=1.0)
    assert chosen == [Choice(2, "pool:hard predicted low")]


def test_docs_are_looked_at_in_the_order_of_their_rank_and_no_further_than_the_depth() -> None:
    held = held_of(words(12), [1])
    assert hard_candidates(list(range(12)), held, n=1, depth=12) == [0, 2, 3]
    assert hard_candidates(list(range(12)), held, n=4, depth=5) == [0, 2, 3, 4]
    assert hard_candidates(list(range(12)), held, n=0, depth=5) == []


def test_the_table_of_the_config_is_read() -> None:
    config = checked_pool({"top": 5, "strata": [20, 50], "per_stratum": 1, "hard": 2})
    assert config.per_query == 9 and config.depth == 50
    assert [stratum.source for stratum in config.ranges()] == ["pool:ranks 6-20", "pool:ranks 21-50"]
    assert checked_pool({}) == PoolConfig() and PoolConfig().depth == 300
    assert checked_pool({"strata": [], "per_stratum": 0}).ranges() == ()


def test_all_mistakes_of_the_config_are_named_at_once() -> None:
    with pytest.raises(UserError) as raised:
        checked_pool({"topp": 1, "hard": -1, "per_stratum": 1.5, "strata": [30, 20], "near_duplicate": 2})
    said = str(raised.value)
    assert "5 mistake(s)" in said
    for part in ("'topp'", "hard = -1", "per_stratum = 1.5", "strata = [30, 20]", "near_duplicate = 2"):
        assert part in said
    for table in ([], {"top": 0, "per_stratum": 0, "hard": 0}, {"strata": "30"}, {"top": True}):
        with pytest.raises(UserError):
            checked_pool(table)

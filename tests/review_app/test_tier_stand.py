"""The facts that pages count on say of every row what the rows of a snapshot say."""

from __future__ import annotations

from curation.tier_reading import read_tier_facts, read_tier_rows
from curation.tiers import DEFAULT_TIERS, TIER_COLUMNS, assign
from review_app.tier_stand import KEPT_COLUMNS, read_stand
from storage.progress import Stage, unwatched
from storage.store import Store


def test_facts_without_texts_give_the_tiers_that_whole_rows_give(shop_store: Store) -> None:
    rows, facts = read_tier_rows(shop_store), read_tier_facts(shop_store)
    by_pair = [frame.select(list(TIER_COLUMNS)).sort("pair_id") for frame in (facts.frame, rows.frame)]
    assert by_pair[0].equals(by_pair[1])
    assert (facts.left_out, facts.n_unscreened) == (rows.left_out, rows.n_unscreened)
    stand = read_stand(shop_store, unwatched)
    of_pair = dict(assign(rows.frame, DEFAULT_TIERS).select("pair_id", "tier").iter_rows())
    assert dict(zip(stand.facts["pair_id"], stand.tiers_of(DEFAULT_TIERS), strict=True)) == of_pair
    assert tuple(stand.facts.columns) == KEPT_COLUMNS


def test_only_answers_that_can_agree_are_kept(shop_store: Store) -> None:
    """Ana and bo graded nine pairs both; nobody graded the other eleven."""
    answers = dict(read_stand(shop_store, unwatched).answers.iter_rows())
    assert sorted(answers) == sorted(f"p_{n}" for n in (7, 8, 9, 10, 11, 12, 15, 16, 19))
    assert answers["p_7"] == [1, 1] and answers["p_11"] == [0, 2]


def test_a_count_tells_how_far_it_is(shop_store: Store) -> None:
    told: list[tuple[Stage, int, int]] = []
    read_stand(shop_store, lambda stage, done, total: told.append((stage, done, total)))
    assert told[0] == (Stage.READING, 0, 1)
    assert told[-1] == (Stage.BUILDING, 20, 20)

"""What tiers would hold, tried against what they hold: in counts of train and dev rows, and test rows kept apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.tiers import DEFAULT_TIERS, Tier
from review_app import tier_desk
from review_app.tier_stand import Stand, held_stand, read_stand
from storage.errors import UserError
from storage.progress import unwatched
from storage.store import Store
from tests.review_app.review_rows import add_pair
from tests.review_app.tier_shop import TOML, Shop

IMPORTED_ONLY = (Tier(1, "imported", "origin = 'import'"), Tier(3, "hard", "origin = 'adjudicated'"))


@pytest.fixture
def stand(shop_store: Store) -> Stand:
    return read_stand(shop_store, unwatched)


def counts(preview: tier_desk.Preview) -> dict[int, tuple[int, int]]:
    return {view.tier.tier: (view.by_split["train"], view.by_split["dev"]) for view in preview.tiers}


def test_the_saved_tiers_are_counted_by_split_with_grades_and_agreement(shop: Shop, stand: Stand) -> None:
    seen = tier_desk.preview(shop.people["cleo"], stand, DEFAULT_TIERS, DEFAULT_TIERS)
    assert counts(seen) == {1: (10, 3), 2: (0, 0), 3: (2, 1)}
    clear, ruled, hard = seen.tiers
    # tier 1 holds pairs 1-10, 13, 14 and 16: grades n % 3
    assert clear.grades == {0: 3, 1: 6, 2: 4}
    assert (clear.n_in, clear.n_out) == (0, 0)
    # graded by two: 7-10 and 16, alike; 11, 12 and 15, not
    assert (clear.n_exact, clear.alpha.n) == (5, 5)
    assert clear.alpha.coefficient == 1.0
    assert (hard.n_exact, hard.alpha.n) == (0, 3)
    # Wilson's interval of 0 in 3 ends at z² / (3 + z²)
    assert hard.exact is not None and hard.exact.high == pytest.approx(3.8415 / 6.8415, abs=1e-4)
    assert (ruled.n, ruled.alpha.n, ruled.exact) == (0, 0, None)
    assert seen.left_out["meets no tier"] == 0
    assert seen.n_unscreened == 0


def test_a_tried_predicate_says_which_rows_come_and_go(shop: Shop, stand: Stand) -> None:
    seen = tier_desk.preview(shop.people["cleo"], stand, DEFAULT_TIERS, IMPORTED_ONLY)
    assert counts(seen) == {1: (6, 2), 3: (2, 1)}
    assert {view.tier.tier: (view.n_in, view.n_out) for view in seen.tiers} == {1: (0, 5), 3: (0, 0)}
    assert seen.moves == {(1, 1): 8, (1, None): 5, (3, 3): 3}
    assert seen.left_out["meets no tier"] == 5


def test_trying_predicates_tells_a_curator_nothing_of_test_grades(shop: Shop, stand: Stand) -> None:
    """Pair 19 is a test pair of grade 1; whatever is asked of it, the answer is the same."""
    asked = [(Tier(1, "asked", f"pair_id = 'p_19' and grade = {grade}"),) for grade in (0, 1, 2)]
    told = [tier_desk.preview(shop.people["cleo"], stand, DEFAULT_TIERS, tiers) for tiers in asked]
    for one in told:
        assert [view.n_test for view in one.tiers] == [None]
        assert (one.n_test, one.left_out["meets no tier"], one.moves) == (4, 16, {(1, None): 13, (3, None): 3})


def test_who_adjudicates_sees_test_rows_by_tier(shop: Shop, stand: Stand) -> None:
    seen = tier_desk.preview(shop.people["root"], stand, DEFAULT_TIERS, DEFAULT_TIERS)
    assert [view.n_test for view in seen.tiers] == [3, 0, 1]


def test_a_wrong_predicate_is_refused_with_the_nearest_column(shop: Shop, stand: Stand) -> None:
    with pytest.raises(UserError, match=r"tier 1: where: .*the nearest is 'is_revised'"):
        tier_desk.preview(shop.people["cleo"], stand, DEFAULT_TIERS, (Tier(1, "one", "is_revize"),))


@pytest.mark.parametrize("account", ["ana", "bo"])
def test_reviewers_see_no_tiers(shop: Shop, stand: Stand, account: str) -> None:
    with pytest.raises(UserError, match="may not run SQL"):
        tier_desk.preview(shop.people[account], stand, DEFAULT_TIERS, DEFAULT_TIERS)


@pytest.mark.parametrize("account", ["ana", "dora", "eli"])
def test_only_who_cuts_saves_tiers(shop: Shop, account: str) -> None:
    saved = tier_desk.read_tiers(shop.workspace.root)
    with pytest.raises(UserError, match="may not cut snapshots"):
        tier_desk.save(shop.people[account], shop.workspace.root, IMPORTED_ONLY, mark=saved.mark)


def test_saved_tiers_are_what_the_verb_reads_and_the_rest_of_the_file_stays(shop: Shop) -> None:
    root: Path = shop.workspace.root
    saved = tier_desk.save(shop.people["cleo"], root, IMPORTED_ONLY, mark=tier_desk.read_tiers(root).mark)
    assert saved.tiers == IMPORTED_ONLY and not saved.are_default
    assert (root / "afrel.toml").read_text().startswith(TOML)


def test_opening_the_page_of_a_small_workspace_counts_it(shop: Shop, shop_store: Store) -> None:
    outlook = tier_desk.look(shop.people["cleo"], shop.workspace.root, shop_store)
    assert outlook.n_judgments == 20
    assert outlook.work is not None
    assert outlook.work.wait(20) and outlook.work.refused is None
    stand = held_stand(shop.workspace.root)
    assert stand is not None and len(stand.facts) == 20


def test_what_came_since_the_count_is_told(shop: Shop, shop_store: Store) -> None:
    cleo, root = shop.people["cleo"], shop.workspace.root
    assert tier_desk.count(cleo, root, shop_store).wait(20)
    assert tier_desk.look(cleo, root, shop_store).since == {}
    add_pair(shop_store, 77)
    assert tier_desk.look(cleo, root, shop_store).since == {"candidates": 1, "screenings": 1}

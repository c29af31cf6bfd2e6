"""Snapshots from the page: cut by one, signed by another, checked, compared, taken back, by whoever may."""

from __future__ import annotations

import json

import pytest

from curation.tiers import Tier
from review_app import snapshot_desk, tier_desk
from review_app.long_work import Work
from storage.errors import UserError
from storage.people.accounts import pin_from_row
from storage.snapshots.verify import verify_snapshot
from storage.store import Store
from storage.workspace import Workspace
from tests.review_app.tier_shop import PASSWORD, Shop

SECONDS = 120


def over(work: Work) -> Work:
    assert work.wait(SECONDS), "the work did not end"
    assert work.broke is None
    return work


def cut(shop: Shop, by: str = "cleo") -> str:
    workspace = Workspace.open(shop.workspace.root)
    work = over(snapshot_desk.begin_cut(shop.people[by], workspace, PASSWORD))
    assert work.refused is None
    return str(work.outcome["snapshot_id"])


def test_a_snapshot_is_cut_signed_checked_and_taken_back(shop: Shop, served_store: Store) -> None:
    cleo, dora, root = (shop.people[name] for name in ("cleo", "dora", "root"))
    workspace = shop.workspace
    snapshot_id = cut(shop)
    (line,) = snapshot_desk.list_snapshots(cleo, workspace, served_store)
    assert (line.snapshot_id, line.cut_by, line.n_rows, line.n_test) == (snapshot_id, "cleo", 20, 4)
    assert [(tier.tier, tier.train, tier.dev, tier.n_test) for tier in line.tiers] == [
        (1, 10, 3, None),
        (2, 0, 0, None),
        (3, 2, 1, None),
    ]
    assert [tier.tier for tier in line.unsigned] == [1, 3]
    assert line.problems == () and line.checked is None

    work = over(snapshot_desk.begin_sign(dora, workspace, snapshot_id, [1, 3], PASSWORD))
    assert (work.refused, work.outcome) == (None, {"snapshot_id": snapshot_id, "tiers": [1, 3], "queued": []})
    (signed,) = snapshot_desk.list_snapshots(dora, workspace, served_store)
    assert [tier.signed_by for tier in signed.tiers] == [("dora",), (), ("dora",)]
    assert [tier.n_test for tier in signed.tiers] == [3, 0, 1]
    assert served_store.read("signatures").num_rows == 2

    checked = over(snapshot_desk.begin_verify(cleo, workspace, snapshot_id))
    assert checked.outcome["problems"] == [] and checked.outcome["n_rows"] == 20
    assert snapshot_desk.list_snapshots(cleo, workspace, served_store)[0].checked is checked

    done = snapshot_desk.revoke(
        root, workspace, served_store, snapshot_id, tier=3, reason=" wrong size rule ", password=PASSWORD
    )
    assert (done.is_new, done.trained) == (True, ())
    (revoked,) = snapshot_desk.list_snapshots(cleo, workspace, served_store)
    assert revoked.revoked is None
    assert [tier.revoked.reason if tier.revoked else None for tier in revoked.tiers] == [None, None, "wrong size rule"]


def test_the_register_and_the_folder_agree_after_signing_from_the_page(shop: Shop, served_store: Store) -> None:
    snapshot_id = cut(shop)
    over(snapshot_desk.begin_sign(shop.people["dora"], shop.workspace, snapshot_id, [1], PASSWORD))
    pins = {row["account"]: pin_from_row(row) for row in served_store.read("accounts").to_pylist()}
    verification = verify_snapshot(shop.workspace.snapshots_dir / snapshot_id, pins)
    assert verification.problems == () and verification.signed_tiers[1] == ("dora",)
    (row,) = served_store.read("signatures").to_pylist()
    stated = json.loads((shop.workspace.snapshots_dir / snapshot_id / "signatures" / "tier_1.dora.json").read_text())
    assert (row["snapshot_id"], row["tier"], row["signature"]) == (snapshot_id, 1, stated["signature"])


def test_whoever_cut_does_not_sign(shop: Shop, served_store: Store) -> None:
    snapshot_id = cut(shop, by="root")
    work = over(snapshot_desk.begin_sign(shop.people["root"], shop.workspace, snapshot_id, [1], PASSWORD))
    assert work.refused is not None and "may not sign it" in work.refused
    assert served_store.read("signatures").num_rows == 0


def test_a_wrong_password_is_told_before_anything_begins(shop: Shop) -> None:
    with pytest.raises(UserError, match="not the password of cleo"):
        snapshot_desk.begin_cut(shop.people["cleo"], shop.workspace, "a wrong password")
    assert snapshot_desk.cut_work(shop.workspace.root) is None


def test_altered_bytes_are_found_by_the_check_and_a_missing_file_at_a_glance(shop: Shop, served_store: Store) -> None:
    cleo = shop.people["cleo"]
    snapshot_id = cut(shop)
    lineage = shop.workspace.snapshots_dir / snapshot_id / "lineage.parquet"
    content = bytearray(lineage.read_bytes())
    content[100] ^= 1
    lineage.write_bytes(content)
    assert snapshot_desk.list_snapshots(cleo, shop.workspace, served_store)[0].problems == ()
    found = over(snapshot_desk.begin_verify(cleo, shop.workspace, snapshot_id))
    assert found.outcome["problems"] == ["lineage.parquet: its bytes are not those the manifest names"]
    lineage.unlink()
    problems = snapshot_desk.list_snapshots(cleo, shop.workspace, served_store)[0].problems
    assert problems == ("lineage.parquet: this file is missing",)


def test_two_snapshots_are_compared_row_by_row(shop: Shop) -> None:
    """Without the adjudicated rows and with pair 1 in a tier of its own: 2 train and 1 dev go, 1 train moves."""
    cleo, root = shop.people["cleo"], shop.workspace.root
    older = cut(shop)
    tiers = [Tier(1, "clear", "origin <> 'adjudicated'"), Tier(4, "one", "pair_id = 'p_1'")]
    tier_desk.save(cleo, root, tiers, mark=tier_desk.read_tiers(root).mark)
    newer = cut(shop)
    assert newer != older
    work = over(snapshot_desk.begin_compare(cleo, shop.workspace, older=older, newer=newer))
    assert snapshot_desk.compare_work(cleo, root) is work and work.refused is None
    train, dev, test = work.outcome["splits"]
    none = {"regraded": 0, "reworded": 0, "restated": 0}
    assert train == {
        "split": "train", "n_older": 12, "n_newer": 10, "same": 9, "added": 0, "removed": 2, "moved": 1, "changed": 1,
        **none,
    }  # fmt: skip
    assert dev == {
        "split": "dev", "n_older": 4, "n_newer": 3, "same": 3, "added": 0, "removed": 1, "moved": 0, "changed": 0,
        **none,
    }  # fmt: skip
    assert test == {"split": "test", "n_older": 4, "n_newer": 3}
    assert work.outcome["by_operator"] == {"none": {"removed": 3, "moved": 1}}
    seen = over(snapshot_desk.begin_compare(shop.people["dora"], shop.workspace, older=older, newer=newer))
    assert seen.outcome["splits"][2]["removed"] == 1


def test_a_second_cut_of_the_same_rows_says_that_they_are_there(shop: Shop) -> None:
    snapshot_id = cut(shop)
    again = over(snapshot_desk.begin_cut(shop.people["cleo"], shop.workspace, PASSWORD))
    assert again.outcome["is_new"] is False and again.outcome["snapshot_id"] == snapshot_id


@pytest.mark.parametrize("account", ["ana", "dora", "eli"])
def test_only_who_cuts_cuts(shop: Shop, account: str) -> None:
    with pytest.raises(UserError, match="may not cut snapshots"):
        snapshot_desk.begin_cut(shop.people[account], shop.workspace, PASSWORD)


@pytest.mark.parametrize("account", ["ana", "cleo", "eli"])
def test_only_who_signs_signs_or_revokes(shop: Shop, shop_store: Store, account: str) -> None:
    person = shop.people[account]
    with pytest.raises(UserError, match="may not sign"):
        snapshot_desk.begin_sign(person, shop.workspace, "snap_1", [1], PASSWORD)
    with pytest.raises(UserError, match="may not revoke"):
        snapshot_desk.revoke(person, shop.workspace, shop_store, "snap_1", tier=None, reason="x", password=PASSWORD)


def test_a_reviewer_sees_no_snapshots(shop: Shop, shop_store: Store) -> None:
    ana = shop.people["ana"]
    for refused in (
        lambda: snapshot_desk.list_snapshots(ana, shop.workspace, shop_store),
        lambda: snapshot_desk.begin_verify(ana, shop.workspace, "snap_1"),
        lambda: snapshot_desk.begin_compare(ana, shop.workspace, older="a", newer="b"),
        lambda: snapshot_desk.runs_trained_on(ana, shop_store, "snap_1"),
    ):
        with pytest.raises(UserError, match="may not run SQL"):
            refused()


def test_a_revocation_needs_a_reason(shop: Shop, shop_store: Store) -> None:
    with pytest.raises(UserError, match="needs a reason"):
        snapshot_desk.revoke(
            shop.people["dora"], shop.workspace, shop_store, "snap_1", tier=None, reason="  ", password=PASSWORD
        )

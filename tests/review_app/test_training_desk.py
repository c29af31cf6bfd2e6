"""Starting a trainer: only from a snapshot that may train, only by who may train, and of no place on the machine."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from review_app import snapshot_work, training_desk
from review_app.run_desk import see_runs
from review_app.snapshot_work import Task
from storage.errors import UserError
from storage.jobs.job_command import JobCommand
from storage.jobs.line import JobLine
from storage.people.accounts import pin_from_row
from storage.people.keys import unlock
from storage.progress import unwatched
from storage.store import Store
from storage.workspace import Workspace, afrel_home
from tests.review_app.run_shop import add_run, cut_and_signed
from tests.review_app.tier_shop import PASSWORD, Shop


def take_lane(workspace: Workspace, store: Store) -> JobLine:
    """Take the training lane, so that nothing starts."""
    line = JobLine(workspace, store)
    line.queue(JobCommand("check"), account=None)
    assert line.claim() is not None
    return line


def test_a_snapshot_is_offered_once_a_tier_is_signed(shop: Shop, shop_store: Store) -> None:
    eli, workspace = shop.people["eli"], shop.workspace
    assert training_desk.trainable_snapshots(eli, workspace, shop_store) == []
    snapshot_id = cut_and_signed(workspace, shop_store, [])
    assert training_desk.trainable_snapshots(eli, workspace, shop_store) == []
    cut_and_signed(workspace, shop_store, [1])
    (partly,) = training_desk.trainable_snapshots(eli, workspace, shop_store)
    assert (partly.snapshot_id, [tier.tier for tier in partly.tiers], partly.is_whole) == (snapshot_id, [1], False)
    cut_and_signed(workspace, shop_store, [3])
    (whole,) = training_desk.trainable_snapshots(eli, workspace, shop_store)
    assert ([tier.tier for tier in whole.tiers], whole.is_whole) == ([1, 3], True)
    path = workspace.snapshots_dir / snapshot_id / "manifest.json"
    path.write_text(path.read_text().replace("train", "trian", 1))
    assert training_desk.trainable_snapshots(eli, workspace, shop_store) == []


def test_only_who_may_train_starts_and_only_from_what_is_offered(shop: Shop, shop_store: Store) -> None:
    cut_and_signed(shop.workspace, shop_store, [])
    for account in ("ana", "cleo", "dora"):
        with pytest.raises(UserError, match="may not train"):
            training_desk.start_training(shop.people[account], shop.workspace, shop_store, "sft", "snap_1", {})
    with pytest.raises(UserError, match="may not train: it is not signed"):
        training_desk.start_training(shop.people["eli"], shop.workspace, shop_store, "sft", "snap_1", {})
    with pytest.raises(UserError, match="no method of training"):
        training_desk.begin_form(shop.people["eli"], "rlhf")


def test_a_training_is_queued_with_what_was_filled_in(shop: Shop, served_store: Store) -> None:
    """One schema is read and one job kept; what the schema does not allow, or names a place, is refused."""
    eli, workspace = shop.people["eli"], shop.workspace
    snapshot_id = cut_and_signed(workspace, served_store, [1, 3])
    line = take_lane(workspace, served_store)
    values = {"model": "tiny", "epochs": 2, "learning_rate": 0.002, "tiers": [1], "seed": 0, "device": "auto"}
    queued = training_desk.start_training(eli, workspace, served_store, "sft", snapshot_id, values)
    job = line.find(queued.job_id)
    assert (job.verb, job.account, job.status) == ("train", "eli", "queued")
    assert JobCommand.from_fields(job.verb, job.fields).options == {"--snapshot": snapshot_id}
    kept = tomllib.loads((line.folder(queued.job_id).path / "config.toml").read_text())
    assert kept == {"tiers": [1], "epochs": 2, "learning_rate": 0.002}
    for wrong, told in (
        ({"learning_rate": 0.0}, "1 mistakes"),
        ({"model": "/etc"}, "none that a page may name"),
        ({"model": "../other/runs/run_1"}, "none that a page may name"),
        ({"model": ".hidden"}, "none that a page may name"),
    ):
        with pytest.raises(UserError, match=told):
            training_desk.start_training(eli, workspace, served_store, "sft", snapshot_id, {**values, **wrong})
    assert len(line.all()) == 2


@pytest.mark.parametrize("name", ["/etc/passwd", "../home/keys", "gone.txt", "texts", "link.txt", "a\0b", ""])
def test_a_file_outside_of_the_workspace_is_not_read_for_a_page(tmp_path: Path, name: str) -> None:
    root = tmp_path / "shop"
    (root / "texts").mkdir(parents=True)
    (root / "texts" / "catalogue.txt").write_text("sofas")
    (tmp_path / "secret.txt").write_text("a key")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    training_desk._check_places({"text_file": "texts/catalogue.txt", "model": "org/name"}, root)
    with pytest.raises(UserError, match="no file of the workspace"):
        training_desk._check_places({"text_file": name}, root)


def test_what_goes_on_is_offered_runs_that_grade_and_what_begins_the_tiny_model(shop: Shop, shop_store: Store) -> None:
    root = shop.workspace.root
    add_run(root, "run_1", at="10:00")
    add_run(root, "run_2", at="11:00", method="dapt")
    add_run(root, "run_3", at="12:00", status="running")
    rows = see_runs(shop.people["eli"], shop.workspace, shop_store)
    offered = {method: training_desk.starting_points(method, rows) for method in ("sft", "dapt", "dpo", "grpo")}
    begins = ["tiny", "run_2", "run_1"]
    assert offered == {"sft": begins, "dapt": begins, "dpo": ["run_1"], "grpo": ["run_1"]}


def test_signing_in_the_app_queues_what_afrel_toml_names_once(shop: Shop, shop_store: Store) -> None:
    root = shop.workspace.root
    with (root / "afrel.toml").open("a") as file:
        file.write('[on_sign]\ntier_3 = [{ train = "sft", config = "sft.toml" }]\n')
    (root / "sft.toml").write_text("seed = 3\n")
    workspace = Workspace.open(root)
    snapshot_id = cut_and_signed(workspace, shop_store, [])
    line = take_lane(workspace, shop_store)
    pins = {row["account"]: pin_from_row(row) for row in shop_store.read("accounts").to_pylist()}
    told = []
    for tiers in ((1,), (3,), (1, 3)):
        task = Task("sign", str(root), "dora", snapshot_id=snapshot_id, tiers=tiers)
        key = unlock(afrel_home(), "dora", PASSWORD)
        told.append(snapshot_work._signed(task, workspace, shop_store, key, pins, unwatched)["queued"])
    (job,) = (job for job in line.all() if job.verb == "train")
    assert told == [[], [f"queued as {job.job_id}: train sft with sft.toml, for tier 3"], []]
    assert (job.account, JobCommand.from_fields(job.verb, job.fields).options) == ("dora", {"--snapshot": snapshot_id})

"""What may be removed of a workspace's snapshots, and what is kept whatever happens."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.clock import now
from storage.errors import UserError
from storage.snapshots.cutting import TierSpec
from storage.snapshots.gc import find_removable, remove
from storage.snapshots.register import find_directory, revoke_registered, sign_registered, trained_on
from storage.store import Store
from tests.storage.conftest import TIERS, Cut, People

AT = now()


@pytest.fixture
def register(cut: Cut, people: People, store: Store, tmp_path: Path) -> Callable[..., Path]:
    """Cut and register a snapshot; each number makes another one, a day after the one before."""

    def make(number: int, *, signed: bool = False) -> Path:
        tiers = [TierSpec(spec.tier, spec.name, f"{spec.predicate} and {number} = {number}") for spec in TIERS]
        manifest = cut(tiers=tiers, folder=snapshots_dir)
        row = {
            "snapshot_id": manifest.snapshot_id,
            "manifest_digest": manifest.digest,
            "account": "cy",
            "n_rows": manifest.n_rows,
            "run_id": "run_1",
            "created_at": AT + timedelta(days=number),
        }
        store.append({"snapshots": [row]})
        directory = snapshots_dir / manifest.snapshot_id
        if signed:
            sign_registered(directory, store, tiers=None, key=people.keys["jo"], pins=people.pins)
        return directory

    snapshots_dir = tmp_path / "store" / "snapshots"
    return make


def run(verb: str, config: str) -> dict[str, Any]:
    return {
        "run_id": f"run_{verb}",
        "verb": verb,
        "status": "failed",
        "config": config,
        "code_version": "1",
        "started_at": AT,
    }


def names(folder: Path, store: Store, people: People) -> dict[str, str]:
    return {one.name: one.why for one in find_removable(folder, store, people.pins)}


def test_only_what_is_superseded_or_revoked_and_unused_goes(
    register: Callable[..., Path], store: Store, people: People
) -> None:
    """Cut in this order: unsigned, signed, trained on, evaluated, signed, revoked, unsigned."""
    old, signed, trained, evaluated = register(1), register(2, signed=True), register(3), register(4)
    newest, revoked, waiting = register(5, signed=True), register(6, signed=True), register(7)
    folder = old.parent
    store.append({"runs": [run("train", f'{{"snapshot_id": "{trained.name}"}}')]})
    store.append({"runs": [run("evaluate", f'{{"snapshot": "{evaluated.name}"}}')]})
    revoke_registered(revoked, store, tier=None, reason="wrong", key=people.keys["jo"], pins=people.pins)
    why = f"superseded by {newest.name}, which is signed"
    assert names(folder, store, people) == {old.name: why, signed.name: why, revoked.name: "revoked"}
    gone = remove(folder, store, find_removable(folder, store, people.pins), account="ada")
    assert {one.name for one in gone} == {old.name, signed.name, revoked.name}
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in (trained, evaluated, newest, waiting)
    )
    assert store.read("snapshots").num_rows == 7 and store.read("signatures").num_rows == 6
    assert names(folder, store, people) == {}
    with pytest.raises(UserError, match=f"there is no snapshot '{old.name}' in .* any more. Known: "):
        find_directory(folder, store, old.name)
    assert find_directory(folder, store, None) == waiting


def test_nothing_goes_while_none_is_signed(register: Callable[..., Path], store: Store, people: People) -> None:
    old, new = register(1), register(2)
    assert old != new and names(old.parent, store, people) == {}


def test_a_snapshot_of_which_one_tier_is_unsigned_or_revoked_supersedes_none_or_as_before(
    register: Callable[..., Path], store: Store, people: People
) -> None:
    old, new = register(1), register(2)
    sign_registered(new, store, tiers=[1], key=people.keys["jo"], pins=people.pins)
    assert names(old.parent, store, people) == {}
    revoke_registered(new, store, tier=3, reason="wrong", key=people.keys["jo"], pins=people.pins)
    assert list(names(old.parent, store, people)) == [old.name]  # what stands of the new one is signed


def test_an_altered_folder_is_left_to_whoever_looks_into_it(
    register: Callable[..., Path], store: Store, people: People
) -> None:
    old, new = register(1), register(2, signed=True)
    (old / "lineage.parquet").unlink()
    assert names(new.parent, store, people) == {}


def test_a_snapshot_that_a_run_began_to_use_meanwhile_stays(
    register: Callable[..., Path], store: Store, people: People
) -> None:
    old, new = register(1), register(2, signed=True)
    found = find_removable(new.parent, store, people.pins)
    store.append({"runs": [run("train", f'{{"snapshot_id": "{old.name}"}}')]})
    assert remove(new.parent, store, found, account="ada") == () and old.is_dir()


def test_what_killed_acts_left_behind_goes_a_cut_only_after_a_day(
    register: Callable[..., Path], store: Store, people: People
) -> None:
    folder = register(1).parent
    for name in (".cutting-young", ".cutting-old", ".removing-snap_1"):
        (folder / name / "data").mkdir(parents=True)
        (folder / name / "data" / "x").write_bytes(b"xyz")
    yesterday = time.time() - 25 * 3600
    for path in (folder / ".cutting-old").rglob("*"):
        os.utime(path, (yesterday, yesterday))
    os.utime(folder / ".cutting-old", (yesterday, yesterday))
    found = find_removable(folder, store, people.pins)
    assert [(one.name, one.n_bytes) for one in found] == [(".cutting-old", 3), (".removing-snap_1", 3)]
    assert len(remove(folder, store, found, account="ada")) == 2
    assert sorted(path.name for path in folder.iterdir() if path.name[0] == ".") == [".cutting-young"]


def test_a_kill_between_renaming_and_removing_leaves_what_the_next_gc_takes(
    register: Callable[..., Path], store: Store, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = register(1), register(2, signed=True)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", _killed)
        with pytest.raises(KeyboardInterrupt):
            remove(new.parent, store, find_removable(new.parent, store, people.pins), account="ada")
    assert not old.exists()
    assert names(new.parent, store, people) == {f".removing-{old.name}": "left behind by a removal that was stopped"}


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_doctor_misses_no_snapshot_that_was_removed_on_purpose(
    register: Callable[..., Path], store: Store, people: People
) -> None:
    old, new = register(1), register(2, signed=True)
    remove(new.parent, store, find_removable(new.parent, store, people.pins), account="ada")
    assert store.read("snapshots_removed").column("snapshot_id").to_pylist() == [old.name]
    missing = "snapshots in the register without their folder"
    assert missing not in {one["what"] for one in store.examine()}
    shutil.rmtree(new)
    assert [one["n"] for one in store.examine() if one["what"] == missing] == [1]


def test_revoking_lists_the_runs_that_trained_on_it(
    register: Callable[..., Path], store: Store, people: People
) -> None:
    directory = register(1, signed=True)
    store.append({"runs": [run("train", f'{{"snapshot_id": "{directory.name}"}}')]})
    store.append({"runs": [run("evaluate", f'{{"snapshot": "{directory.name}"}}')]})
    done = revoke_registered(directory, store, tier=1, reason="wrong", key=people.keys["jo"], pins=people.pins)
    assert (done.is_new, done.trained) == (True, ("run_train",))
    assert trained_on(store, "snap_other") == ()

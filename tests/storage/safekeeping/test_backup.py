"""Backups: whole, consistent while others write, checked on the way back, and nothing half made."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from storage.errors import UserError
from storage.process.migrate import migrations
from storage.safekeeping import doctor
from storage.safekeeping.backup import back_up, default_target, restore
from storage.safekeeping.backup_register import known_backups
from storage.safekeeping.file_copy import Copy, copy_file, copy_files
from storage.safekeeping.finding import Finding
from storage.snapshots.cutting import verify_snapshot
from storage.spool import Spool, drain
from tests.conftest import ROOT
from tests.storage.conftest import People
from tests.storage.safekeeping import small_shop
from tests.storage.safekeeping.small_shop import Shop

NEWEST = migrations()[-1][0]


def faults(root: Path) -> list[Finding]:
    with duckdb.connect(str(root / "afrel.duckdb")) as connection:
        return [finding for finding in doctor.examine(connection, root=root) if finding.is_fault]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_restored_backup_is_the_workspace_again(shop: Shop, tmp_path: Path, people: People) -> None:
    root, connection = shop
    (root / "runs" / "run_1").mkdir(parents=True)
    (root / "runs" / "run_1" / "model.bin").write_bytes(b"x" * 1000)
    before = {table: connection.execute(f"select rowid, * from {table}").fetchall() for table in ("docs", "responses")}
    manifest = back_up(connection, root=root, target=tmp_path / "kept" / "one")
    restored = tmp_path / "again"
    restore(tmp_path / "kept" / "one", restored)
    assert manifest.n_rows["responses"] == 8 and manifest.schema == NEWEST
    assert [(left.path, left.n_bytes) for left in manifest.left_out] == [("runs/run_1", 1000)]
    with duckdb.connect(str(restored / "afrel.duckdb")) as opened:
        for table, rows in before.items():
            assert opened.execute(f"select rowid, * from {table}").fetchall() == rows
    assert faults(restored) == []
    snapshots = sorted((restored / "snapshots").iterdir())
    assert len(snapshots) == 2
    assert all(verify_snapshot(folder, people.pins).problems == () for folder in snapshots)
    assert (restored / "guideline.md").read_text() == "# Grade\n"


def test_every_file_of_a_backup_stands_in_its_manifest_with_its_digest(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    back_up(connection, root=root, target=tmp_path / "one")
    written = json.loads((tmp_path / "one" / "backup.json").read_text())
    there = {path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert {row["path"] for row in written["files"]} == there - {"backup.json", "backups.jsonl"}
    for row in written["files"]:
        content = (tmp_path / "one" / row["path"]).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (row["sha256"], row["n_bytes"])
    assert (written["workspace"], written["format"], written["schema"]) == ("shop", 1, NEWEST)
    assert oct((tmp_path / "one").stat().st_mode & 0o777) == "0o700"


def test_the_workspace_and_what_is_restored_from_it_remember_their_backups(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    for name in ("one", "two"):
        back_up(connection, root=root, target=tmp_path / name)
    restore(tmp_path / "two", tmp_path / "again")
    assert [backup.path.name for backup in known_backups(root)] == ["one", "two"]
    assert known_backups(tmp_path / "again") == known_backups(root)


def test_a_line_of_the_register_that_a_crash_cut_off_hides_no_other(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    (root / "backups.jsonl").write_text('{"path": "/torn')
    back_up(connection, root=root, target=tmp_path / "one")
    assert [backup.path.name for backup in known_backups(root)] == ["one"]


def test_paid_replies_of_a_living_worker_are_in_the_backup_and_drain_from_it(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    with Spool(root / "spool", "run_label") as spool:
        spool.append({"llm_call_id": "l_9"})
        back_up(connection, root=root, target=tmp_path / "one")
        assert list(drain(root / "spool")) == []  # the worker holds it still
    restore(tmp_path / "one", tmp_path / "again")
    assert [drained.records for drained in drain(tmp_path / "again" / "spool")] == [({"llm_call_id": "l_9"},)]


def test_what_is_acknowledged_and_not_yet_folded_goes_with_the_backup(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    (root / "journal").mkdir()
    (root / "journal" / "00000000000000000001.log").write_bytes(b"frames")
    back_up(connection, root=root, target=tmp_path / "one")
    assert (tmp_path / "one" / "journal" / "00000000000000000001.log").read_bytes() == b"frames"


def test_a_backup_is_consistent_although_a_reader_holds_an_old_state(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    reader = connection.cursor()
    reader.begin()
    assert reader.execute("select count(*) from comments").fetchall() == [(1,)]
    small_shop.insert(
        connection,
        "comments",
        [{"comment_id": "k_2", "candidate_id": "c", "account": "rex", "text": "t", "created_at": small_shop.AT}],
    )
    back_up(connection, root=root, target=tmp_path / "one")
    restore(tmp_path / "one", tmp_path / "again")
    with duckdb.connect(str(tmp_path / "again" / "afrel.duckdb")) as opened:
        assert opened.execute("select count(*) from comments").fetchall() == [(2,)]


def test_copying_the_open_database_leaves_its_lock_in_place(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    back_up(connection, root=root, target=tmp_path / "one")
    code = f"import duckdb; duckdb.connect({str(root / 'afrel.duckdb')!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert other.returncode != 0 and "lock" in other.stderr


def test_snapshot_data_is_linked_where_it_can_be_and_a_restored_file_never_is(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    back_up(connection, root=root, target=tmp_path / "one")
    restore(tmp_path / "one", tmp_path / "again")
    data = next((root / "snapshots").rglob("data/**/*.parquet")).relative_to(root)
    assert (tmp_path / "one" / data).samefile(root / data)
    assert not (tmp_path / "again" / data).samefile(root / data)
    revocations = next((root / "snapshots").rglob("revocations.json")).relative_to(root)
    assert not (tmp_path / "one" / revocations).samefile(root / revocations)


def test_a_target_inside_the_workspace_or_already_there_is_refused_and_nothing_made(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    (tmp_path / "there").mkdir()
    for target, said in (
        (root / "backups" / "one", "lies in the workspace"),
        (root, "lies in the workspace"),
        (tmp_path / "there", "is there already"),
    ):
        with pytest.raises(UserError, match=said):
            back_up(connection, root=root, target=target)
    assert known_backups(root) == [] and names_in(tmp_path) == ["shop", "there"]


def test_a_full_disk_leaves_nothing_half_made(shop: Shop, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: it stops a write in the same place."""
    root, connection = shop
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))
    try:
        with pytest.raises(
            UserError, match=r"was not made, and nothing is left of it: the disk is full .*afrel.duckdb"
        ):
            back_up(connection, root=root, target=tmp_path / "kept" / "one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert known_backups(root) == [] and names_in(tmp_path) == ["shop"]
    back_up(connection, root=root, target=tmp_path / "kept" / "one")


def test_a_target_that_cannot_be_written_says_so(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="was not made"):
        back_up(connection, root=root, target=tmp_path / "file" / "one")


def test_restore_refuses_an_altered_backup_and_names_the_file(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    back_up(connection, root=root, target=tmp_path / "one")
    (tmp_path / "one" / "guideline.md").write_text("# Grace\n")
    for is_dry in (True, False):
        with pytest.raises(UserError, match=r"is altered: guideline\.md missing or not as backed up"):
            restore(tmp_path / "one", tmp_path / "again", is_dry=is_dry)
    (tmp_path / "one" / "guideline.md").unlink()
    with pytest.raises(UserError, match=r"guideline\.md missing"):
        restore(tmp_path / "one", tmp_path / "again")
    assert names_in(tmp_path) == ["one", "shop"]


def test_restore_never_lays_a_backup_over_files(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    back_up(connection, root=root, target=tmp_path / "one")
    (tmp_path / "empty").mkdir()
    (tmp_path / "letter").write_text("dear")
    for target, said in (
        (root, "is not empty"),
        (tmp_path / "letter", "is not empty"),
        (tmp_path / "one" / "in", "lie in each other"),
    ):
        with pytest.raises(UserError, match=said):
            restore(tmp_path / "one", target)
    restore(tmp_path / "one", tmp_path / "empty")
    assert (tmp_path / "empty" / "afrel.duckdb").is_file() and (tmp_path / "letter").read_text() == "dear"


def rewrite_manifest(folder: Path, **changed: object) -> None:
    content = json.loads((folder / "backup.json").read_text())
    (folder / "backup.json").write_text(json.dumps({**content, **changed}))


def test_restore_refuses_a_newer_schema_a_foreign_folder_and_paths_that_leave_it(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    back_up(connection, root=root, target=tmp_path / "one")
    with pytest.raises(UserError, match=r"is no backup: it has no backup\.json"):
        restore(root, tmp_path / "again")
    rewrite_manifest(tmp_path / "one", schema=99)
    with pytest.raises(UserError, match="has schema 99, this afrel knows"):
        restore(tmp_path / "one", tmp_path / "again")
    for path in ("../shop/afrel.toml", "/etc/passwd", ""):
        rewrite_manifest(tmp_path / "one", schema=NEWEST, files=[{"path": path, "sha256": "0", "n_bytes": 0}])
        with pytest.raises(UserError, match="cannot be read"):
            restore(tmp_path / "one", tmp_path / "again")
    rewrite_manifest(tmp_path / "one", format=2)
    with pytest.raises(UserError, match="its format is not 1"):
        restore(tmp_path / "one", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_backups_go_beside_the_workspace_and_never_share_a_name(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    first = default_target(root)
    assert first.parent == tmp_path / "shop-backups"
    first.mkdir(parents=True)
    assert default_target(root) != first


def test_a_copy_is_whole_under_its_name_and_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    copied = copy_file(tmp_path / "a", tmp_path / "deep" / "b")
    assert copied.sha256 == hashlib.sha256(b"abc" * 1_000_000).hexdigest() and copied.n_bytes == 3_000_000
    assert (tmp_path / "deep" / "b").read_bytes() == (tmp_path / "a").read_bytes()
    assert names_in(tmp_path / "deep") == ["b"]
    assert copy_files([Copy(tmp_path / "gone", tmp_path / "c")]) == [None]
    with pytest.raises(OSError, match="link"):
        copy_file(tmp_path / "link", tmp_path / "c")
    with pytest.raises(FileNotFoundError):
        copy_file(tmp_path / "gone", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_copy_is_made_by_another_process_so_that_no_lock_here_is_lost(tmp_path: Path) -> None:
    (tmp_path / "held").write_text("x")
    descriptor = os.open(tmp_path / "held", os.O_RDWR)
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
    copy_file(tmp_path / "held", tmp_path / "copy")
    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    other = subprocess.run([sys.executable, "-c", code, str(tmp_path / "held")], capture_output=True, text=True)
    os.close(descriptor)
    assert "BlockingIOError" in other.stderr


def test_the_copying_child_needs_nothing_of_ours(tmp_path: Path) -> None:
    """It is run by its path alone, so it must not import the package whose file it is."""
    alone = tmp_path / "file_copy.py"
    shutil.copy(ROOT / "storage" / "safekeeping" / "file_copy.py", alone)
    (tmp_path / "a").write_text("a")
    orders = json.dumps([[str(tmp_path / "a"), str(tmp_path / "b"), False]])
    done = subprocess.run([sys.executable, "-I", alone], input=orders, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0 and (tmp_path / "b").read_text() == "a"

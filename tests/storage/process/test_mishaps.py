"""What can happen to a store's files and hosts: each a clear error or no loss at all, nothing damaged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from storage.errors import UserError
from storage.process.client import SocketTransport
from storage.process.migrate import migrate, migrations
from storage.process.opening import back_up_before_migrating
from storage.process.ownership import Ownership, TakenError
from storage.store import Store
from tests.conftest import stop_store_process
from tests.storage.process.store_rows import llm_calls, passed, shop

N_ROWS = 200


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "workspace"
    folder.mkdir()
    yield folder
    stop_store_process(folder)


def opened(root: Path) -> Store:
    return Store(SocketTransport(root), sees_test=True)


def kill(root: Path) -> None:
    """Kill the store process as the kernel would, and wait until it is gone."""
    found = subprocess.run(["pgrep", "-f", f"storage.process.server {root}"], capture_output=True, text=True)
    for pid in found.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    for pid in found.stdout.split():
        while Path(f"/proc/{pid}/fd").exists() and any(Path(f"/proc/{pid}/fd").iterdir()):
            time.sleep(0.02)  # it is still letting go of its files


def n_calls(store: Store) -> int:
    return sum(row["n"] for row in store.read("counts").to_pylist() if row["what"] == "llm calls")


def filled(root: Path) -> None:
    """Fill a store in ten commits and kill it: DuckDB's log holds them, its file does not."""
    with opened(root) as store:
        for first in range(0, N_ROWS, 20):
            store.append({"llm_calls": llm_calls(first, 20)})
            n_calls(store)  # a read waits for the fold
    kill(root)


@pytest.mark.parametrize("mishap", ["cut in half", "torn at the end", "gone"])
def test_a_shortened_database_log_loses_nothing_because_the_journal_has_it(root: Path, mishap: str) -> None:
    filled(root)
    log = root / "afrel.duckdb.wal"
    if mishap == "cut in half":
        os.truncate(log, log.stat().st_size // 2)
    elif mishap == "torn at the end":
        os.truncate(log, log.stat().st_size - 5)
    else:
        log.unlink()
    with opened(root) as store:
        assert n_calls(store) == N_ROWS
        assert store.rebuild() == {"candidate_status": 0}
    assert "put back requests" in (root / "store.log").read_text()


def test_a_damaged_database_log_is_told_and_moving_it_away_as_told_loses_nothing(root: Path) -> None:
    filled(root)
    log = root / "afrel.duckdb.wal"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 255
    log.write_bytes(content)
    with pytest.raises(UserError, match=r"afrel.duckdb.wal is damaged .*mv .*afrel.duckdb.wal.damaged"):
        opened(root).read("counts")
    assert log.read_bytes() == content
    log.rename(root / "afrel.duckdb.wal.damaged")
    with opened(root) as store:
        assert n_calls(store) == N_ROWS


def test_rows_committed_straight_from_a_file_are_missed_when_the_log_loses_them(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.process.client.HANDOVER_BYTES", 1000)
    with opened(root) as store:
        store.append({"llm_calls": llm_calls(0, 20)})
    kill(root)
    (root / "afrel.duckdb.wal").unlink()
    with pytest.raises(UserError, match="was shortened: 20 rows of llm_calls, taken from a file, are missing"):
        opened(root).read("counts")


def test_an_older_database_put_beside_a_newer_journal_is_refused(root: Path) -> None:
    with opened(root) as store:
        store.append({"llm_calls": llm_calls(0, 5)})
        assert n_calls(store) == 5
    stop_and_wait(root)
    shutil.copy(root / "afrel.duckdb", root / "older")
    with opened(root) as store:
        store.append({"llm_calls": llm_calls(5, 5)})
        assert n_calls(store) == 10
    kill(root)
    shutil.rmtree(root / "journal")
    (root / "journal").mkdir()
    from storage.process.journal import Journal

    Journal(root).mark_folded(2)
    (root / "afrel.duckdb.wal").unlink()
    (root / "older").replace(root / "afrel.duckdb")
    with pytest.raises(UserError, match=r"older than its journal: it ends at request \d of 2"):
        opened(root).read("counts")


def stop_and_wait(root: Path) -> None:
    kill(root)
    with Store.embedded(root):
        pass  # folds the log into the file, as going idle does


def test_what_was_acknowledged_and_not_folded_comes_back(root: Path) -> None:
    with opened(root) as store:
        store.append({"llm_calls": llm_calls(0, 1)})
        for number in range(1, 40):
            store.append({"llm_calls": llm_calls(number, 1)})
        kill(root)
        assert n_calls(store) == 40  # the same client, which reconnects by itself


def test_a_store_opened_in_process_puts_back_the_journal_of_a_killed_one(root: Path) -> None:
    with opened(root) as store:
        store.append({"llm_calls": llm_calls(0, 7)})
    kill(root)
    with Store.embedded(root, sees_test=True) as store:
        assert n_calls(store) == 7


def test_a_store_of_the_first_schema_is_brought_to_the_newest_with_its_data_and_a_backup(root: Path) -> None:
    with duckdb.connect(str(root / "afrel.duckdb")) as old:
        migrate(old, to=1)
        for table, rows in shop(3).items():
            for row in rows:
                names = ", ".join(row)
                marks = ", ".join("?" * len(row))
                old.execute(f"insert into {table} ({names}) values ({marks})", list(row.values()))
        old.execute("insert into runs values ('run_1', 'ingest', 'finished', null, '{}', null, '0', null, now(), null)")
    with Store.embedded(root, sees_test=True) as store:
        assert store.rebuild() == {"candidate_status": 0}
        assert store.claim("ana", 5).column("candidate_id").to_pylist() == [f"c_{n:016x}" for n in range(3)]
        assert store.append({"candidates": shop(3)["candidates"]}) == {"candidates": 0}
        assert store.append({"screenings": [passed(7)]}) == {"screenings": 1}
    (backup,) = (root / "backups").glob("schema-0001-*.duckdb")
    with duckdb.connect(str(backup), read_only=True) as kept:
        assert kept.execute("select count(*) from candidates").fetchall() == [(3,)]
        assert kept.execute("select max(number) from migrations").fetchall() == [(1,)]


@pytest.mark.parametrize("number", [number for number, _, _ in migrations()][1:])
def test_every_migration_that_is_cut_short_is_done_again(tmp_path: Path, number: int) -> None:
    path = str(tmp_path / "afrel.duckdb")
    ((_, _, sql),) = [migration for migration in migrations() if migration[0] == number]
    with duckdb.connect(path) as connection:
        migrate(connection, to=number - 1)
        connection.begin()
        connection.execute(sql)  # and killed before the commit
    with duckdb.connect(path) as connection:
        migrate(connection)
        held = connection.execute("select number from migrations order by number").fetchall()
    assert held == [(number,) for number, _, _ in migrations()]


def test_a_schema_change_without_room_for_the_backup_changes_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect(str(root / "afrel.duckdb")) as old:
        migrate(old, to=2)

    def full(*_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UserError, match=r"cannot be copied .* No space left on device. Nothing was changed"):
        Store.embedded(root)
    with duckdb.connect(str(root / "afrel.duckdb"), read_only=True) as kept:
        assert kept.execute("select max(number) from migrations").fetchall() == [(2,)]


def test_a_file_from_a_newer_schema_is_refused_and_left_alone(root: Path) -> None:
    with Store.embedded(root):
        pass
    with duckdb.connect(str(root / "afrel.duckdb")) as newer:
        newer.execute("insert into migrations values (9999, 'from the future', now()::timestamp)")
    before = (root / "afrel.duckdb").read_bytes()
    with pytest.raises(UserError, match=r"has schema 9999, this afrel knows .* Upgrade afrel; nothing was changed"):
        opened(root).read("counts")
    assert (root / "afrel.duckdb").read_bytes() == before


def test_a_copy_for_a_migration_is_whole_or_not_there(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "afrel.duckdb")) as connection:
        connection.execute("create table t as select 1 as a")
    copy = back_up_before_migrating(tmp_path / "afrel.duckdb", 3)
    assert copy.read_bytes() == (tmp_path / "afrel.duckdb").read_bytes()
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [copy.name]


def other_host(root: Path, n_beats: int) -> None:
    beside = root / "store.host.new"
    beside.write_text(json.dumps({"host": "other/boot", "name": "other", "pid": 7, "token": "t", "n_beats": n_beats}))
    beside.replace(root / "store.host")


def test_a_workspace_in_use_on_another_host_is_refused(tmp_path: Path) -> None:
    other_host(tmp_path, 0)
    stop = threading.Event()

    def beat() -> None:
        for n_beats in range(1, 100):
            if stop.wait(0.1):
                return
            other_host(tmp_path, n_beats)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with pytest.raises(UserError, match="in use by the store process 7 on host 'other'"):
            Ownership(tmp_path, watch_seconds=2)
    finally:
        stop.set()
        beating.join()


def test_a_host_that_died_does_not_keep_its_workspace(tmp_path: Path) -> None:
    other_host(tmp_path, 5)
    ownership = Ownership(tmp_path, watch_seconds=0.3)
    assert ownership.beat()
    with pytest.raises(TakenError):
        Ownership(tmp_path)
    ownership.release()
    assert not (tmp_path / "store.host").exists()


def test_an_owner_notices_that_another_host_has_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.process.ownership.BEAT_SECONDS", 0.0)
    ownership = Ownership(tmp_path)
    assert ownership.beat()
    other_host(tmp_path, 1)
    assert not ownership.beat()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB of its own, where mounting is allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    stop_store_process(folder)
    time.sleep(0.2)
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(small_disk: Path) -> None:
    n_acknowledged, told = 0, ""
    with opened(small_disk) as store:
        try:
            for first in range(0, 10**6, 500):
                store.append({"llm_calls": llm_calls(first, 500)})
                n_acknowledged += 500
        except UserError as error:
            told = str(error)
    assert "Free some space" in told or "Make room" in told, told
    kill(small_disk)
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    with opened(small_disk) as store:
        assert n_calls(store) in (n_acknowledged, n_acknowledged + 500)  # the one that failed may be kept or not
        assert store.append({"llm_calls": llm_calls(10**6, 1)}) == {"llm_calls": 1}


def make_read_only(disk: Path) -> None:
    """A killed process may hold its files open for a moment more."""
    command = ["mount", "-o", "remount,ro", str(disk)]
    while subprocess.run(command, capture_output=True).returncode:
        time.sleep(0.05)


def test_a_read_only_disk_is_told(small_disk: Path) -> None:
    with opened(small_disk) as store:
        store.append({"llm_calls": llm_calls(0, 5)})
    kill(small_disk)
    make_read_only(small_disk)
    with pytest.raises(UserError, match=r"cannot be written|Read-only"):
        opened(small_disk).read("counts")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with opened(small_disk) as store:
        assert n_calls(store) == 5


def test_a_clock_that_goes_back_loses_no_row_and_no_lease(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from storage.clock import now

    with Store.embedded(root, sees_test=True) as store:
        store.append(shop(2))
        assert store.claim("ana", 1).num_rows == 1
        monkeypatch.setattr("storage.process.owner.now", lambda: now() - timedelta(days=400))
        assert store.claim("bo", 2).column("candidate_id").to_pylist() == [f"c_{1:016x}"]
        assert store.append({"llm_calls": llm_calls(0, 1)}) == {"llm_calls": 1}
        assert store.rebuild() == {"candidate_status": 0}

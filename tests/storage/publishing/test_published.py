"""The published copy is right however it was made, harms nobody while it is made, and outlives whatever stops it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from storage.errors import UserError
from storage.publishing import published
from storage.publishing import rows as published_rows
from storage.publishing.masking import LEFT_OUT
from storage.publishing.published import begin_snapshot, publish
from storage.publishing.views import VIEWS
from tests.conftest import ROOT
from tests.storage.publishing.published_store import AT, StoreFile, id_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of ten rows a table, published and closed."""
    root = tmp_path_factory.mktemp("made")
    with closing(StoreFile(root)) as shop:
        shop.grow(10)
        shop.publish()
    return root


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Iterator[StoreFile]:
    """A store of one's own like that, its copy as good as new."""
    shutil.copytree(made, tmp_path / "shop")
    with closing(StoreFile(tmp_path / "shop")) as opened:
        yield opened


def alter(copy: Path, sql: str) -> None:
    """Change a copy so that nothing tells, not even its time: what is built on it keeps the change."""
    times = copy.stat()
    with duckdb.connect(str(copy)) as connection:
        connection.execute(sql)
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))


MARK = "insert into grades values ('altered', 9, 'altered', null)"
MARKED = "select count(*) from grades where grade_id = 'altered'"


def test_what_is_added_to_a_copy_equals_what_is_built_anew(shop: StoreFile) -> None:
    """Every kind of change, a round each; the mark shows that a round added to the copy that was there."""
    answer = {"account": "cy.wu", "act": "submitted", "grade": 3}
    withdrawal = {"account": "ana", "act": "withdrawn", "target_id": "a_3"}

    def act() -> None:
        """The consensus of pair 3 falls; pair 1 gets a second answer and another judgment, test pair 4 an answer."""
        shop.insert(
            "responses",
            [
                {**withdrawal, "response_id": "w", "pair_id": id_of("p", 3)},
                {**answer, "response_id": "b", "pair_id": id_of("p", 1)},
                {**answer, "response_id": "t", "pair_id": id_of("p", 4)},
            ],
        )
        shop.insert("judgments", [{"pair_id": id_of("p", 1), "origin": "adjudicated", "response_ids": []}])

    def send_back() -> None:
        shop.insert("send_backs", [{"pair_id": id_of("p", 2), "response_ids": ["a_2"]}])

    def update() -> None:
        shop.update("update runs set status = 'failed', counts = '{}', finished_at = null")
        shop.update("update jobs set status = 'gone'")
        shop.update(
            "update candidate_status set status = 'disputed', n_answers = 2 where rowid in (2, 4)",
            pairs=[id_of("p", 2), id_of("p", 4)],
        )

    def decide() -> None:
        shop.insert("approvals", [{"kind": "rule", "content_id": "r_1", "decision": "approve"}])
        shop.pin({"dee": "person_d"})
        shop.insert("responses", [{"account": "dee"}])

    rounds: list[Callable[[], None]] = [lambda: shop.grow(7), act, send_back, update, decide, lambda: shop.grow(1)]
    for change in rounds:
        change()
        alter(shop.copy, MARK)
        shop.publish()
        assert shop.ask(MARKED) == [(1,)]
        added = shop.contents()
        added["grades"] = [row for row in added["grades"] if "altered" not in row]
        assert added == shop.contents_built_anew()


def test_an_answer_that_was_sent_back_stands_no_more_and_of_test_pairs_nobody_is_told(shop: StoreFile) -> None:
    shop.insert("send_backs", [{"pair_id": id_of("p", i), "response_ids": [id_of("a", i)]} for i in (2, 4)])
    shop.publish()
    assert shop.ask("select pair_id from standing_responses where pair_id in ('p_1', 'p_2')") == [("p_1",)]
    assert shop.ask("select pair_id from current_judgments where pair_id in ('p_1', 'p_2')") == [("p_1",)]
    # rows 4 and 9 of the ten speak of test pairs, and so does the second of these
    assert shop.ask("select count(*), count(*) filter (pair_id = 'p_4') from send_backs") == [(9, 0)]


def test_an_answer_tells_the_way_it_came(shop: StoreFile) -> None:
    shop.insert("runs", [{"run_id": "run_pull", "verb": "argilla pull"}])
    rows = [{"response_id": "pulled", "run_id": "run_pull"}, {"response_id": "given", "run_id": None}]
    shop.insert("responses", [{"pair_id": "p_1", **row} for row in rows])
    shop.publish()
    ways = shop.ask("select response_id, via from responses_via where response_id in ('given', 'pulled') order by via")
    assert ways == [("given", "app"), ("pulled", "argilla")]
    assert shop.ask("select (select count(*) from responses_via) - (select count(*) from responses)") == [(0,)]


def test_a_copy_that_does_not_know_what_changed_takes_the_status_of_all(shop: StoreFile) -> None:
    shop.update("update candidate_status set status = 'settled'")
    alter(shop.copy, MARK)
    shop.publish(is_known=False)
    assert shop.ask(MARKED) == [(1,)]
    assert shop.ask("select distinct status from candidate_status") == [("settled",)]


def test_changed_pairs_that_do_not_belong_to_a_snapshot_are_not_trusted(shop: StoreFile) -> None:
    """Between taking them and the transaction a commit may have come whose pairs are not among them."""
    shop.update("update candidate_status set status = 'settled'")
    with closing(shop.connection.cursor()) as cursor:
        publish(cursor, root=shop.root, scratch=shop.scratch, changed_pairs=[])
    assert shop.ask("select distinct status from candidate_status") == [("settled",)]


def test_a_snapshot_shows_no_later_commit_and_the_next_one_does(shop: StoreFile) -> None:
    shop.grow(1)
    with closing(shop.connection.cursor()) as cursor:
        begin_snapshot(cursor)
        changed, shop.changed = sorted(shop.changed), set()
        shop.update("update candidate_status set status = 'settled'", pairs=[id_of("p", i) for i in range(11)])
        shop.insert("judgments", [{}])
        publish(cursor, root=shop.root, scratch=shop.scratch, changed_pairs=changed)
    assert shop.ask("select distinct status, (select count(*) from judgments) from candidate_status") == [
        ("proposed", 11)
    ]
    shop.publish()
    assert shop.contents() == shop.contents_built_anew()


def test_a_copy_that_is_up_to_date_is_left_alone(shop: StoreFile) -> None:
    before = shop.copy.stat()
    shop.publish()
    assert (shop.copy.stat().st_ino, shop.copy.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_reader_of_an_old_copy_keeps_reading_it(shop: StoreFile) -> None:
    with duckdb.connect(str(shop.copy), read_only=True) as reader:
        reader.execute("select count(*) from docs")
        for _ in range(3):
            shop.grow(5)
            shop.publish()
        assert reader.execute("select count(*), count(distinct title) from docs").fetchall() == [(10, 10)]
    assert shop.ask("select count(*) from docs") == [(25,)]


PLAIN = """
import sys
for module in ("pytz", "pyarrow", "pandas", "numpy"):
    sys.modules[module] = None
import duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
names = connection.execute(
    "select table_name from duckdb_tables() union select view_name from duckdb_views() where not internal").fetchall()
for (name,) in names:
    connection.execute(f"select * from {name}").fetchall()
print(len(names), connection.execute("select count(*) from duckdb_extensions() where loaded").fetchall()[0][0] < 6)
"""


def test_a_process_with_nothing_but_duckdb_reads_every_table_and_view(shop: StoreFile) -> None:
    done = subprocess.run([sys.executable, "-c", PLAIN, str(shop.copy)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) == len(shop.contents())


def test_a_copy_attached_under_another_name_has_its_views(shop: StoreFile) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{shop.copy}' as other (read_only)")
        assert connection.execute("select count(*) from other.lineage").fetchall() == [(10,)]


def test_only_the_owner_of_the_file_may_read_it_and_nothing_is_left_beside_it(shop: StoreFile) -> None:
    assert shop.copy.stat().st_mode & 0o777 == 0o600
    assert list(shop.scratch.iterdir()) == []
    assert {path.name for path in shop.root.iterdir()} <= {
        ".publish", "afrel.duckdb", "afrel.duckdb.wal", "published.duckdb"
    }  # fmt: skip


STAGES = [
    (os, "link"),
    (os, "copy_file_range"),
    (os, "fdatasync"),
    (published, "catch_up"),
    (published_rows, "append"),
    (os, "utime"),
    (os, "replace"),
]


@pytest.mark.parametrize(("module", "name"), STAGES, ids=[name for _, name in STAGES])
def test_a_publish_that_fails_leaves_the_old_copy_and_a_store_that_takes_rows(
    shop: StoreFile, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    before = shop.contents()
    shop.grow(3)

    def fail(*_: object, **__: object) -> None:
        raise OSError("stopped here")

    with monkeypatch.context() as patch:
        patch.setattr(module, name, fail)
        with pytest.raises(OSError, match="stopped here"):
            shop.publish()
    assert shop.contents() == before
    assert list(shop.scratch.iterdir()) == []
    shop.grow(1)
    shop.publish(is_known=False)
    assert shop.contents() == shop.contents_built_anew()


KILLED = """
import os, signal, sys
from pathlib import Path
from storage.publishing import published
from storage.publishing import rows as published_rows
from tests.storage.publishing.published_store import StoreFile
shop = StoreFile(Path(sys.argv[1]))
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
setattr({"os": os, "published": published, "published_rows": published_rows}[sys.argv[2]], sys.argv[3], die)
shop.grow(3)
if sys.argv[4] == "new":
    shop.copy.unlink()
shop.publish()
"""


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("published.catch_up", "new"),
        ("published_rows._take_status", "grown"),
        ("os.replace", "new"),
        ("os.replace", "grown"),
    ],
)
def test_a_killed_publish_leaves_only_files_that_the_next_removes(shop: StoreFile, stage: str, kind: str) -> None:
    before = shop.contents()
    shop.close()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(shop.root), *stage.split("."), kind],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == -signal.SIGKILL
    shop.open()
    assert (shop.scratch / "building.duckdb").exists()
    if kind == "grown":
        assert shop.contents() == before
    shop.publish(is_known=False)
    assert list(shop.scratch.iterdir()) == []
    assert shop.ask("select count(*) from docs") == [(13,)]
    assert shop.contents() == shop.contents_built_anew()


def truncate(copy: Path) -> None:
    os.truncate(copy, copy.stat().st_size // 2)


def overwrite(copy: Path) -> None:
    times, content = copy.stat(), copy.read_bytes()
    copy.write_bytes(content[:4096] + os.urandom(8192) + content[12288:])
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))


def empty(copy: Path) -> None:
    copy.write_bytes(b"")


def write_into(copy: Path) -> None:
    with duckdb.connect(str(copy)) as connection:
        connection.execute("create table mine as select 1 as i; delete from docs")


def leave_a_log(copy: Path) -> None:
    copy.with_name("published.duckdb.wal").write_bytes(b"of another file")


def another_database(copy: Path) -> None:
    times = copy.stat()
    copy.unlink()
    with duckdb.connect(str(copy)) as connection:
        connection.execute("create table publication as select 1 as made_at")
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("damage", [truncate, overwrite, empty, write_into, leave_a_log, another_database])
def test_a_damaged_copy_is_replaced_though_no_fact_came(shop: StoreFile, damage: Callable[[Path], None]) -> None:
    damage(shop.copy)
    shop.publish()
    assert shop.contents() == shop.contents_built_anew()
    assert not shop.copy.with_name("published.duckdb.wal").exists()


def test_a_copy_with_a_broken_block_is_replaced_when_that_block_is_needed(shop: StoreFile) -> None:
    times, size = shop.copy.stat(), shop.copy.stat().st_size
    with open(shop.copy, "r+b") as file:
        for at in range(3 * 4096 + 100, size, 8192):
            file.seek(at)
            file.write(b"\x5a" * 64)
    os.utime(shop.copy, ns=(times.st_atime_ns, times.st_mtime_ns))
    shop.grow(2)
    shop.publish()
    assert shop.contents() == shop.contents_built_anew()


def test_somebody_who_opened_the_copy_to_write_costs_one_building_anew(shop: StoreFile) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(shop.copy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    shop.grow(2)
    shop.publish()
    other.communicate()
    assert shop.contents() == shop.contents_built_anew()


def test_a_copy_of_another_form_is_built_anew(shop: StoreFile, monkeypatch: pytest.MonkeyPatch) -> None:
    alter(shop.copy, MARK)
    shop.publish()
    assert shop.ask(MARKED) == [(1,)]
    monkeypatch.setattr(published_rows, "FORM", 1000)
    shop.publish()
    assert shop.ask(MARKED) == [(0,)]


def test_what_is_erased_is_gone_from_the_next_copy(shop: StoreFile) -> None:
    shop.update("update docs set title = '', body = '' where doc_id = 'd_3'")
    shop.insert("erasures", [{}])
    shop.publish()
    assert shop.ask("select title, body from docs where doc_id = 'd_3'") == [("", "")]
    assert b"body 3" not in shop.copy.read_bytes()
    assert shop.contents() == shop.contents_built_anew()


def test_a_store_put_back_and_grown_otherwise_gets_a_copy_of_its_own(shop: StoreFile) -> None:
    """As many commits and rows as the copy shows, but other rows."""
    shop.close()
    shutil.copyfile(shop.root / "afrel.duckdb", shop.root / "backup")
    shop.open()
    shop.insert("grades", [{"grade_id": "first"}])
    shop.publish()
    shop.close()
    shutil.copyfile(shop.root / "backup", shop.root / "afrel.duckdb")
    shop.open()
    shop.insert("grades", [{"grade_id": "second"}])
    shop.publish()
    assert shop.ask("select grade_id from grades where not starts_with(grade_id, 'grade_id')") == [("second",)]
    assert shop.contents() == shop.contents_built_anew()


def test_another_pseudonym_is_another_one_in_every_row(shop: StoreFile) -> None:
    shop.insert("accounts", [{"account": "ana", "pseudonym": "person_z", "role": "reviewer", "created_at": AT}])
    shop.insert(
        "accounts", [{"account": "ana", "pseudonym": "person_y", "role": "admin", "created_at": AT.replace(hour=23)}]
    )
    shop.publish()
    assert {row[0] for row in shop.ask("select distinct account from responses")} == {
        "person_y",
        "person_b",
        "person_c",
    }
    assert shop.contents() == shop.contents_built_anew()


def test_a_new_account_whose_name_is_in_older_rows_is_hidden_there_too(shop: StoreFile) -> None:
    shop.insert("revocations", [{"account": "eve", "reason": "eve was wrong"}])
    shop.publish()
    assert ("eve was wrong",) in shop.ask("select reason from revocations")
    shop.pin({"eve": "person_e"})
    shop.publish()
    assert shop.ask("select reason from revocations where account = 'person_e'") == [("(account) was wrong",)]
    assert shop.contents() == shop.contents_built_anew()


def test_commits_go_on_while_a_copy_is_made_and_it_shows_whole_ones(shop: StoreFile) -> None:
    """Each commit adds one row to two tables; the copy has as many of one as of the other."""
    shop.update(
        "insert into docs select 'x_' || i, repeat('word ', 20), '', '{}', 's', 'r', timestamp '2026-01-01' "
        "from range(200000) t(i)"
    )
    stop, n_commits = threading.Event(), [0]

    def commit() -> None:
        with closing(shop.connection.cursor()) as cursor:
            while not stop.is_set():
                cursor.begin()
                cursor.execute("insert into grades values (uuid()::varchar, 1, 'n', '2026-01-01')").fetchall()
                cursor.execute(
                    "insert into comments values (uuid()::varchar, 'c', 'ana', 't', '2026-01-01')"
                ).fetchall()
                cursor.execute("update position set n_commits = n_commits + 1").fetchall()
                cursor.commit()
                n_commits[0] += 1

    writer = threading.Thread(target=commit)
    writer.start()
    seen = []
    try:
        for _ in range(3):
            before = n_commits[0]
            shop.publish(is_known=False)
            seen.append(n_commits[0] - before)
            assert shop.ask("select (select count(*) from grades) = (select count(*) from comments)") == [(True,)]
    finally:
        stop.set()
        writer.join()
    assert min(seen) > 0
    shop.publish(is_known=False)
    assert len(shop.contents()["grades"]) == 10 + n_commits[0]


def test_a_disk_without_room_is_told_before_anything_is_written(
    shop: StoreFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.grow(1)
    before = shop.contents()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"needs .* MB, and the disk of .* has 0 MB free"):
        shop.publish()
    assert shop.contents() == before


def test_an_empty_store_has_a_copy(tmp_path: Path) -> None:
    with closing(StoreFile(tmp_path)) as shop:
        shop.publish()
        assert not any(rows for name, rows in shop.contents().items() if not name.startswith("publication"))
        shop.grow(2)
        shop.publish()
        assert shop.contents() == shop.contents_built_anew()


def test_every_view_and_what_is_left_out_is_documented() -> None:
    told = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    assert [name for name in VIEWS if f"| `{name}` |" not in told] == []
    assert [name for name in LEFT_OUT if name not in told] == []

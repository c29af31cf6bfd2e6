"""The doctor: a sound workspace is fine, and each thing that is broken is found, alone and by its name."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from storage import liveness
from storage.clock import now
from storage.ids import content_id
from storage.liveness import is_alive, own_process
from storage.process.migrate import migrate
from storage.process.table_columns import columns_of
from storage.safekeeping.doctor import NOT_REBUILT, examine
from storage.safekeeping.doctor_files import key_files
from storage.safekeeping.finding import Finding, Severity
from storage.safekeeping.id_checks import JUDGMENT_RECIPES, NOT_RECOMPUTED, RECIPES, wrong_ids
from storage.safekeeping.references import BY_COLUMN, BY_PLACE, NOT_REFERENCES, references
from storage.snapshots.cutting import revoke
from storage.spool import Spool
from tests.conftest import Afrel, stop_store_process
from tests.storage.conftest import People
from tests.storage.safekeeping import small_shop as made
from tests.storage.safekeeping.small_shop import Shop


def faults(shop: Shop) -> list[Finding]:
    root, connection = shop
    return [finding for finding in examine(connection, root=root) if finding.is_fault]


def test_a_sound_workspace_is_fine_and_the_doctor_says_what_it_did_not_look_at(shop: Shop) -> None:
    root, connection = shop
    assert examine(connection, root=root) == [NOT_REBUILT]


def test_a_finding_survives_the_wire() -> None:
    finding = Finding(Severity.LEFT_OVER, "things", 3, "rm them", "a thing")
    assert Finding.from_mapping(json.loads(json.dumps(finding.to_mapping()))) == finding


def test_every_column_that_names_rows_is_decided() -> None:
    """A new column ending in `_id` or `_ids`, or naming an account, must say what it names, or that it is nothing."""
    with duckdb.connect() as connection:
        migrate(connection)
        columns = columns_of(connection)
        known = {(reference.table, reference.column) for reference in references(connection)} | set(NOT_REFERENCES)
    undecided = [
        f"{table}.{column}"
        for table, kinds in columns.items()
        for place, column in enumerate(kinds)
        if (column.endswith(("_id", "_ids")) or column in ("account", "by_account"))
        and (table, column) not in known
        and (table, column) != ("accounts", "account")
        and (place > 0 or BY_COLUMN.get(column, table) != table)
        # what a source calls a text is no row of ours
        and column != "external_id"
    ]
    assert undecided == []
    places = {(table, column) for table, kinds in columns.items() for column in kinds}
    assert set(BY_PLACE) | set(NOT_REFERENCES) <= places
    targets = {*BY_COLUMN.values(), *(target for targets in BY_PLACE.values() for target in targets)}
    assert targets <= set(columns)


def test_every_table_has_a_recipe_for_its_ids_or_a_reason_why_not() -> None:
    with duckdb.connect() as connection:
        migrate(connection)
        tables = set(columns_of(connection))
    assert len(JUDGMENT_RECIPES) == 2
    assert {*RECIPES, *NOT_RECOMPUTED, "judgments"} == tables
    assert set(RECIPES) & set(NOT_RECOMPUTED) == set()


# what is done to the workspace -> what alone is found, how many, and a part of the example
BREAKS: dict[str, tuple[str, str, int, str]] = {
    "a doc is gone": (
        f"create table d as from docs where doc_id <> '{made.SHELF['doc_id']}' order by rowid; drop table docs; "
        "alter table d rename to docs",
        "pairs.doc_id names docs that are not there",
        1,
        made.SHELF["doc_id"],
    ),
    "a cited rule is unknown": (
        "create table c as select * replace (['r_0'] as rule_ids) from candidates order by rowid; "
        "drop table candidates cascade; alter table c rename to candidates",
        "candidates.rule_ids names rules that are not there",
        4,
        "names r_0",
    ),
    "an account is unknown": (
        "update comments set account = 'bo'",
        "comments.account names accounts that are not there",
        1,
        "k_1 names bo",
    ),
    "a text was altered": (
        f"update queries set text = 'blue sofa' where query_id = '{made.SOFA_QUERY_ID}'",
        "queries have ids that do not follow from what they say: they were altered or damaged",
        1,
        made.SOFA_QUERY_ID,
    ),
    "a field of a doc was altered": (
        """update docs set fields = '{"colour": "blue"}' where source = 'shop'""",
        "docs have ids that do not follow from what they say: they were altered or damaged",
        1,
        made.SOFA["doc_id"],
    ),
    "a rationale was altered": (
        f"update candidates set steps = '[]' where pair_id = '{made.SHOP_PAIR}'",
        "candidates have ids that do not follow from what they say: they were altered or damaged",
        1,
        made.candidate_id(made.SHOP_PAIR),
    ),
    "an act was given to somebody else": (
        "update responses set account = 'jo' where account = 'rex' and sequence = 0",
        "responses have ids that do not follow from what they say: they were altered or damaged",
        1,
        "a_",
    ),
    "an imported judgment was given to another source": (
        "update judgments set origin = 'import:post' where origin = 'import:mail'",
        "judgments have ids that do not follow from what they say: they were altered or damaged",
        1,
        "j_",
    ),
    "a row stands twice": (
        "insert into comments from comments",
        "comments hold an id more than once",
        1,
        "k_1",
    ),
    "rows were deleted": ("delete from llm_calls where rowid = 2", "llm_calls lack rows in between", 1, ""),
    "a status is missing": (
        "create table c as from candidate_status order by rowid limit 3; drop table candidate_status cascade; "
        "alter table c rename to candidate_status",
        "candidates whose status is missing or in another's place",
        1,
        "c_",
    ),
    "two statuses changed places": (
        "create table c as from candidate_status order by rowid desc; drop table candidate_status cascade; "
        "alter table c rename to candidate_status",
        "candidates whose status is missing or in another's place",
        4,
        "c_",
    ),
    "a member is not registered": (
        "update tiers set n_rows = 9 where n_rows = 2",
        "snapshots whose registered rows are not all there",
        1,
        "is said to have 9 rows, 2 are registered",
    ),
    "a manifest is another": (
        "update snapshots set manifest_digest = 'x' where n_rows = 2",
        "snapshots whose manifest is not the one registered",
        1,
        "snap_",
    ),
}


@pytest.mark.parametrize("name", list(BREAKS))
def test_what_is_broken_among_the_rows_is_found_alone(shop: Shop, name: str) -> None:
    sql, what, n, example = BREAKS[name]
    for statement in sql.split("; "):
        shop[1].execute(statement).fetchall()
    (found,) = faults(shop)
    assert found.what.startswith(what) and found.n == n and example in (found.example or "")
    assert found.severity is Severity.WRONG and found.mend


def test_rows_of_the_future_are_found_by_table(shop: Shop) -> None:
    _, connection = shop
    connection.execute("update comments set created_at = ?", [now() + timedelta(minutes=5)])
    assert faults(shop) == []  # clocks differ by so much
    connection.execute("update comments set created_at = ?", [now() + timedelta(days=2)])
    (found,) = faults(shop)
    assert (found.what, found.n) == ("comments are dated in the future", 1) and "k_1 of 20" in (found.example or "")


def test_a_snapshot_folder_that_is_missing_or_unknown_is_found(shop: Shop) -> None:
    root, _ = shop
    first, second = sorted((root / "snapshots").iterdir())
    first.rename(root / "snapshots" / "snap_unknown")
    whats = {finding.what: finding for finding in faults(shop)}
    assert whats["snapshots in the register without their folder"].example == first.name
    assert whats["snapshot folders the register does not know: a cut was stopped before its last step"].n == 1
    assert len(whats) == 2 and second.exists()


def test_seals_that_only_one_side_knows_are_found(shop: Shop, people: People) -> None:
    root, connection = shop
    first, second = sorted((root / "snapshots").iterdir())
    revoke(first, people.keys["jo"], tier=None, reason="wrong", pins=people.pins)
    row = {"revocation_id": content_id("rv", second.name, 1), "snapshot_id": second.name, "tier": 1}
    made.insert(connection, "revocations", [{**row, "account": "jo", "reason": "wrong", "created_at": made.AT}])
    (second / "signatures" / "tier_1.jo.json").unlink()
    assert {finding.what: finding.example for finding in faults(shop)} == {
        "revocations that the register lacks: revoke was stopped before its last step": first.name,
        "revocations that the folder lacks: its list was put back": f"{second.name} tier 1",
        "signatures in the register without their file": f"{second.name} tier 1 by jo",
    }


def test_a_tier_revoked_before_the_whole_snapshot_was_is_no_fault(shop: Shop, people: People) -> None:
    root, connection = shop
    first = sorted((root / "snapshots").iterdir())[0]
    revoke(first, people.keys["jo"], tier=None, reason="wrong", pins=people.pins)
    for tier in (None, 1):  # the command notes a tier that the whole covers, too
        row = {"revocation_id": content_id("rv", first.name, tier), "snapshot_id": first.name, "tier": tier}
        made.insert(connection, "revocations", [{**row, "account": "jo", "reason": "wrong", "created_at": made.AT}])
    assert faults(shop) == []


def test_paid_replies_of_the_dead_are_found_and_those_of_the_living_left_alone(shop: Shop) -> None:
    root, _ = shop
    with Spool(root / "spool", "run_label") as spool:
        for number in range(3):
            spool.append({"n": number})
        assert faults(shop) == []
    (found,) = faults(shop)
    assert (found.n, found.severity) == (3, Severity.LEFT_OVER) and found.mend.startswith("afrel label")
    assert found.example == f"spool/{spool.path.name}"


def test_what_killed_processes_left_half_made_is_found_once_it_is_old(shop: Shop) -> None:
    root, _ = shop
    paths = [
        root / "handover" / "x.parquet",
        root / "snapshots" / ".cutting-12ab",
        root / "snapshots" / ".revocations.json.12ab",
        root / ".publish" / "building.duckdb",
        root.parent / f".making-{root.name}-12ab",
        root.parent / f"{root.name}-backups" / ".making-one-12ab",
    ]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert faults(shop) == []
    for path in paths:
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    assert sorted(finding.n for finding in faults(shop)) == [1, 1, 2, 2]
    assert {finding.severity for finding in faults(shop)} == {Severity.LEFT_OVER}


def test_an_act_that_takes_back_one_not_here_yet_is_told_and_is_no_fault(shop: Shop) -> None:
    """An undo may arrive before what it undoes; neither id tells which of the two is late."""
    root, connection = shop
    connection.execute("update responses set target_id = 'a_0' where sequence = 0").fetchall()
    assert faults(shop) == []
    (found,) = [f for f in examine(connection, root=root) if f.what.startswith("responses.target_id")]
    assert (found.severity, found.n) == (Severity.NOT_LOOKED_AT, 2)


def test_a_request_the_database_refused_is_found(shop: Shop) -> None:
    root, _ = shop
    (root / "journal" / "refused").mkdir(parents=True)
    (root / "journal" / "refused" / "1.arrow").write_text("")
    (found,) = faults(shop)
    assert found.severity is Severity.WRONG and found.example == "journal/refused/1.arrow"


def test_a_published_copy_that_cannot_be_opened_is_found(shop: Shop) -> None:
    root, _ = shop
    with duckdb.connect(str(root / "published.duckdb")) as published:
        published.execute("create table t (i integer)")
    assert faults(shop) == []
    (root / "published.duckdb").write_bytes(b"torn")
    (found,) = faults(shop)
    assert found.what == "the read-only copy cannot be opened" and found.mend.startswith(f"rm {root}")


def running(run_id: str, **more: Any) -> dict[str, Any]:
    row = {"run_id": run_id, "verb": "label", "status": "running", "config": "{}", "code_version": "1"}
    return {**row, "started_at": now(), **more}


def test_a_run_whose_process_is_gone_is_found_and_a_living_one_is_not(shop: Shop) -> None:
    root, connection = shop
    code = "from storage.liveness import own_process; print(own_process())"
    gone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    elsewhere = "another-host/boot/1/2"
    rows = [running("run_a", process=own_process()), running("run_b", process=gone)]
    made.insert(connection, "runs", [*rows, running("run_c", process=elsewhere)])
    (found,) = faults(shop)
    assert (found.n, found.example, found.mend) == (1, "run_b", "afrel doctor --mend")
    unseen = [f for f in examine(connection, root=root) if f.severity is Severity.NOT_LOOKED_AT and f != NOT_REBUILT]
    assert [f.example for f in unseen] == ["run_c"]


def test_a_training_run_that_another_process_goes_on_with_is_alive_as_long_as_its_folder_is_locked(
    shop: Shop,
) -> None:
    root, connection = shop
    made.insert(connection, "runs", [running("run_t", process=f"{platform.node()}/another boot/1/2")])
    (root / "runs" / "run_t").mkdir(parents=True)
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
        "print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(root / "runs" / "run_t" / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert faults(shop) == []
        holder.kill()
    assert [finding.example for finding in faults(shop)] == ["run_t"]


def test_a_run_without_a_process_is_dead_only_if_the_machine_was_started_since(shop: Shop) -> None:
    _, connection = shop
    booted = liveness.booted_at()
    assert booted is not None and booted < now()
    made.insert(connection, "runs", [running("run_old", started_at=booted - timedelta(days=1)), running("run_new")])
    (found,) = faults(shop)
    assert found.example == "run_old"


def test_a_process_is_told_from_another_one_with_its_number() -> None:
    host, boot, number, started = own_process().rsplit("/", 3)
    assert is_alive(own_process()) is True
    assert is_alive(f"{host}/{boot}/{number}/{int(started) + 1}") is False
    assert is_alive(f"{host}/other boot/{number}/{started}") is False
    assert is_alive(f"other host/{boot}/{number}/{started}") is None
    assert is_alive("nonsense") is None


def test_a_killed_process_that_nobody_has_reaped_is_dead() -> None:
    code = "from storage.liveness import own_process; print(own_process(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None
        process = child.stdout.readline().strip()
        assert is_alive(process) is True
        child.kill()
        deadline = time.monotonic() + 10
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_alive(process) is False


def test_key_files_that_others_may_read_are_found(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    tmp_path.chmod(0o700)
    (tmp_path / "keys" / "ana.json").write_text("{}")
    (tmp_path / "keys" / "ana.json").chmod(0o600)
    assert key_files(tmp_path) == [] and key_files(tmp_path / "nowhere") == []
    (tmp_path / "keys" / "ana.json").chmod(0o640)
    (found,) = key_files(tmp_path)
    assert found.example == str(tmp_path / "keys" / "ana.json") and "chmod" in found.mend


def test_a_hundred_thousand_ids_are_recomputed_in_seconds(tmp_path: Path) -> None:
    """A bound on disaster: a million rows must take well under a minute."""
    with duckdb.connect(str(tmp_path / "afrel.duckdb")) as connection:
        migrate(connection)
        connection.execute(
            "insert into rule_votes select 'v_0', 'r_1', 'p_' || i, 1, 'run_1', timestamp '2025-01-01' "
            "from range(100000) t(i)"
        ).fetchall()
        started = time.monotonic()
        own = {table: next(iter(columns)) for table, columns in columns_of(connection).items()}
        (found,) = wrong_ids(connection, own)
        assert found.n == 100_000 and time.monotonic() - started < 10


@pytest.mark.slow
def test_ids_are_made_as_the_verbs_make_them(afrel: Afrel, tmp_path: Path) -> None:
    """The recipes repeat the writers: rows of a true workspace must all follow them."""
    folder = tmp_path / "shop"
    rows = ["query,title,brand,label,split"]
    for n, thing in enumerate(("sofa", "lamp", "rug", "chair", "table", "mirror", "stool", "shelf")):
        for colour in ("red", "blue", "grün"):
            split = ("train", "train", "train", "dev")[n % 4]
            rows.append(f"{colour} {thing},{colour} {thing} Nordli,Nordli,2,{split}")
            rows.append(f"{colour} {thing},{thing} cleaner,Terrane,0,{split}")
            rows.append(f"{colour} {thing},{colour} {thing} cover,Terrane,,{split}")
    (tmp_path / "pairs.csv").write_text("\n".join([*rows, "lamp,Lamp,Nordli,nine,train"]) + "\n")
    afrel("init", folder, "--scale", "0-2")
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    columns = "query=query,title=title,field.brand=brand,grade=label,split=split"
    afrel("ingest", tmp_path / "pairs.csv", "--map", columns, workspace=folder)
    afrel("mine", workspace=folder)
    afrel("approve", "--all", workspace=folder, account="root")
    afrel("mutate", "--limit", "20", workspace=folder)
    afrel("label", workspace=folder)
    afrel("screen", workspace=folder)
    for grade in (0, 1, 2):
        shown = json.loads(afrel("respond", "--json", workspace=folder, account="root").stdout)
        answer = ("respond", shown["candidate_id"], "--grade", str(grade), "--rationale", "verdict: I say so")
        afrel(*answer, workspace=folder, account="root")
    afrel("adjudicate", workspace=folder, account="root")
    afrel("snapshot", workspace=folder, account="root")
    afrel("sql", "select 1", workspace=folder)
    stop_store_process(folder.resolve())
    with (folder / "store.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the process has let go
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("store.*"))
    with duckdb.connect(str(copy / "afrel.duckdb")) as connection:
        n_checked = {
            table: connection.execute(f"select count(*) from {table}").fetchall()[0][0]
            for table in (
                "queries", "docs", "pairs", "judgments", "rules", "rule_votes", "candidates", "screenings",
                "pair_mutations", "mutation_checks", "ingest_rejects", "tiers", "tier_members", "grades", "responses",
                "preferences", "review_causes",
            )
        }  # fmt: skip
        found = [finding for finding in examine(connection, root=copy) if finding.is_fault]
    assert all(n_checked.values()), n_checked
    assert found == []


def test_a_lost_job_is_found_until_it_is_resumed_or_let_go_of(shop: Shop) -> None:
    """Noted as lost, running without a folder, or running with a folder that nobody holds; not so elsewhere's."""
    root, connection = shop
    dead, elsewhere = f"{platform.node()}/another boot/1/2", "another-host/boot/1/2"
    jobs = [
        {"job_id": name, "verb": "status", "fields": "{}", "status": status, "created_at": now(), "process": process}
        for name, status, process in (
            ("job_a", "lost", dead), ("job_b", "running", dead), ("job_c", "running", dead),
            ("job_d", "running", elsewhere), ("job_e", "cancelled", dead), ("job_f", "queued", None),
        )
    ]  # fmt: skip
    made.insert(connection, "jobs", jobs)
    for name in ("job_c", "job_d"):
        (root / "jobs" / name).mkdir(parents=True)
    (found,) = faults(shop)
    assert (found.n, found.example, found.severity) == (3, "job_a", Severity.LEFT_OVER)
    assert "afrel jobs resume" in found.mend and "afrel jobs cancel" in found.mend

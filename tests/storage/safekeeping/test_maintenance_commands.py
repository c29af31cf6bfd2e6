"""backup, restore, doctor and erase as a user types them, on a workspace whose store process runs."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import Afrel, stop_store_process

SECRET = "call ann wintergreen on 555"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(Store, "erase"), reason="the store process does not take these verbs yet"),
]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workspace and its keys are kept once they are made."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def shop(afrel: Afrel, tmp_path: Path, kept: Path) -> Path:
    """A workspace with labelled and screened pairs of two sources, a snapshot and four people."""
    folder = tmp_path / "shop"
    if not (kept / "shop").exists():
        build(afrel, folder)
        stop(folder)
        for name in ("shop", "home"):
            shutil.copytree(tmp_path / name, kept / name, ignore=shutil.ignore_patterns("store.*"))
    else:
        for name in ("shop", "home"):
            shutil.copytree(kept / name, tmp_path / name)
    return folder


def build(afrel: Afrel, folder: Path) -> None:
    afrel("init", folder, "--scale", "0-2")
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    for name, role in (("dora", "adjudicator"), ("cleo", "curator"), ("wilhelmina", "reviewer")):
        afrel("account", "add", name, "--role", role, workspace=folder, account="root")
    rows = [f"red {thing},Red {thing},{grade}" for thing, grade in (("sofa", 2), ("lamp", 2), ("rug", 2), ("cup", ""))]
    (folder / "shop.csv").write_text("\n".join(["query,title,label", *rows]) + "\n")
    (folder / "mail.csv").write_text(f"query,title,label\n{SECRET},Telephone,1\n{SECRET},Red sofa,0\n")
    for source in ("shop", "mail"):
        afrel("ingest", folder / f"{source}.csv", "--map", "query=query,title=title,grade=label", workspace=folder)
        (folder / f"{source}.csv").unlink()
    afrel("label", workspace=folder)
    afrel("screen", workspace=folder)
    shown = json.loads(afrel("respond", "--json", workspace=folder, account="wilhelmina").stdout)
    afrel("respond", shown["candidate_id"], "--grade", "1", workspace=folder, account="wilhelmina")
    afrel("snapshot", workspace=folder, account="cleo")
    afrel("sign", workspace=folder, account="dora")


def stop(folder: Path) -> None:
    """End the store process and wait until it has let go of its lock."""
    stop_store_process(folder.resolve())
    with (folder / "store.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def holders(folder: Path, word: str) -> set[str]:
    """Return the files of a folder that have a word in them, as bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in files if word.encode() in path.read_bytes()}


def rows_of(folder: Path, sql: str) -> list[tuple[object, ...]]:
    """Ask the database itself, its process stopped."""
    stop(folder)
    with duckdb.connect(str(folder / "afrel.duckdb")) as connection:
        return connection.execute(sql).fetchall()


def test_a_workspace_is_backed_up_while_its_process_runs_and_restored(afrel: Afrel, shop: Path, tmp_path: Path) -> None:
    plan = afrel("backup", "--dry-run", workspace=shop).stdout
    assert "would copy" in plan and not (tmp_path / "shop-backups").exists()
    made = json.loads(afrel("backup", "--json", workspace=shop).stdout)
    folder = Path(made["path"])
    assert folder.parent == tmp_path / "shop-backups" and (folder / "backup.json").is_file()
    assert "all as backed up" in afrel("restore", folder, tmp_path / "again", "--dry-run").stdout
    assert not (tmp_path / "again").exists()
    restored = afrel("restore", folder, tmp_path / "again")
    assert "afrel -w" in restored.stderr and "AFREL_HOME" in restored.stderr
    again = tmp_path / "again"
    assert "fine" in afrel("doctor", workspace=again).stdout
    assert "is whole" in afrel("verify", workspace=again).stdout
    before, after = (json.loads(afrel("status", "--json", workspace=w).stdout)["counts"] for w in (shop, again))
    assert after == before


def test_backup_and_restore_say_what_is_wrong_in_one_line(afrel: Afrel, shop: Path, tmp_path: Path) -> None:
    cases: list[tuple[tuple[str | Path, ...], Path | None, str]] = [
        (("backup", shop / "in"), shop, "lies in the workspace"),
        (("backup", tmp_path), shop, "is there already"),
        (("restore", shop, tmp_path / "new"), None, "is no backup"),
    ]
    for words, workspace, said in cases:
        done = afrel(*words, workspace=workspace, ok=False)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, words


def test_doctor_finds_marks_and_tells_by_its_exit_status(afrel: Afrel, shop: Path) -> None:
    assert "fine" in afrel("doctor", "--rebuild", workspace=shop).stdout
    (shop / "snapshots" / ".cutting-1").mkdir()
    subprocess.run(["touch", "-d", "3 hours ago", shop / "snapshots" / ".cutting-1"], check=True)
    done = afrel("doctor", "--json", workspace=shop, ok=False)
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["is_fine"] is False
    (fault,) = [finding for finding in told["findings"] if finding["severity"] != "not looked at"]
    assert fault["example"] == "snapshots/.cutting-1"


def test_doctor_marks_a_killed_run(afrel: Afrel, shop: Path) -> None:
    with Store.connect(Workspace.open(shop)) as store:
        at = "2001-01-01 00:00:00"  # before this machine was started
        run = {"run_id": "run_dead", "verb": "label", "status": "running", "config": "{}", "code_version": "1"}
        store.append({"runs": [{**run, "started_at": at}]})
    assert afrel("doctor", workspace=shop, ok=False).returncode == 1
    assert "marked as killed: run_dead" in afrel("doctor", "--mend", workspace=shop).stdout
    with Store.connect(Workspace.open(shop)) as store:
        assert store.read("run", run_id="run_dead").to_pylist()[0]["status"] == "killed"


def test_an_erased_query_is_in_no_file_but_those_that_are_named(afrel: Afrel, shop: Path) -> None:
    afrel("backup", workspace=shop)
    call = {"llm_call_id": "l_1", "request": json.dumps({"messages": [["user", f"<query>\n{SECRET}\n</query>"]]})}
    (shop / "spool").mkdir(exist_ok=True)
    (shop / "spool" / "run_dead-1.jsonl").write_text(json.dumps(call) + "\n")
    assert "spool/run_dead-1.jsonl" in holders(shop, "wintergreen")

    def erase(*words: str) -> subprocess.CompletedProcess[str]:
        return afrel("erase", "--query", SECRET, *words, workspace=shop, account="root")

    dry = json.loads(erase("--dry-run", "--json").stdout)
    erased = json.loads(erase("--reason", "she asked", "--json").stdout)
    assert erased["n_rows"] == dry["n_rows"] and erased["n_rows"]["queries"] == 1
    (snapshot_id,) = erased["snapshots"]
    named = [remains["where"] for remains in erased["remains"]]
    assert str(shop / "snapshots" / snapshot_id) in named and any("shop-backups" in where for where in named)
    assert erased["n_spooled"] == 1
    assert {path for path in holders(shop, "wintergreen") if not path.startswith("snapshots/")} == set()
    next((shop / "spool").iterdir()).unlink()  # what is left of it is no whole call
    assert "revoked" in afrel("verify", workspace=shop).stdout
    assert afrel("doctor", "--rebuild", workspace=shop).stdout.startswith("fine")
    again = json.loads(erase("--json").stdout)
    assert again["n_rows"] == {} and again["snapshots"] == [snapshot_id]
    (text,) = rows_of(shop, f"select text from queries where query_id = '{erased['name']}'")
    assert text == ("[erased]",)
    # the words are known to nobody: not to who asks for the run either
    assert rows_of(shop, "select count(*) from runs where contains(config || counts, 'wintergreen')") == [(0,)]


def test_an_erased_account_is_in_no_file_of_the_workspace(afrel: Afrel, shop: Path, tmp_path: Path) -> None:
    home = tmp_path / "home" / "keys" / "wilhelmina.json"
    erased = json.loads(afrel("erase", "--account", "wilhelmina", "--json", workspace=shop, account="root").stdout)
    assert holders(shop, "wilhelmina") == set()
    assert {"where": str(home), "command": f"rm {home}"}.items() <= erased["remains"][-1].items()
    assert afrel("doctor", "--rebuild", workspace=shop).stdout.startswith("fine")
    refused = afrel("respond", workspace=shop, account="wilhelmina", ok=False)
    assert refused.returncode == 2 and "is not pinned" in refused.stderr


def test_snapshots_stay_whole_and_ask_for_another_signature_when_who_signed_is_erased(afrel: Afrel, shop: Path) -> None:
    said = afrel("erase", "--account", "dora", workspace=shop, account="root").stdout
    assert "afrel --as ACCOUNT sign snap_" in said
    afrel("erase", "--account", "cleo", workspace=shop, account="root")
    verified = afrel("verify", workspace=shop).stdout
    assert "is whole" in verified and "signed by" not in verified.replace("not signed", "")
    afrel("sign", workspace=shop, account="root")
    assert "signed by root" in afrel("verify", workspace=shop).stdout


def test_erase_is_for_admins_and_names_one_thing(afrel: Afrel, shop: Path) -> None:
    for words, account, said in (
        (("--query", SECRET), None, "it takes an account"),
        (("--query", SECRET), "dora", "'dora' is adjudicator"),
        ((), "root", "name one thing to erase"),
        (("--query", SECRET, "--source", "mail"), "root", "name one thing to erase"),
        (("--source", "post"), "root", "there is no source 'post'"),
        (("--account", "root"), "root", "root cannot erase root"),
    ):
        done = afrel("erase", *words, workspace=shop, account=account, ok=False)
        assert done.returncode == 2 and said in done.stderr, (words, done.stderr)
    assert rows_of(shop, "select count(*) from erasures") == [(0,)]

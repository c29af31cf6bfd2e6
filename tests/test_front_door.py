"""Wrong things typed at the front door: one line that says what, where and what next; nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Afrel


@pytest.fixture
def shop(afrel: Afrel, tmp_path: Path) -> Path:
    """A workspace with two judged pairs and an admin, `root`."""
    folder = tmp_path / "shop"
    afrel("init", folder, "--scale", "0-2")
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    (tmp_path / "pairs.csv").write_text("query,title,label\nred sofa,Sofa,2\nlamp,Rug,0\n")
    afrel("ingest", tmp_path / "pairs.csv", "--map", "query=query,title=title,grade=label", workspace=folder)
    return folder


def test_mistakes_are_one_line_with_the_next_command(afrel: Afrel, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    cases: list[tuple[tuple[str | Path, ...], str | None, str]] = [
        (("ingest", tmp_path / "nothing.csv", "--map", "query=query"), None, "there is no file"),
        (("ingest", tmp_path / "empty.csv", "--map", "query=query"), None, "no header line"),
        (("ingest", tmp_path / "pairs.csv", "--map", "query=quary"), None, "no column 'quary'"),
        (("ingest", tmp_path / "pairs.csv"), None, "needs --map"),
        (("respond", "c_0", "--grade", "1"), None, "afrel --as ACCOUNT"),
        (("respond", "c_0", "--grade", "1"), "root", "there is no candidate 'c_0'"),
        (("respond",), "nobody", "no key of account 'nobody'"),
        (("sign",), "root", "there is no snapshot"),
        (("why", "x_1"), None, "'x_1'"),
        (("tier", "--where", "select 1"), None, "select"),
        (("sql", "drop table queries"), None, "refused"),
        (("account", "add", "Ana Lee", "--role", "reviewer"), "root", "account name 'Ana Lee'"),
    ]
    for words, account, said in cases:
        done = afrel(*words, workspace=shop, account=account, ok=False)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert said in done.stderr and "Traceback" not in done.stderr, (words, done.stderr)
    counts = json.loads(afrel("status", "--json", workspace=shop).stdout)["counts"]
    assert sum(counts["queries"].values()) == 2 and sum(counts["judgments"].values()) == 2


def test_a_second_init_of_another_scale_is_refused_and_of_the_same_idle(afrel: Afrel, shop: Path) -> None:
    assert "nothing to do" in afrel("init", shop, "--scale", "0-2").stdout
    assert "a scale is fixed for life" in afrel("init", shop, "--scale", "0-3", ok=False).stderr


def test_init_goes_on_where_a_killed_one_stopped_but_never_over_foreign_files(afrel: Afrel, tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.mkdir()
    (half / "afrel.duckdb").write_bytes(b"torn")
    afrel("init", half, "--scale", "bad,fair,good")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    assert "is not empty" in afrel("init", tmp_path / "full", ok=False).stderr
    assert (tmp_path / "full" / "letter.txt").read_text() == "dear"


def test_a_command_outside_any_workspace_says_how_to_name_or_make_one(afrel: Afrel) -> None:
    assert "afrel init DIR" in afrel("status", ok=False).stderr


def test_unknown_keys_of_the_workspace_file_are_errors(afrel: Afrel, shop: Path) -> None:
    (shop / "afrel.toml").write_text("[tires]\n")
    assert "unknown keys ['tires']" in afrel("status", workspace=shop, ok=False).stderr


@pytest.mark.slow
def test_the_first_account_must_be_an_admin_and_only_admins_add_others(afrel: Afrel, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    afrel("init", folder)
    assert "must be an admin" in afrel("account", "add", "ana", "--role", "reviewer", workspace=folder, ok=False).stderr
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    afrel("account", "add", "ana", "--role", "reviewer", workspace=folder, account="root")
    refused = afrel("account", "add", "bo", "--role", "admin", workspace=folder, account="ana", ok=False).stderr
    assert "'ana' is reviewer" in refused
    assert (
        "nothing to do" in afrel("account", "add", "ana", "--role", "reviewer", workspace=folder, account="root").stdout
    )


@pytest.mark.slow
def test_what_was_revoked_is_not_cut_again_unchanged(afrel: Afrel, shop: Path) -> None:
    afrel("account", "add", "dora", "--role", "adjudicator", workspace=shop, account="root")
    snapshot_id = afrel("snapshot", workspace=shop, account="root").stdout.split(":")[0]
    afrel("sign", workspace=shop, account="dora")
    assert "is whole" in afrel("verify", workspace=shop).stdout
    kept = (shop / "snapshots" / snapshot_id / "revocations.json").read_bytes()
    afrel("revoke", snapshot_id, "--reason", "wrong size rule", workspace=shop, account="dora")
    again = afrel("snapshot", workspace=shop, account="root", ok=False)
    assert again.returncode == 2 and "was revoked" in again.stderr
    (shop / "snapshots" / snapshot_id / "revocations.json").write_bytes(kept)
    put_back = afrel("verify", workspace=shop, ok=False)
    assert put_back.returncode == 1 and "revocations.json" in put_back.stdout


@pytest.mark.slow
def test_judgments_may_be_ingested_again_once_their_texts_are_there(afrel: Afrel, tmp_path: Path) -> None:
    folder = tmp_path / "late"
    afrel("init", folder)
    (tmp_path / "j.csv").write_text("query_id,doc_id,grade\n1,1,3\n")
    (tmp_path / "q.csv").write_text("query_id,query\n1,red sofa\n")
    (tmp_path / "d.csv").write_text("doc_id,title\n1,Sofa\n")
    judged = ("ingest", tmp_path / "j.csv", "--map", "query_id=query_id,doc_id=doc_id,grade=grade", "--source", "s")
    assert "unknown_query_id" in afrel(*judged, workspace=folder).stderr
    for name, columns in (("q", "query_id=query_id,query=query"), ("d", "doc_id=doc_id,title=title")):
        afrel("ingest", tmp_path / f"{name}.csv", "--map", columns, "--source", "s", workspace=folder)
    assert "1 judgments" in afrel(*judged, workspace=folder).stdout
    assert "nothing to do" in afrel(*judged, workspace=folder).stdout

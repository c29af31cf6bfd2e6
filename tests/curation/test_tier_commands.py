"""The verbs around snapshots as somebody types them: tier, snapshot, sign, diff, verify --deep, gc."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from afrel import app
from storage.errors import UserError
from tests.conftest import stop_store_process
from tests.review_app import tier_shop

Typed = Callable[..., str]
LEVEL = '\n[[tiers]]\ntier = 1\nname = "all"\nwhere = "true"\n'


@pytest.fixture
def typed(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    """Type a verb in the shop of twenty settled pairs, in this process; return what it prints."""
    built = tmp_path_factory.mktemp("built")
    tier_shop.build(built)
    tier_shop.copy(built, tmp_path)
    password = tmp_path / "password"
    password.write_text(tier_shop.PASSWORD)
    password.chmod(0o600)
    monkeypatch.setenv("AFREL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AFREL_PASSWORD_FILE", str(password))

    def run(*words: str, account: str | None = None) -> str:
        front = ["-w", str(tmp_path / "shop"), *(["--as", account] if account else [])]
        done = CliRunner().invoke(app, [*front, *words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    yield run
    stop_store_process((tmp_path / "shop").resolve())


def as_json(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def test_from_trying_tiers_to_removing_what_they_gave(typed: Typed, tmp_path: Path) -> None:
    """By the default tiers tier 1 has four train rows of grade 1 and three of grades 0 and 2 each: p_1 to p_10."""
    shown = as_json(typed("tier", "--json"))
    assert [(tier["train"], tier["cv"]) for tier in shown["tiers"]] == [
        (10, pytest.approx(0.1414, abs=1e-4)),
        (0, None),
        (2, 0),
    ]
    assert (shown["test"], shown["problems"], shown["n_disputed"], shown["snapshot_id"]) == (4, [], 0, None)
    assert "coefficient of variation of its train grades 0.141" in typed("snapshot", "--dry-run", account="cleo")
    assert as_json(typed("snapshot", "--dry-run", "--json", account="cleo"))["would_freeze"] == 20
    first = as_json(typed("snapshot", "--json", account="cleo"))["snapshot_id"]
    assert f"nothing to do: {first} holds exactly these rows" in typed("tier")

    with (tmp_path / "shop" / "afrel.toml").open("a") as file:
        file.write(LEVEL + 'balance = "grade"\nmax_per_source = 6\n')
    tried = typed("tier")
    assert "6 tier 1, beyond their source's cap" in tried
    second = as_json(typed("snapshot", "--json", account="cleo"))["snapshot_id"]

    assert f"{second} against {first}" in typed("diff", first)
    out = tmp_path / "rows.parquet"
    found = as_json(typed("diff", first, second, "--json", "--rows", "2", "--out", str(out)))
    train, dev, test = found["splits"]
    assert (train["n_older"], train["added"], dev["moved"]) == (12, 0, 1)
    assert test == {"split": "test", "n_older": 4, "n_newer": 4}
    assert len(found["rows"]) == 2 and "test" not in pl.read_parquet(out)["split"].to_list()
    with pytest.raises(UserError, match="is there already and is not written over"):
        typed("diff", first, second, "--out", str(out))
    assert as_json(typed("diff", first, second, "--json", account="dora"))["splits"][2]["moved"] == 1
    assert typed("diff", first, first) == f"{first} is {first}: the same rows, tiers and rules\n"

    deep = as_json(typed("verify", first, "--deep", "--json"))
    assert deep["problems"] == [] and "ids that are no hashes" in deep["not_looked_at"][0]
    (tmp_path / "pins.json").write_text(typed("account", "pins"))
    folder = str(tmp_path / "shop" / "snapshots" / first)
    assert "not looked at: the store" in typed("verify", folder, "--deep", "--pins", str(tmp_path / "pins.json"))

    assert "nothing to do" in typed("gc")
    with (tmp_path / "shop" / "afrel.toml").open("a") as file:
        file.write('\n[on_sign]\ntier_1 = [{ train = "sft", config = "sft.toml" }]\n')
    assert "dora signed" in typed("sign", second, account="dora")  # though what it asks for is not there
    assert json.loads(typed("jobs", "--json")) == []
    (tmp_path / "shop" / "sft.toml").write_text("no_such_key = 1\n")
    assert "nothing to do: dora has signed" in typed("sign", second, account="dora")  # but what was missing is queued
    typed("sign", second, account="root")
    (job,) = json.loads(typed("jobs", "--json"))
    assert (job["command"], job["account"]) == (f"train sft --snapshot {second}", "dora")
    typed("jobs", "cancel", job["job_id"])
    assert f"{first}  " in typed("gc") and (tmp_path / "shop" / "snapshots" / first).is_dir()
    with pytest.raises(UserError, match="may not erase; admin may"):
        typed("gc", "--yes", account="cleo")
    gone = as_json(typed("gc", "--yes", "--json", account="root"))
    assert [one["name"] for one in gone["removed"]] == [first]
    assert "nothing to do" in typed("gc", "--yes", account="root")
    with pytest.raises(UserError, match=r"there is no snapshot .* any more"):
        typed("diff", first, second)


def test_what_cannot_be_compared_or_tried_is_said_plainly(typed: Typed) -> None:
    with pytest.raises(UserError, match=r"there is no snapshot in .*\. Cut one: afrel --as CURATOR snapshot"):
        typed("verify")
    with pytest.raises(UserError, match="may not run SQL"):
        typed("diff", "snap_1", "snap_2", account="ana")
    for where in ("", "grade", "grade = ", "select 1", "no_such_column = 1"):
        with pytest.raises(UserError, match="predicate"):
            typed("tier", "--where", where)
    nothing, everything = (as_json(typed("tier", "--json", "--where", where)) for where in ("false", "true"))
    assert (nothing["tiers"][0]["train"], everything["tiers"][0]["train"]) == (0, 12)
    assert nothing["test"] == everything["test"] == 0  # what is tried says nothing of test rows

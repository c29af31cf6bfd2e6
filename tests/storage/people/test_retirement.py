"""A retired account may do nothing new; what it signed and cut before it left stays signed and whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from storage import durable
from storage.snapshots.cutting import verify_snapshot
from storage.snapshots.rows import to_json
from storage.snapshots.seals import signature_path, tier_signature
from storage.snapshots.signatures import sign_tier
from tests.conftest import Afrel
from tests.storage.conftest import People, Sample


@pytest.fixture
def shop(afrel: Afrel, tmp_path: Path) -> Path:
    """A workspace with two judged pairs and four people: root, cleo who cuts, dora who signs, ana who answers."""
    folder = tmp_path / "shop"
    afrel("init", folder, "--scale", "0-2")
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    for name, role in (("cleo", "curator"), ("dora", "adjudicator"), ("ana", "reviewer")):
        afrel("account", "add", name, "--role", role, workspace=folder, account="root")
    (tmp_path / "pairs.csv").write_text("query,title,label\nred sofa,Sofa,2\nlamp,Rug,0\n")
    afrel("ingest", tmp_path / "pairs.csv", "--map", "query=query,title=title,grade=label", workspace=folder)
    return folder


@pytest.mark.slow
def test_what_the_retired_cut_and_signed_stays_and_they_do_nothing_new(
    afrel: Afrel, shop: Path, tmp_path: Path
) -> None:
    snapshot_id = afrel("snapshot", workspace=shop, account="cleo").stdout.split(":")[0]
    afrel("sign", workspace=shop, account="dora")
    for name in ("cleo", "dora", "ana"):
        said = afrel("account", "retire", name, workspace=shop, account="root").stdout
        assert said == f"{name} is retired: what {name} did and signed stays, nothing new is taken\n"
    assert "nothing to do: dora was retired on" in afrel("account", "retire", "dora", workspace=shop).stdout

    verified = afrel("verify", snapshot_id, workspace=shop).stdout
    assert "is whole" in verified and "signed by dora" in verified
    pins = tmp_path / "pins.json"
    pins.write_text(afrel("account", "pins", workspace=shop).stdout)
    assert [row["account"] for row in json.loads(pins.read_text())["accounts"] if "retired_at" in row] == [
        "ana",
        "cleo",
        "dora",
    ]
    away = afrel("verify", shop / "snapshots" / snapshot_id, "--pins", pins).stdout
    assert "is whole" in away and "signed by dora" in away

    for account, words in (
        ("cleo", ("snapshot",)),
        ("dora", ("sign",)),
        ("dora", ("revoke", snapshot_id, "--reason", "spite")),
        ("ana", ("respond",)),
    ):
        refused = afrel(*words, workspace=shop, account=account, ok=False)
        assert refused.returncode == 2 and f"account '{account}' was retired on" in refused.stderr, refused.stderr
    assert "is whole" in afrel("verify", snapshot_id, workspace=shop).stdout

    listed = afrel("account", "list", workspace=shop).stdout.splitlines()
    assert ["  retired " in line for line in listed] == [True, True, True, False]
    assert "1 retired adjudicator" in afrel("status", workspace=shop).stdout


@pytest.mark.slow
def test_adding_a_retired_account_again_pins_it_again_under_the_same_pseudonym(afrel: Afrel, shop: Path) -> None:
    before = json.loads(afrel("account", "pins", workspace=shop).stdout)
    afrel("account", "retire", "dora", workspace=shop, account="root")
    said = afrel("account", "add", "dora", "--role", "adjudicator", workspace=shop, account="root").stdout
    assert said.startswith("dora is adjudicator")
    assert json.loads(afrel("account", "pins", workspace=shop).stdout) == before
    afrel("snapshot", workspace=shop, account="cleo")
    assert "dora signed" in afrel("sign", workspace=shop, account="dora").stdout


def test_a_signature_from_before_retirement_counts_and_the_cut_of_a_retired_cutter_is_whole(
    sample: Sample, people: People
) -> None:
    assert sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)
    gone = {name: replace(pin, retired_at="2999-01-01T00:00:00") for name, pin in people.pins.items()}
    verification = verify_snapshot(sample.directory, gone)
    assert verification.problems == ()
    assert verification.signed_tiers[1] == ("jo",)


@pytest.mark.parametrize(
    ("retired_at", "signed_at"),
    [
        ("2020-01-01T00:00:00", "2020-01-01T00:00:01"),
        ("2020-01-01T00:00:00", "2019-12-31T00:00:00"),  # dated back to before the snapshot was cut
        ("2999-01-01T00:00:00", "some day"),
    ],
)
def test_a_signature_made_after_retirement_does_not_count(
    sample: Sample, people: People, retired_at: str, signed_at: str
) -> None:
    """`sign_tier` refuses; a key used by other means must not help either."""
    gone = people.pins | {"jo": replace(people.pins["jo"], retired_at=retired_at)}
    path = sample.directory / signature_path(1, "jo")
    durable.write_new(path, to_json(tier_signature(sample.manifest, 1, key=people.keys["jo"], at=signed_at)))
    verification = verify_snapshot(sample.directory, gone)
    assert verification.problems == ()
    assert verification.signed_tiers[1] == ()


def test_a_cut_made_after_retirement_is_a_problem(sample: Sample, people: People) -> None:
    gone = people.pins | {"cy": replace(people.pins["cy"], retired_at="2020-01-01T00:00:00")}
    verification = verify_snapshot(sample.directory, gone)
    assert any("cut after 'cy' was retired" in str(problem) for problem in verification.problems)

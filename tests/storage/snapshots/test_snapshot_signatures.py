"""A signature counts when a pinned account that may sign, and did not cut, made it for this tier of this snapshot."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from storage.errors import UserError
from storage.people.accounts import Pin, Role, pins_to_json
from storage.people.keys import SigningKey, sign
from storage.snapshots.cutting import require_trainable, revoke, sign_tier, verify_snapshot
from storage.snapshots.rows import to_json
from storage.snapshots.seals import Revocation, cut_provenance, revocation_list, tier_signature
from tests.storage.conftest import Cut, People, Sample, new_key, sample_rows

AT = "2026-01-01T00:00:00"


def _plant(sample: Sample, key: SigningKey, *, tier: int = 1, account: str | None = None) -> None:
    """Lay a signature beside the snapshot without asking who may."""
    content = tier_signature(sample.manifest, tier, key=key, at=AT)
    path = sample.directory / f"signatures/tier_{tier}.{account or key.account}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(to_json(content))


def _not_counted(sample: Sample, pins: dict[str, Pin]) -> str:
    verification = verify_snapshot(sample.directory, pins)
    assert verification.problems == ()
    assert verification.signed_tiers[1] == ()
    with pytest.raises(UserError, match=r"tier 1 is not signed \(0 of 1"):
        require_trainable(sample.directory, pins, tiers=[1])
    return str(verification.not_counted[0])


def test_signing_twice_is_one_signature(sample: Sample, people: People) -> None:
    assert sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)
    before = (sample.directory / "signatures/tier_1.jo.json").read_bytes()
    assert not sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)
    assert (sample.directory / "signatures/tier_1.jo.json").read_bytes() == before
    assert sorted(path.name for path in sample.directory.parent.iterdir()) == [sample.directory.name]


def test_two_accounts_may_sign_one_tier(sample: Sample, people: People) -> None:
    for account in ("jo", "ada"):
        sign_tier(sample.directory, 1, key=people.keys[account], pins=people.pins)
    assert verify_snapshot(sample.directory, people.pins).signed_tiers == {1: ("ada", "jo"), 3: ()}


@pytest.mark.parametrize(("account", "role"), [("cy", "curator"), ("rex", "reviewer")])
def test_a_role_that_may_not_sign_is_refused_and_its_planted_signature_does_not_count(
    sample: Sample, people: People, account: str, role: str
) -> None:
    with pytest.raises(UserError, match=f"is {role}, which may not sign; adjudicator or admin may"):
        sign_tier(sample.directory, 1, key=people.keys[account], pins=people.pins)
    _plant(sample, people.keys[account])
    assert f"is {role} and may not sign" in _not_counted(sample, people.pins)


def test_the_cutter_may_not_sign_whatever_their_role(cut: Cut, people: People, tmp_path: Path) -> None:
    manifest = cut(by="ada")
    sample = Sample(tmp_path / "snapshots" / manifest.snapshot_id, manifest)
    with pytest.raises(UserError, match=r"account 'ada' cut snapshot snap_.* and may not sign it"):
        sign_tier(sample.directory, 1, key=people.keys["ada"], pins=people.pins)
    _plant(sample, people.keys["ada"])
    assert "'ada' cut the snapshot" in _not_counted(sample, people.pins)
    assert sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)
    require_trainable(sample.directory, people.pins, tiers=[1])


def test_an_unpinned_signer_does_not_count_though_the_signature_is_sound(sample: Sample, people: People) -> None:
    stranger = new_key("eve")
    with pytest.raises(UserError, match="'eve' is not pinned with this key"):
        sign_tier(sample.directory, 1, key=stranger, pins=people.pins)
    _plant(sample, stranger)
    assert "'eve' is not pinned here" in _not_counted(sample, people.pins)


def test_a_key_lying_in_the_directory_under_a_pinned_name_does_not_count(sample: Sample, people: People) -> None:
    _plant(sample, new_key("jo"))
    assert "'jo' is pinned with another key" in _not_counted(sample, people.pins)


def test_a_signature_under_another_accounts_name_is_a_problem(sample: Sample, people: People) -> None:
    _plant(sample, people.keys["rex"], account="jo")
    problems = verify_snapshot(sample.directory, people.pins).problems
    assert [str(problem) for problem in problems] == [
        "signatures/tier_1.jo.json: its account is not this snapshot's and this file's"
    ]


def test_a_signer_who_lost_the_role_no_longer_counts(sample: Sample, people: People) -> None:
    sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)
    demoted = people.pins | {"jo": replace(people.pins["jo"], role=Role.REVIEWER)}
    assert "'jo' is reviewer and may not sign" in _not_counted(sample, demoted)


def test_the_signature_of_another_snapshot_or_tier_does_not_stand_in(
    sample: Sample, people: People, cut: Cut, tmp_path: Path
) -> None:
    other = cut(rows=sample_rows().set_column(9, "grade", pa.array([0] * 6)))
    place = tmp_path / "snapshots" / other.snapshot_id
    sign_tier(place, 1, key=people.keys["jo"], pins=people.pins)
    foreign = (place / "signatures/tier_1.jo.json").read_bytes()
    (sample.directory / "signatures").mkdir(exist_ok=True)
    for name in ("tier_1.jo.json", "tier_3.jo.json"):
        (sample.directory / "signatures" / name).write_bytes(foreign)
    verification = verify_snapshot(sample.directory, people.pins)
    assert [problem.path for problem in verification.problems] == [
        "signatures/tier_1.jo.json",
        "signatures/tier_3.jo.json",
    ]
    assert verification.signed_tiers == {1: (), 3: ()}


def test_a_statement_of_another_kind_with_the_same_fields_does_not_stand_in(sample: Sample, people: People) -> None:
    content = tier_signature(sample.manifest, 1, key=people.keys["jo"], at=AT)
    statement = {name: value for name, value in content.items() if name != "signature"}
    for kind in ({}, {"kind": "revocations"}):
        forged = statement | {"signature": sign(people.keys["jo"], statement | kind)}
        (sample.directory / "signatures").mkdir(exist_ok=True)
        (sample.directory / "signatures/tier_1.jo.json").write_text(to_json(forged))
        assert verify_snapshot(sample.directory, people.pins).signed_tiers[1] == ()


def test_a_cutter_cannot_pass_as_another_with_a_key_of_their_making(cut: Cut, people: People, tmp_path: Path) -> None:
    """`ada` cuts with a throwaway key so that her own signature would count; the key is pinned nowhere."""
    manifest = cut(cutter=new_key("cy"), pseudonym="person c")
    directory = tmp_path / "snapshots" / manifest.snapshot_id
    with pytest.raises(UserError, match="cut with the key"):
        sign_tier(directory, 1, key=people.keys["ada"], pins=people.pins)
    _plant(Sample(directory, manifest), people.keys["ada"])
    assert verify_snapshot(directory, people.pins).signed_tiers[1] == ()


def test_a_cutter_cannot_name_another_pseudonym(cut: Cut, people: People, tmp_path: Path) -> None:
    manifest = cut(by="ada", pseudonym="person c")
    verification = verify_snapshot(tmp_path / "snapshots" / manifest.snapshot_id, people.pins)
    assert any("names 'person c' as cutter, but the key is 'person a''s" in str(p) for p in verification.problems)


def test_a_role_that_may_not_cut_is_found(cut: Cut, people: People, tmp_path: Path) -> None:
    manifest = cut(by="jo")
    verification = verify_snapshot(tmp_path / "snapshots" / manifest.snapshot_id, people.pins)
    assert any("'jo', who is adjudicator and may not cut" in str(problem) for problem in verification.problems)


def test_a_cut_resealed_after_signing_loses_the_signatures(sample: Sample, people: People) -> None:
    """The cutter renames a tier and signs the cut again: the approval was of the other name."""
    sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)
    manifest = json.loads((sample.directory / "manifest.json").read_text())
    provenance = json.loads((sample.directory / "provenance.json").read_text())
    manifest["tiers"][0]["name"] = "approved"
    stated = {name: value for name, value in provenance.items() if name not in ("signature", "cutter_public_key")}
    text = to_json(cut_provenance(manifest, stated, key=people.keys["cy"]))
    (sample.directory / "provenance.json").write_text(text)
    entry = next(file for file in manifest["files"] if file["path"] == "provenance.json")
    entry |= {"sha256": hashlib.sha256(text.encode()).hexdigest(), "n_bytes": len(text.encode())}
    (sample.directory / "manifest.json").write_text(to_json(manifest))
    verification = verify_snapshot(sample.directory, people.pins)
    assert [problem.path for problem in verification.problems] == ["signatures/tier_1.jo.json"]
    assert verification.signed_tiers[1] == ()


def test_an_altered_snapshot_is_not_signed(sample: Sample, people: People) -> None:
    (sample.directory / "lineage.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"altered and cannot be signed: lineage\.parquet"):
        sign_tier(sample.directory, 1, key=people.keys["jo"], pins=people.pins)


def test_a_revoked_tier_is_not_signed(sample: Sample, people: People) -> None:
    assert revoke(sample.directory, people.keys["jo"], tier=1, reason="wrong", pins=people.pins)
    with pytest.raises(UserError, match=r"tier 1 was revoked on .*: wrong"):
        sign_tier(sample.directory, 1, key=people.keys["ada"], pins=people.pins)
    assert sign_tier(sample.directory, 3, key=people.keys["ada"], pins=people.pins)


def test_a_tier_that_is_not_there_is_not_signed(sample: Sample, people: People) -> None:
    with pytest.raises(UserError, match="has no tier 2"):
        sign_tier(sample.directory, 2, key=people.keys["jo"], pins=people.pins)


def test_revocations_add_up_and_each_is_kept_once(sample: Sample, people: People) -> None:
    assert revoke(sample.directory, people.keys["jo"], tier=1, reason="one", pins=people.pins)
    assert not revoke(sample.directory, people.keys["ada"], tier=1, reason="again", pins=people.pins)
    assert revoke(sample.directory, people.keys["ada"], tier=None, reason="all", pins=people.pins)
    assert not revoke(sample.directory, people.keys["ada"], tier=3, reason="covered", pins=people.pins)
    verification = verify_snapshot(sample.directory, people.pins)
    assert verification.problems == ()
    assert [(r.tier, r.reason, r.account) for r in verification.revoked] == [(1, "one", "jo"), (None, "all", "ada")]


def test_the_cutter_may_revoke_when_their_role_may(cut: Cut, people: People, tmp_path: Path) -> None:
    manifest = cut(by="ada")
    assert revoke(
        tmp_path / "snapshots" / manifest.snapshot_id, people.keys["ada"], tier=None, reason="x", pins=people.pins
    )


@pytest.mark.parametrize("account", ["cy", "rex"])
def test_a_role_that_may_not_revoke_is_refused(sample: Sample, people: People, account: str) -> None:
    with pytest.raises(UserError, match="may not revoke; adjudicator or admin may"):
        revoke(sample.directory, people.keys[account], tier=1, reason="x", pins=people.pins)


def test_revocations_planted_by_a_role_that_may_not_revoke_are_a_problem(sample: Sample, people: People) -> None:
    entry = Revocation(1, "spite", "cy", AT)
    content = revocation_list(sample.manifest.snapshot_id, [entry], key=people.keys["cy"], at=AT)
    (sample.directory / "revocations.json").write_text(to_json(content))
    problems = verify_snapshot(sample.directory, people.pins).problems
    assert [problem.path for problem in problems] == ["revocations.json"]


def test_an_entry_taken_out_of_signed_revocations_is_a_problem(sample: Sample, people: People) -> None:
    revoke(sample.directory, people.keys["jo"], tier=1, reason="one", pins=people.pins)
    path = sample.directory / "revocations.json"
    path.write_text(to_json(json.loads(path.read_text()) | {"revocations": []}))
    problems = verify_snapshot(sample.directory, people.pins).problems
    assert [str(problem) for problem in problems] == ["revocations.json: its signature is not 'jo''s"]


def test_a_revocation_is_not_written_over_damaged_ones(sample: Sample, people: People) -> None:
    path = sample.directory / "revocations.json"
    path.unlink()
    with pytest.raises(UserError, match="refused already: it is missing"):
        revoke(sample.directory, people.keys["jo"], tier=1, reason="one", pins=people.pins)
    assert not path.exists()


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_revocation_needs_a_reason(sample: Sample, people: People, reason: str) -> None:
    with pytest.raises(UserError, match="--reason TEXT"):
        revoke(sample.directory, people.keys["jo"], tier=1, reason=reason, pins=people.pins)


REVOKE_ONE = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from storage.people.accounts import pins_from_json
from storage.people.keys import SigningKey
from storage.snapshots.cutting import revoke
directory, pins, account, private, tier = sys.argv[1:]
key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private))
pins = pins_from_json(pins)
revoke(Path(directory), SigningKey(account, pins[account].public_key, key), tier=int(tier), reason="x", pins=pins)
"""


def test_two_revocations_at_once_are_both_kept(sample: Sample, people: People) -> None:
    arguments = [sys.executable, "-c", REVOKE_ONE, str(sample.directory), pins_to_json(people.pins.values())]
    running = [
        subprocess.Popen([*arguments, name, people.keys[name].private.private_bytes_raw().hex(), tier])
        for name, tier in (("jo", "1"), ("ada", "3"))
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert {r.tier for r in verify_snapshot(sample.directory, people.pins).revoked} == {1, 3}

"""The signed statements beside a snapshot's rows: the cut, a tier's signature, the list of revocations.

Each statement names its kind and its snapshot, so none can stand for another. The cut statement covers the manifest
(but for the entry of the file it lies in) and the provenance; it is what ties a snapshot to the key of its cutter, so
that a cutter cannot pass as somebody else and sign their own cut. No key inside the directory is trusted: a key counts
when a pin holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.ids import digest
from storage.people.accounts import Act, Pin, may
from storage.people.keys import SigningKey, sign, verify
from storage.snapshots.manifest import PROVENANCE, REVOCATIONS, SIGNATURES, Manifest
from storage.snapshots.rows import to_json

_SIGNATURE_NAME = re.compile(r"tier_(0|[1-9]\d{0,8})\.([a-z0-9._@-]+)\.json")


@dataclass(frozen=True, slots=True)
class Revocation:
    """One taking back of a tier, or of the whole snapshot when `tier` is None. `at` is UTC, ISO 8601."""

    tier: int | None
    reason: str
    account: str
    at: str


class SealError(Exception):
    """Why a signed statement is not what it should be."""


class NotEntitledError(Exception):
    """Why a sound signature does not count: whose it is, not what it says."""


def cut_provenance(manifest: Mapping[str, Any], provenance: Mapping[str, Any], *, key: SigningKey) -> dict[str, Any]:
    """Return provenance with the cutter's key and their signature over it and the manifest (as content)."""
    stated = {**provenance, "cutter_public_key": key.public_key}
    return {**stated, "signature": sign(key, _cut_statement(manifest, stated))}


def cutter_of(manifest: Manifest, provenance: Mapping[str, Any], pins: Mapping[str, Pin]) -> Pin:
    """Return the pin of who cut a snapshot; SealError when the cut statement is not theirs or they are not pinned."""
    stated = {name: value for name, value in provenance.items() if name != "signature"}
    public_key = str(provenance.get("cutter_public_key"))
    if not verify(public_key, _cut_statement(manifest.to_content(), stated), str(provenance.get("signature"))):
        raise SealError("the cutter's signature does not fit the manifest and the provenance")
    pin = next((pin for pin in pins.values() if pin.public_key == public_key), None)
    if pin is None:
        raise SealError(f"it was cut with the key {public_key[:12]}…, which no account here has")
    if provenance.get("cutter") != pin.pseudonym:
        raise SealError(f"it names {provenance.get('cutter')!r} as cutter, but the key is {pin.pseudonym!r}'s")
    if not may(pin.role, Act.CUT):
        raise SealError(f"it was cut by {pin.account!r}, who is {pin.role} and may not cut")
    if not _is_in_time(pin, provenance.get("at")):
        raise SealError(f"it was cut after {pin.account!r} was retired")
    return pin


def tier_signature(manifest: Manifest, tier: int, *, key: SigningKey, at: str) -> dict[str, Any]:
    """Return the content of a signature file."""
    statement = {
        "snapshot_id": manifest.snapshot_id,
        "tier": tier,
        "tier_digest": manifest.find_tier(tier).digest,
        "manifest_sha256": manifest.digest,
        "account": key.account,
        "public_key": key.public_key,
        "at": at,
    }
    return {**statement, "signature": sign(key, {"kind": "tier", **statement})}


def signature_path(tier: int, account: str) -> str:
    """Return the path of an account's signature of a tier inside the directory."""
    return f"{SIGNATURES}/tier_{tier}.{account}.json"


def check_tier_signature(
    path: Path, manifest: Manifest, *, pins: Mapping[str, Pin], cutter: Pin | None
) -> tuple[int, str]:
    """Return the (tier, account) a signature file signs for.

    SealError when it is not a sound signature of this manifest, NotEntitledError when its account is not pinned, may
    not sign, has another key, or is the cutter.
    """
    name = _SIGNATURE_NAME.fullmatch(path.name)
    if name is None:
        raise SealError("its name is not tier_<number>.<account>.json")
    tier, account = int(name[1]), name[2]
    content = read_object(path)
    statement = {field: value for field, value in content.items() if field != "signature"}
    entry = next((entry for entry in manifest.tiers if entry.tier == tier), None)
    expected = {
        "snapshot_id": manifest.snapshot_id,
        "tier": tier,
        "tier_digest": entry.digest if entry else None,
        "manifest_sha256": manifest.digest,
        "account": account,
    }
    wrong = [field for field, value in expected.items() if statement.get(field) != value]
    if wrong:
        raise SealError(f"its {', '.join(wrong)} is not this snapshot's and this file's")
    if not verify(str(statement.get("public_key")), {"kind": "tier", **statement}, str(content.get("signature"))):
        raise SealError("its signature does not fit what it says")
    _require_signer(account, str(statement["public_key"]), pins=pins, cutter=cutter)
    cut_at = read_provenance(path.parent.parent).get("at")
    if not _is_in_time(pins[account], statement.get("at"), after=cut_at):
        raise NotEntitledError(f"{account!r} was retired before it was signed, or it is dated before the cut")
    return tier, account


def revocation_list(snapshot_id: str, revocations: Sequence[Revocation], *, key: SigningKey, at: str) -> dict[str, Any]:
    """Return the content of `revocations.json`."""
    statement = {
        "snapshot_id": snapshot_id,
        "revocations": [asdict(revocation) for revocation in revocations],
        "account": key.account,
        "at": at,
    }
    return {**statement, "signature": sign(key, {"kind": "revocations", **statement})}


def read_revocations(
    directory: Path, manifest: Manifest, *, pins: Mapping[str, Pin], cutter: Pin | None
) -> tuple[Revocation, ...]:
    """Read the revocations; SealError when they are missing, unreadable or not signed by one who may.

    The cutter signs the empty list that a snapshot starts with; whoever may revoke signs any.
    """
    content = read_object(directory / REVOCATIONS)
    statement = {field: value for field, value in content.items() if field != "signature"}
    if statement.get("snapshot_id") != manifest.snapshot_id:
        raise SealError("it is of another snapshot")
    pin = pins.get(str(statement.get("account")))
    if pin is None:
        raise SealError(f"it is signed by {statement.get('account')!r}, who is not pinned here")
    if not verify(pin.public_key, {"kind": "revocations", **statement}, str(content.get("signature"))):
        raise SealError(f"its signature is not {pin.account!r}'s")
    try:
        revocations = tuple(Revocation(**row) for row in statement["revocations"])
    except (KeyError, TypeError):
        raise SealError("its revocations are not of tier, reason, account and at") from None
    if not may(pin.role, Act.REVOKE) and (revocations or pin != cutter):
        raise SealError(f"it is signed by {pin.account!r}, who is {pin.role} and may not revoke")
    if not _is_in_time(pin, statement.get("at")):
        raise SealError(f"it was signed after {pin.account!r} was retired")
    return revocations


def read_provenance(directory: Path) -> dict[str, Any]:
    """Read `provenance.json`; SealError when it is missing or no JSON object."""
    return read_object(directory / PROVENANCE)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object in the form afrel writes; SealError when there is none."""
    if not path.is_file() or path.is_symlink():
        raise SealError("it is missing")
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        if not isinstance(content, dict) or text != to_json(content):
            raise SealError("its text is not the one afrel writes")
    except (OSError, ValueError, RecursionError):
        raise SealError("it is not readable JSON") from None
    return content


def _cut_statement(manifest: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    files = [file for file in manifest["files"] if file["path"] != PROVENANCE]
    return {
        "kind": "cut",
        "snapshot_id": manifest["snapshot_id"],
        "manifest": digest({**manifest, "files": files}),
        "provenance": digest(dict(stated)),
    }


def _is_in_time(pin: Pin, at: Any, *, after: Any = None) -> bool:
    """Say whether a retired account's statement is of its active time; others' always is.

    Its time is its signer's word, but no tier can be signed before it was cut, and the cutter's word says when.
    """
    if pin.retired_at is None:
        return True
    try:
        first = datetime.fromisoformat(after) if after is not None else datetime.min
        return first <= datetime.fromisoformat(at) <= datetime.fromisoformat(pin.retired_at)
    except (TypeError, ValueError):
        return False


def _require_signer(account: str, public_key: str, *, pins: Mapping[str, Pin], cutter: Pin | None) -> None:
    pin = pins.get(account)
    if pin is None:
        raise NotEntitledError(f"{account!r} is not pinned here")
    if pin.public_key != public_key:
        raise NotEntitledError(f"{account!r} is pinned with another key")
    if not may(pin.role, Act.SIGN):
        raise NotEntitledError(f"{account!r} is {pin.role} and may not sign")
    if cutter is None or pin.account == cutter.account:
        raise NotEntitledError(f"{account!r} cut the snapshot" if cutter else "who cut the snapshot is not known")

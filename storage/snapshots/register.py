"""Sign, revoke and verify a snapshot of a workspace: the directory is the truth, the store's rows are its register.

Both are brought to the same state, the directory first: an act that was cut short between the two is completed by doing
it again. What the register knows and the directory does not, a revocation taken out again, is a problem.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from storage.clock import now
from storage.errors import UserError
from storage.ids import content_id
from storage.people.accounts import Pin
from storage.people.keys import SigningKey
from storage.progress import Watch, unwatched
from storage.rows import RevocationRow, SignatureRow
from storage.snapshots.manifest import MANIFEST, REVOCATIONS, SIGNATURES, TierEntry, read_manifest
from storage.snapshots.signatures import revoke, sign_tiers
from storage.snapshots.verify import Problem, Verification, verify_snapshot

if TYPE_CHECKING:
    from storage.store import Store


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What revoking did. `is_new`: it was not revoked before; `trained` are the runs trained on the snapshot."""

    is_new: bool
    trained: tuple[str, ...]


def folder_at(path: str) -> Path | None:
    """Return the snapshot folder that a path names, None where there is none: it may be an id then."""
    folder = Path(path)
    return folder.resolve() if (folder / MANIFEST).is_file() else None


def find_directory(snapshots_dir: Path, store: Store, snapshot_id: str | None) -> Path:
    """Return a snapshot's directory by id, or that of the newest there is; UserError when there is none."""
    held = [str(name) for name in store.read("snapshots").column("snapshot_id").to_pylist()]
    there = [name for name in held if (snapshots_dir / name / MANIFEST).is_file()]
    if snapshot_id is None and not there:
        raise UserError(f"there is no snapshot in {snapshots_dir}. Cut one: afrel --as CURATOR snapshot")
    named = snapshot_id or there[-1]
    if "/" in named or not (snapshots_dir / named).is_dir():
        gone = " any more" if named in held else ""
        known = ", ".join(there[-5:]) or "none"
        raise UserError(
            f"there is no snapshot {named!r} in {snapshots_dir}{gone}. Known: {known}. "
            "Cut one: afrel --as CURATOR snapshot"
        )
    return snapshots_dir / named


def sign_registered(
    directory: Path,
    store: Store,
    *,
    tiers: Sequence[int] | None,
    key: SigningKey,
    pins: Mapping[str, Pin],
    watch: Watch = unwatched,
) -> list[TierEntry]:
    """Sign tiers (None: all that have rows) and register the signatures; return the tiers not signed before."""
    manifest = read_manifest(directory)
    wanted = [e.tier for e in manifest.tiers if sum(e.n_rows.values())] if tiers is None else list(tiers)
    signed = sign_tiers(directory, wanted, key=key, pins=pins, watch=watch)
    rows = []
    for tier in wanted:
        path = directory / SIGNATURES / f"tier_{tier}.{key.account}.json"
        signature = json.loads(path.read_text(encoding="utf-8"))["signature"]
        rows.append(
            SignatureRow(
                signature_id=content_id("sg", manifest.snapshot_id, tier, key.account, signature),
                snapshot_id=manifest.snapshot_id,
                tier=tier,
                account=key.account,
                signature=signature,
                created_at=now(),
            )
        )
    store.append({"signatures": rows})
    return [manifest.find_tier(tier) for tier in signed]


def revoke_registered(
    directory: Path, store: Store, *, tier: int | None, reason: str, key: SigningKey, pins: Mapping[str, Pin]
) -> Withdrawal:
    """Take a tier (None: the whole snapshot) back and register it; say what was trained on the snapshot."""
    is_new = revoke(directory, key, tier=tier, reason=reason, pins=pins)
    row = RevocationRow(
        revocation_id=content_id("rv", directory.name, tier),
        snapshot_id=directory.name,
        tier=tier,
        account=key.account,
        reason=reason,
        created_at=now(),
    )
    store.append({"revocations": [row]})
    return Withdrawal(is_new, trained_on(store, directory.name))


def trained_on(store: Store, snapshot_id: str) -> tuple[str, ...]:
    """Return the runs that trained on a snapshot, the first one first."""
    return tuple(store.read("why_trained_on", id=snapshot_id).column("run_id").to_pylist())


def verify_registered(
    directory: Path, store: Store, pins: Mapping[str, Pin], *, watch: Watch = unwatched
) -> Verification:
    """Verify a snapshot, and hold its revocations against those the workspace knows of."""
    return against_register(verify_snapshot(directory, pins, watch=watch), directory, store)


def against_register(verification: Verification, directory: Path, store: Store) -> Verification:
    """Return what was found of a snapshot, with the problem that a revocation the workspace knows of is not in it."""
    held = {row["tier"] for row in store.read("snapshot_revocations", snapshot_id=directory.name).to_pylist()}
    if not held - {revocation.tier for revocation in verification.revoked}:
        return verification
    put_back = Problem(REVOCATIONS, "it lacks a revocation the workspace knows of: it was put back")
    return replace(verification, problems=(*verification.problems, put_back))

"""Sign a tier, take a tier or a snapshot back. Both are acts of a pinned account on a snapshot that is whole.

Signing writes a file of its own; revoking sets `revocations.json` anew with the entry appended, under a lock, and
signed by who revokes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from storage import durable, locks
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Act, Pin, require
from storage.people.keys import SigningKey
from storage.progress import Watch, unwatched
from storage.snapshots.manifest import REVOCATIONS, Manifest, cut_anew, read_manifest
from storage.snapshots.rows import to_json
from storage.snapshots.seals import (
    Revocation,
    SealError,
    cutter_of,
    read_provenance,
    read_revocations,
    revocation_list,
    signature_path,
    tier_signature,
)
from storage.snapshots.verify import Verification, verify_snapshot


def sign_tier(directory: Path, tier: int, *, key: SigningKey, pins: Mapping[str, Pin]) -> bool:
    """Sign a tier and return True, or False when this account's signature counts already; as `sign_tiers`."""
    return bool(sign_tiers(directory, [tier], key=key, pins=pins))


def sign_tiers(
    directory: Path, tiers: Sequence[int], *, key: SigningKey, pins: Mapping[str, Pin], watch: Watch = unwatched
) -> list[int]:
    """Sign tiers, all or none; return those that this account's signature did not count for before.

    UserError for an account that may not sign or cut the snapshot, and for a snapshot that is altered or revoked.
    """
    pin = _pinned(key, pins, act=Act.SIGN)
    verification = verify_snapshot(directory, pins, watch=watch)
    manifest, problems = verification.manifest, verification.problems
    if manifest is None or problems:
        raise UserError(f"snapshot {directory.name} is altered and cannot be signed: {problems[0]}. {cut_anew()}")
    for tier in tiers:
        _require_signable(verification, manifest, tier=tier, pin=pin)
    unsigned = [tier for tier in tiers if pin.account not in verification.signed_tiers[tier]]
    for tier in unsigned:
        path = directory / signature_path(tier, pin.account)
        path.parent.mkdir(exist_ok=True)
        durable.replace(path, to_json(tier_signature(manifest, tier, key=key, at=_at())), folder=directory.parent)
    return unsigned


def _require_signable(verification: Verification, manifest: Manifest, *, tier: int, pin: Pin) -> None:
    entry = manifest.find_tier(tier)
    if verification.cutter == pin:
        raise UserError(
            f"account {pin.account!r} cut snapshot {manifest.snapshot_id} and may not sign it. Another adjudicator or "
            f"admin may: afrel --as ACCOUNT sign {manifest.snapshot_id} --tier {tier}"
        )
    for revocation in verification.revoked:
        if revocation.tier in (None, tier):
            raise UserError(
                f"snapshot {manifest.snapshot_id} tier {tier} was revoked on {revocation.at[:10]}: "
                f"{revocation.reason}. Cut another: afrel --as ACCOUNT snapshot"
            )
    if not sum(entry.n_rows.values()):
        raise UserError(f"snapshot {manifest.snapshot_id} tier {tier} ({entry.name}) has no rows to sign for")


def revoke(directory: Path, key: SigningKey, *, tier: int | None, reason: str, pins: Mapping[str, Pin]) -> bool:
    """Take a tier (None: the whole snapshot) back and return True, or False when it is taken back already.

    UserError for an account that may not revoke, an empty reason, and revocations that are missing or not sound: to
    write those anew could hide an entry.
    """
    pin = _pinned(key, pins, act=Act.REVOKE)
    if not reason.strip():
        raise UserError("a revocation needs a reason that others can read. Give one: --reason TEXT")
    manifest = read_manifest(directory)
    if tier is not None:
        manifest.find_tier(tier)
    with locks.exclusive_folder(directory):
        try:
            cutter = cutter_of(manifest, read_provenance(directory), pins)
            held = read_revocations(directory, manifest, pins=pins, cutter=cutter)
        except SealError as error:
            raise UserError(
                f"snapshot {directory.name} cannot be trusted, so it is refused already: {error}. Restore its "
                f"{REVOCATIONS} from a backup, or remove the snapshot: rm -r {directory}"
            ) from None
        if any(revocation.tier in (None, tier) for revocation in held):
            return False
        added = Revocation(tier, reason.strip(), pin.account, _at())
        content = revocation_list(manifest.snapshot_id, [*held, added], key=key, at=added.at)
        durable.replace(directory / REVOCATIONS, to_json(content), folder=directory.parent)
    return True


def _pinned(key: SigningKey, pins: Mapping[str, Pin], *, act: Act) -> Pin:
    """Return the pin of a key's account when it may act; UserError when it is not pinned with this key."""
    pin = pins.get(key.account)
    if pin is None or pin.public_key != key.public_key:
        raise UserError(
            f"account {key.account!r} is not pinned with this key, so its signature would not count. "
            f"An admin pins it: afrel --as ADMIN account add {key.account} --role ROLE"
        )
    require(pin, act)
    return pin


def _at() -> str:
    return now().isoformat(timespec="seconds")

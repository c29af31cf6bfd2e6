"""What an erasure changes in snapshot folders, which takes the admin's key: the store process has none.

Snapshots that hold an erased text are revoked under that key. An erased account's name stands in two places of a
folder: signature files, which go, because a signature without a signer counts for nothing; and the list of
revocations, which the admin signs in the place of whoever had signed it, so that the folder still verifies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from storage import durable, locks
from storage.clock import now
from storage.errors import UserError
from storage.people.accounts import Pin
from storage.people.keys import SigningKey
from storage.safekeeping.erasure import revocation_reason
from storage.safekeeping.erasure_remains import Remains
from storage.snapshots.cutting import revoke
from storage.snapshots.manifest import MANIFEST, REVOCATIONS, SIGNATURES, read_manifest
from storage.snapshots.rows import to_json
from storage.snapshots.seals import SealError, cutter_of, read_provenance, read_revocations, revocation_list

_SIGNATURE = re.compile(r"tier_(\d+)\.(.+)\.json")


def revoke_folders(
    snapshots_dir: Path, snapshot_ids: Sequence[str], *, key: SigningKey, pins: Mapping[str, Pin], reason: str | None
) -> Iterator[Remains]:
    """Set the revocation down in each snapshot's folder; yield those where it could not be."""
    for directory in (snapshots_dir / snapshot_id for snapshot_id in snapshot_ids):
        if not directory.is_dir():
            continue
        try:
            revoke(directory, key, tier=None, reason=revocation_reason(reason), pins=pins)
        except (UserError, OSError) as error:
            yield Remains(str(directory), f"its own list of revocations was not changed: {error}", f"rm -r {directory}")


def unname(snapshots_dir: Path, name: str, *, key: SigningKey, pins: Mapping[str, Pin]) -> Iterator[Remains]:
    """Take an account's name out of every snapshot's folder; yield what has to be signed again, or could not be done.

    To be called while the account is still pinned: its seal must be checked before another takes its place.
    """
    for directory in sorted(path.parent for path in snapshots_dir.glob(f"snap_*/{MANIFEST}")):
        try:
            _reseal(directory, name, key=key, pins=pins)
        except (UserError, SealError, OSError) as error:
            yield Remains(str(directory / REVOCATIONS), f"it names {name}: {error}", f"rm -r {directory}")
        for path in sorted((directory / SIGNATURES).glob("*.json")):
            found = _SIGNATURE.fullmatch(path.name)
            if found and found[2] == name:
                path.unlink()
                what = f"tier {found[1]} of {directory.name} was signed by the erased account and is not any more"
                yield Remains(str(path), what, f"afrel --as ACCOUNT sign {directory.name} --tier {found[1]}")


def _reseal(directory: Path, name: str, *, key: SigningKey, pins: Mapping[str, Pin]) -> None:
    """Sign the list of revocations anew, by the key, when the account signed it or stands in it."""
    with locks.exclusive_folder(directory):  # the lock that revoking takes
        manifest = read_manifest(directory)
        if name not in (directory / REVOCATIONS).read_text(encoding="utf-8"):
            return
        cutter = cutter_of(manifest, read_provenance(directory), pins)
        held = read_revocations(directory, manifest, pins=pins, cutter=cutter)
        pseudonym = pins[name].pseudonym if name in pins else "somebody"
        told = [replace(entry, account=pseudonym) if entry.account == name else entry for entry in held]
        content = revocation_list(manifest.snapshot_id, told, key=key, at=now().isoformat(timespec="seconds"))
        durable.replace(directory / REVOCATIONS, to_json(content), folder=directory.parent)

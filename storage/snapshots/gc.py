"""Remove snapshot folders that nothing needs: revoked or superseded ones that no run used. The store's rows stay.

Kept whatever happens: what a run used, the newest signed snapshot and all that came after it unless it was revoked, and
any folder that is not what it was. The run that removes names the snapshots before it begins, so that a missing folder
is known to be gone on purpose; a folder is renamed first, so that none is there in part.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storage import durable
from storage.people.accounts import Pin
from storage.runs import start_run
from storage.snapshots.verify import Verification, glance_at

if TYPE_CHECKING:
    from storage.store import Store

LEFT_OVER_SECONDS = 24 * 3600
_REMOVING = ".removing-"


@dataclass(frozen=True, slots=True)
class Removable:
    """A folder that may go: its name, why, and its bytes. `is_snapshot` is False of what a killed act left behind."""

    name: str
    why: str
    n_bytes: int
    is_snapshot: bool


def find_removable(snapshots_dir: Path, store: Store, pins: Mapping[str, Pin]) -> list[Removable]:
    """Return what may be removed of a workspace's snapshots, the oldest first, then what killed acts left behind."""
    rows = [row for row in store.read("snapshot_uses").to_pylist() if (snapshots_dir / row["snapshot_id"]).is_dir()]
    seen = {row["snapshot_id"]: glance_at(snapshots_dir / row["snapshot_id"], pins) for row in rows}
    is_revoked = {
        row["snapshot_id"]: row["is_revoked"] or any(one.tier is None for one in seen[row["snapshot_id"]].revoked)
        for row in rows
    }
    signed = [name for name, found in seen.items() if _is_signed(found) and not is_revoked[name]]
    newest = signed[-1] if signed else None
    found = []
    is_older = newest is not None
    for row in rows:
        name = row["snapshot_id"]
        is_older = is_older and name != newest
        why = "revoked" if is_revoked[name] else f"superseded by {newest}, which is signed" if is_older else None
        if why is None or row["is_used"] or name == newest or seen[name].problems:
            continue
        found.append(Removable(name, why, _n_bytes(snapshots_dir / name), is_snapshot=True))
    return [*found, *_left_over(snapshots_dir)]


def remove(
    snapshots_dir: Path, store: Store, removable: Sequence[Removable], *, account: str | None
) -> tuple[Removable, ...]:
    """Remove folders and return those that are gone; one that a run began to use meanwhile stays."""
    named = [one.name for one in removable if one.is_snapshot]
    with start_run(store, verb="gc", config={"removed": named}, account=account) as run:
        used = {row["snapshot_id"] for row in store.read("snapshot_uses").to_pylist() if row["is_used"]}
        gone = tuple(one for one in removable if one.name not in used)
        for one in gone:
            aside = snapshots_dir / (f"{_REMOVING}{one.name}" if one.is_snapshot else one.name)
            if one.is_snapshot:
                os.rename(snapshots_dir / one.name, aside)
                durable.sync(snapshots_dir)
            shutil.rmtree(aside)
        run.counts.update(removed=len(gone), n_bytes=sum(one.n_bytes for one in gone))
    return gone


def _is_signed(found: Verification) -> bool:
    """Say whether every tier that has rows and stands is signed, and one at least."""
    if found.manifest is None or found.problems:
        return False
    taken_back = {one.tier for one in found.revoked}
    tiers = [e.tier for e in found.manifest.tiers if sum(e.n_rows.values()) and e.tier not in taken_back]
    return bool(tiers) and all(found.signed_tiers[tier] for tier in tiers)


def _left_over(snapshots_dir: Path) -> Iterator[Removable]:
    for folder in sorted(snapshots_dir.glob(".cutting-*")):
        with suppress(FileNotFoundError):  # a living cut goes on meanwhile
            touched = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
            if time.time() - touched > LEFT_OVER_SECONDS:
                why = "left behind by a cut that was stopped"
                yield Removable(folder.name, why, _n_bytes(folder), is_snapshot=False)
    for folder in sorted(snapshots_dir.glob(f"{_REMOVING}*")):
        yield Removable(folder.name, "left behind by a removal that was stopped", _n_bytes(folder), is_snapshot=False)


def _n_bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())

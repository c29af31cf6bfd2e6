"""What is done with snapshots, free of any page: list them, cut, sign, verify, revoke, compare.

Cutting, signing, verifying and comparing are work of a process of its own (`snapshot_work`); a password is tried here
first, so that a wrong one is told at once. Counts of test rows are told as a sum over all tiers, by tier only to who
adjudicates.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from review_app.long_work import WORK, Work
from review_app.own_key import unlock_own
from review_app.snapshot_work import run_apart
from review_app.tier_desk import require_look
from storage.errors import UserError
from storage.people.accounts import Act, Pin, may, pin_from_row, require
from storage.snapshots.manifest import Manifest
from storage.snapshots.register import Withdrawal, against_register, find_directory, revoke_registered, trained_on
from storage.snapshots.seals import Revocation
from storage.snapshots.verify import Verification, glance_at
from storage.store import Store
from storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TierLine:
    """A tier of a snapshot. `n_test` is None for who may not see it; `signed_by` are signatures that count."""

    tier: int
    name: str
    where: str
    train: int
    dev: int
    n_test: int | None
    n_rows: int
    signed_by: tuple[str, ...]
    revoked: Revocation | None


@dataclass(frozen=True, slots=True)
class SnapshotLine:
    """A snapshot as it shows without reading its rows: `problems` are what is wrong at a glance.

    `checked` is the last whole check this server made, under way or over; None when there was none.
    """

    snapshot_id: str
    cut_by: str
    cut_at: datetime
    n_rows: int
    n_test: int
    tiers: tuple[TierLine, ...]
    revoked: Revocation | None
    problems: tuple[str, ...]
    not_counted: tuple[str, ...]
    checked: Work | None

    @property
    def unsigned(self) -> tuple[TierLine, ...]:
        """The tiers with rows that nobody has signed yet, and that are not taken back."""
        return tuple(line for line in self.tiers if line.n_rows and not line.signed_by and not line.revoked)


def list_snapshots(person: Pin, workspace: Workspace, store: Store, *, most: int | None = None) -> list[SnapshotLine]:
    """Return the snapshots, the newest first, at most so many."""
    require_look(person)
    pins = _pins(store)
    removed = set(store.read("snapshots_removed").column("snapshot_id").to_pylist())
    held = [row for row in store.read("snapshots").to_pylist() if not _is_gone(workspace, row["snapshot_id"], removed)]
    rows = list(reversed(held))[:most]
    return [_line(person, workspace, store, row, pins) for row in rows]


def cut_work(root: Path) -> Work | None:
    """Return the cut that is under way, or the last one."""
    return WORK.find(("cut", root))


def sign_work(root: Path, snapshot_id: str) -> Work | None:
    """Return the signing of a snapshot that is under way, or the last one."""
    return WORK.find(("sign", root, snapshot_id))


def put_away(person: Pin, root: Path, *key: str) -> None:
    """Forget what came of work that is over."""
    require_look(person)
    WORK.put_away((key[0], root, *key[1:]))


def begin_cut(person: Pin, workspace: Workspace, password: str) -> Work:
    """Freeze the saved tiers as they are now."""
    require(person, Act.CUT)
    unlock_own(person, password)
    task = {"act": "cut", "workspace": str(workspace.root), "account": person.account, "password": password}
    return WORK.begin(("cut", workspace.root), person.account, partial(run_apart, task))


def begin_sign(person: Pin, workspace: Workspace, snapshot_id: str, tiers: Sequence[int], password: str) -> Work:
    """Sign tiers of a snapshot, all or none, once all of it is found whole."""
    require(person, Act.SIGN)
    if not tiers:
        raise UserError("no tier is chosen. Choose the tiers you vouch for")
    unlock_own(person, password)
    task = {
        "act": "sign",
        "workspace": str(workspace.root),
        "account": person.account,
        "password": password,
        "snapshot_id": snapshot_id,
        "tiers": list(tiers),
    }
    return WORK.begin(("sign", workspace.root, snapshot_id), person.account, partial(run_apart, task))


def begin_verify(person: Pin, workspace: Workspace, snapshot_id: str) -> Work:
    """Check every file and row of a snapshot."""
    require_look(person)
    task = {
        "act": "verify",
        "workspace": str(workspace.root),
        "account": person.account,
        "snapshot_id": snapshot_id,
    }
    return WORK.begin(("verify", workspace.root, snapshot_id), person.account, partial(run_apart, task))


def revoke(
    person: Pin, workspace: Workspace, store: Store, snapshot_id: str, *, tier: int | None, reason: str, password: str
) -> Withdrawal:
    """Take a tier (None: the whole snapshot) back, for a reason that others will read."""
    require(person, Act.REVOKE)
    if not reason.strip():
        raise UserError("a revocation needs a reason that others can read. Write one")
    key = unlock_own(person, password)
    directory = find_directory(workspace.snapshots_dir, store, snapshot_id)
    return revoke_registered(directory, store, tier=tier, reason=reason.strip(), key=key, pins=_pins(store))


def runs_trained_on(person: Pin, store: Store, snapshot_id: str) -> tuple[str, ...]:
    """Return the runs that trained on a snapshot."""
    require_look(person)
    return trained_on(store, snapshot_id)


def begin_compare(person: Pin, workspace: Workspace, *, older: str, newer: str) -> Work:
    """Find how two snapshots differ; its outcome is `Difference.to_mapping` of storage.snapshots.diff.

    Of test rows it tells how many there are, more only to who adjudicates.
    """
    require_look(person)
    task = {
        "act": "compare",
        "workspace": str(workspace.root),
        "account": person.account,
        "snapshot_id": newer,
        "older_id": older,
    }
    return WORK.begin(("compare", workspace.root, person.account), person.account, partial(run_apart, task))


def compare_work(person: Pin, root: Path) -> Work | None:
    """Return the comparison this person began last."""
    return WORK.find(("compare", root, person.account))


def _pins(store: Store) -> dict[str, Pin]:
    return {row["account"]: pin_from_row(row) for row in store.read("accounts").to_pylist()}


def _is_gone(workspace: Workspace, snapshot_id: str, removed: Collection[str]) -> bool:
    """Say whether a snapshot's folder was removed on purpose."""
    return snapshot_id in removed and not (workspace.snapshots_dir / snapshot_id).exists()


def _line(
    person: Pin, workspace: Workspace, store: Store, row: Mapping[str, Any], pins: Mapping[str, Pin]
) -> SnapshotLine:
    directory = workspace.snapshots_dir / row["snapshot_id"]
    found = against_register(glance_at(directory, pins), directory, store)
    manifest = found.manifest
    problems = [str(problem) for problem in found.problems]
    if manifest is not None and manifest.digest != row["manifest_digest"]:
        problems.append("manifest.json: it is not the one this workspace registered")
    return SnapshotLine(
        snapshot_id=row["snapshot_id"],
        cut_by=row["account"],
        cut_at=row["created_at"],
        n_rows=row["n_rows"],
        n_test=sum(entry.n_rows["test"] for entry in manifest.tiers) if manifest is not None else 0,
        tiers=_tier_lines(person, manifest, found) if manifest is not None else (),
        revoked=_revoked(found, None),
        problems=tuple(problems),
        not_counted=tuple(str(problem) for problem in found.not_counted),
        checked=WORK.find(("verify", workspace.root, row["snapshot_id"])),
    )


def _tier_lines(person: Pin, manifest: Manifest, found: Verification) -> tuple[TierLine, ...]:
    sees_tests = may(person.role, Act.ADJUDICATE)
    return tuple(
        TierLine(
            tier=entry.tier,
            name=entry.name,
            where=entry.predicate,
            train=entry.n_rows["train"],
            dev=entry.n_rows["dev"],
            n_test=entry.n_rows["test"] if sees_tests else None,
            n_rows=sum(entry.n_rows.values()) if sees_tests else entry.n_rows["train"] + entry.n_rows["dev"],
            signed_by=found.signed_tiers.get(entry.tier, ()),
            revoked=_revoked(found, entry.tier),
        )
        for entry in manifest.tiers
    )


def _revoked(found: Verification, tier: int | None) -> Revocation | None:
    return next((one for one in found.revoked if one.tier == tier), None)

"""What is wrong among the files of a workspace: work cut short, snapshots that differ from their register, key files.

Nothing here opens `afrel.duckdb`: closing it again would drop the lock of the process that owns it.
"""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb

from storage.liveness import is_locked
from storage.reads import READS
from storage.safekeeping.finding import Finding, Severity
from storage.snapshots.manifest import MANIFEST, REVOCATIONS
from storage.snapshots.verify import sha256_of
from storage.spool import BATCH_PREFIX

STALE_SECONDS = 3600  # a living process writes its scratch more often
DRAIN = "afrel label (the first it does is to take these replies in; none is paid for twice)"


def spools(root: Path) -> list[Finding]:
    """Find paid replies that a worker left behind."""
    folder = root / "spool"
    spooled = [path for path in sorted(folder.glob("*.jsonl")) if not path.name.startswith(BATCH_PREFIX)]
    dead = [path for path in spooled if not is_locked(path)]
    unborn = [path for path in sorted(folder.glob("*.new")) if not is_locked(path)]
    findings = []
    if dead:
        n_replies = sum(path.read_bytes().count(b"\n") for path in dead)
        what = f"paid replies on {len(dead)} spools of workers that are gone, not in the store yet"
        findings.append(Finding(Severity.LEFT_OVER, what, n_replies, DRAIN, _name(dead[0], root)))
    return findings + _left_over(root, unborn, "empty spools of workers that died while they started")


def scratch(root: Path) -> list[Finding]:
    """Find what killed processes left half made."""
    handed_over = _stale((root / "handover").glob("*"))
    cut = _stale((root / "snapshots").glob(".*"))
    beside = [*root.parent.glob(f".making-{root.name}-*"), *(root.parent / f"{root.name}-backups").glob(".making-*")]
    refused = sorted((root / "journal" / "refused").glob("*.arrow"))
    findings = [
        *_left_over(root, handed_over, "files handed over by clients that are gone"),
        *_left_over(root, cut, "snapshots and seals that were cut short while being written"),
        *_left_over(root, _stale(beside), "backups and restored workspaces that were cut short"),
        *_left_over(root, _stale((root / ".publish").glob("*")), "copies that were cut short while being written"),
    ]
    if refused:
        what = "acknowledged requests that the database refused; the .txt beside each says why"
        mend = "mend what it says, then bring the rows again"
        findings.append(Finding(Severity.WRONG, what, len(refused), mend, _name(refused[0], root)))
    return findings


def snapshots(connection: duckdb.DuckDBPyConnection, root: Path) -> list[Finding]:
    """Find where snapshot folders and the register differ. Whether a folder is sound is what `verify` asks."""
    registered = dict(connection.execute("select snapshot_id, manifest_digest from snapshots order by 1").fetchall())
    folder = root / "snapshots"
    there = sorted(path.parent.name for path in folder.glob(f"snap_*/{MANIFEST}"))
    removed = connection.execute(READS["snapshots_removed"].sql).fetchall()  # on purpose, by `afrel gc`
    missing = [name for name in registered if name not in there and (name,) not in removed]
    unknown = [name for name in there if name not in registered]
    altered = [name for name in there if name in registered and sha256_of(folder / name / MANIFEST) != registered[name]]
    cut = "afrel --as CURATOR snapshot (the same rows make the same snapshot)"
    found = [
        ("snapshots in the register without their folder", missing, cut),
        ("snapshot folders the register does not know: a cut was stopped before its last step", unknown, cut),
        (
            "snapshots whose manifest is not the one registered",
            altered,
            "afrel verify SNAPSHOT, then put the folder back",
        ),
        *_seals(connection, folder, there),
    ]
    return [Finding(Severity.WRONG, what, len(names), mend, names[0]) for what, names, mend in found if names]


def published(root: Path) -> list[Finding]:
    """Find a read-only copy that cannot be opened."""
    copy = root / "published.duckdb"
    if not copy.exists():
        return []
    try:
        with duckdb.connect(str(copy), read_only=True) as connection:
            connection.execute("select count(*) from duckdb_tables()").fetchall()
    except duckdb.Error as error:
        mend = f"rm {copy}, then afrel sql 'select 1' makes it anew"
        return [Finding(Severity.WRONG, "the read-only copy cannot be opened", 1, mend, str(error).splitlines()[0])]
    return []


def key_files(home: Path) -> list[Finding]:
    """Find key files and folders at home that others may read; nothing where this user may not look."""
    folders = [path for path in (home, home / "keys") if path.is_dir()]
    try:
        files = sorted((home / "keys").glob("*.json"))
        wide = [path for path in (*folders, *files) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    except PermissionError:
        return []
    if not wide:
        return []
    mend = f"chmod -R u=rwX,go= {home}"
    return [Finding(Severity.WRONG, "key files that others may read", len(wide), mend, str(wide[0]))]


def _seals(
    connection: duckdb.DuckDBPyConnection, folder: Path, there: list[str]
) -> Iterator[tuple[str, list[str], str]]:
    """Yield where signatures and revocations in the register are not in the folder, or the other way round."""
    rows = connection.execute("select snapshot_id, tier from revocations").fetchall()
    in_register = {(snapshot_id, tier) for snapshot_id, tier in rows if snapshot_id in there}
    in_folder = {(name, tier) for name in there for tier in _revoked_tiers(folder / name / REVOCATIONS)}
    lacking = {(name, tier) for name, tier in in_register if not in_folder & {(name, tier), (name, None)}}
    unnoted = {(name, tier) for name, tier in in_folder if not in_register & {(name, tier), (name, None)}}
    revoke = "afrel --as ADMIN revoke SNAPSHOT --reason TEXT (it sets down what is missing on either side)"
    yield "revocations that the folder lacks: its list was put back", _told(lacking), revoke
    yield "revocations that the register lacks: revoke was stopped before its last step", _told(unnoted), revoke
    signed = connection.execute(
        "select snapshot_id, tier, account from signatures "
        "where account not in (select content_id from erasures where kind = 'account')"
    ).fetchall()
    unsigned = [
        f"{snapshot_id} tier {tier} by {account}"
        for snapshot_id, tier, account in signed
        if snapshot_id in there and not (folder / snapshot_id / "signatures" / f"tier_{tier}.{account}.json").is_file()
    ]
    yield "signatures in the register without their file", sorted(unsigned), "afrel --as ACCOUNT sign SNAPSHOT --tier N"


def _told(revoked: set[tuple[str, int | None]]) -> list[str]:
    return sorted(name if tier is None else f"{name} tier {tier}" for name, tier in revoked)


def _revoked_tiers(path: Path) -> list[int | None]:
    try:
        return [entry["tier"] for entry in json.loads(path.read_text(encoding="utf-8"))["revocations"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # not readable: `verify` says so, and training refuses it


def _left_over(root: Path, paths: list[Path], what: str) -> list[Finding]:
    if not paths:
        return []
    return [Finding(Severity.LEFT_OVER, what, len(paths), f"rm -r {paths[0]} (and the like)", _name(paths[0], root))]


def _stale(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if time.time() - path.lstat().st_mtime > STALE_SECONDS)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

"""Back a workspace up into a folder, while others write, and put it back.

A folder, not one file: each file is verified by itself, unchanged snapshot data is a second name and costs no space,
and any tool can carry it elsewhere. It is made beside its place and renamed, so it is there whole or not at all. What
is taken, and in which order, is what makes it consistent: replies that are paid for (the spool) before the database
and its journal, because they move from the one to the other; snapshots last, because their folder is there before
their rows. Nobody commits meanwhile; acknowledging goes on in the journal, of which the copy may hold a torn end.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from storage import durable
from storage.clock import now
from storage.errors import UserError
from storage.process.migrate import migrations, schema_number
from storage.process.socket_path import SOCKET_NAME
from storage.safekeeping.backup_manifest import BackupManifest, FileEntry, LeftOut, read_manifest
from storage.safekeeping.backup_register import REGISTER, KnownBackup, note_backup
from storage.safekeeping.file_copy import Copy, copy_files
from storage.snapshots.manifest import MANIFEST as SNAPSHOT_MANIFEST

DATABASE = "afrel.duckdb"
TEXTS = {".toml", ".md", ".txt"}  # at the top of a workspace: its configuration and guidelines
# Made anew by whoever needs them, or of the running process only: neither copied nor worth a word.
PASSING = {
    "published.duckdb", "index", "handover", ".publish", "store.lock", SOCKET_NAME, "store.log", "store.error",
    "store.host", "accounts.lock", f"{DATABASE}.wal",
}  # fmt: skip
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def back_up(connection: duckdb.DuckDBPyConnection, *, root: Path, target: Path) -> BackupManifest:
    """Copy a workspace to a new folder and note it in the workspace's register of backups.

    Nothing may be committed meanwhile. UserError, with nothing left half made, for a target that is there already,
    lies in the workspace or cannot be written, and for a full disk.
    """
    root, target = root.resolve(), target.resolve()
    made_at = now().isoformat(timespec="microseconds")
    _require_free(target, root)
    with suppress(duckdb.TransactionException):  # a reader may hold an old state; the log is then copied as well
        connection.execute("checkpoint").fetchall()
    n_rows = count_rows(connection)
    schema = schema_number(connection)
    with _made_beside(target, what="backup") as building:
        files = [
            entry
            for part in (_spools(root), _store(root), _texts(root), _snapshots(root))
            for entry in _copied(part, root=root, building=building)
        ]
        manifest = BackupManifest(
            path=target,
            workspace=root.name,
            made_at=made_at,
            schema=schema,
            duckdb_version=duckdb.__version__,
            n_rows=n_rows,
            files=tuple(files),
            left_out=tuple(_left_out(root)),
        )
        held = (root / REGISTER).read_text(encoding="utf-8") if (root / REGISTER).exists() else ""
        own = KnownBackup(target, made_at)
        durable.write_new(building / REGISTER, held + own.to_line(), mode=0o600)
        manifest.write(building)
    note_backup(root, own)
    return manifest


def restore(source: Path, target: Path, *, is_dry: bool = False) -> BackupManifest:
    """Make a workspace of a backup in a new folder, every file checked against its digest; return what it held.

    No store process takes part. UserError, with nothing left half made, for a folder that is no backup, is altered or
    was made by a newer afrel, and for a target that holds anything. With `is_dry` the files are only checked.
    """
    source, target = source.resolve(), target.resolve()
    manifest = read_manifest(source)
    newest = migrations()[-1][0]
    if manifest.schema > newest:
        raise UserError(
            f"{source} has schema {manifest.schema}, this afrel knows {newest}: it was made by a newer version. "
            "Upgrade afrel; nothing was restored"
        )
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise UserError(f"{target} and the backup {source} lie in each other. Name another folder")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is not empty, and a backup is never laid over files. Name a new folder")
    if is_dry:
        _require_unaltered(manifest, manifest.altered_files(source))
        return manifest
    with _made_beside(target, what="workspace") as building:
        copies = [Copy(source / entry.path, building / entry.path) for entry in manifest.files]
        copied = copy_files([*copies, Copy(source / REGISTER, building / REGISTER)])[:-1]
        wrong = [
            entry.path
            for entry, copy in zip(manifest.files, copied, strict=True)
            if copy is None or (copy.sha256, copy.n_bytes) != (entry.sha256, entry.n_bytes)
        ]
        _require_unaltered(manifest, wrong)
    return manifest


def count_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the number of rows of every table."""
    tables = connection.execute(
        "select table_name from duckdb_tables() "
        "where database_name = current_database() and not temporary order by table_name"
    ).fetchall()
    counts = {}
    for (table,) in tables:
        ((n,),) = connection.execute(f"select count(*) from {table}").fetchall()
        counts[table] = int(n)
    return counts


def plan_files(root: Path) -> list[Path]:
    """Return the files of a workspace that a backup would hold."""
    return [copy for part in (_spools(root), _store(root), _texts(root), _snapshots(root)) for copy in part]


def default_target(root: Path) -> Path:
    """Return where a backup goes when nobody says: beside the workspace, so that losing the one spares the other."""
    name = f"{now():%Y-%m-%dT%H-%M-%S}"
    folder = root.parent / f"{root.name}-backups"
    numbered = (folder / f"{name}-{number}" for number in range(2, 1000))
    return folder / name if not (folder / name).exists() else next(path for path in numbered if not path.exists())


def _require_free(target: Path, root: Path) -> None:
    if target.is_relative_to(root):
        raise UserError(
            f"{target} lies in the workspace {root} and would be lost with it. Name a folder outside: "
            f"afrel backup {root.parent / (root.name + '-backups') / 'first'}"
        )
    if os.path.lexists(target):
        raise UserError(f"{target} is there already, and a backup is never laid over files. Name a new folder")


@contextmanager
def _made_beside(target: Path, *, what: str) -> Iterator[Path]:
    """Give a folder to fill; on leaving it is put on disk under the target's name, on an error it is removed."""
    building = target.parent / f".making-{target.name}-{secrets.token_hex(4)}"
    made_parents = [folder for folder in target.parents if not folder.exists()]
    try:
        building.mkdir(parents=True, mode=0o700)
        yield building
        durable.sync_tree(building)
        os.rename(building, target)
        durable.sync(target.parent)
    except OSError as error:
        room = "the disk is full" if error.errno in _NO_ROOM else os.strerror(error.errno or errno.EIO)
        raise UserError(
            f"the {what} {target} was not made, and nothing is left of it: {room} ({error.filename or building}). "
            "Name another folder, or make room"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
        for folder in made_parents:
            with suppress(OSError):  # it holds the finished folder, or somebody's
                folder.rmdir()


def _copied(paths: list[Path], *, root: Path, building: Path) -> Iterator[FileEntry]:
    """Copy files and yield what they hold; one that went away meanwhile was taken over by what is copied later."""
    copies = [Copy(path, building / path.relative_to(root), may_link=_is_lasting(path)) for path in paths]
    for path, copied in zip(paths, copy_files(copies), strict=True):
        if copied is not None:
            yield FileEntry(path.relative_to(root).as_posix(), copied.sha256, copied.n_bytes)
        elif path.name == DATABASE:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _is_lasting(path: Path) -> bool:
    """Say whether a file is data of a snapshot: written once, and its digest stands in the snapshot's manifest too."""
    return path.suffix == ".parquet"


def _spools(root: Path) -> list[Path]:
    return sorted((root / "spool").glob("*.jsonl"))


def _store(root: Path) -> list[Path]:
    log = root / f"{DATABASE}.wal"
    logs = [log] if log.exists() and log.stat().st_size else []
    return [root / DATABASE, *logs, *_files_under(root / "journal")]


def _texts(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.suffix in TEXTS and path.is_file() and not path.is_symlink())


def _snapshots(root: Path) -> list[Path]:
    folders = sorted(path.parent for path in (root / "snapshots").glob(f"snap_*/{SNAPSHOT_MANIFEST}"))
    return [path for folder in folders for path in _files_under(folder)]


def _files_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _left_out(root: Path) -> Iterator[LeftOut]:
    """Yield what lies in the workspace and is not copied: trained runs one by one, anything else by its name."""
    taken = {DATABASE, REGISTER, "spool", "journal", "snapshots", *(path.name for path in _texts(root))}
    for path in sorted(root.iterdir()):
        if path.name in taken | PASSING:
            continue
        parts = sorted(path.iterdir()) if path.name == "runs" and path.is_dir() else [path]
        for part in parts:
            n_bytes = sum(file.stat().st_size for file in (_files_under(part) if part.is_dir() else [part]))
            yield LeftOut(part.relative_to(root).as_posix(), n_bytes)


def _require_unaltered(manifest: BackupManifest, wrong: list[str]) -> None:
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(
            f"the backup {manifest.path} is altered: {', '.join(wrong[:3])}{more} missing or not as backed up. "
            f"Nothing was restored. Take another backup; {REGISTER} in the workspace lists them"
        )

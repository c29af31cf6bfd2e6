"""What still holds an erased text or name after the store has let go of it, and the command for each.

Nothing here is deleted: a backup, a trained model or somebody's file is more than the text in it, so a person decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from storage.process.table_columns import own_ids
from storage.safekeeping.backup_register import known_backups
from storage.safekeeping.erasure_rows import ReachedSnapshot
from storage.safekeeping.erasure_scope import REPORTED

MAX_SEARCHED = 20  # texts: beyond, as for a whole source, a search would find words, not quotations
TEXT_FILES = (
    "*.md", "*.txt", "*.toml", "store.log", "store.error", "jobs/runner.log", "jobs/*/*.txt", "jobs/*/config.toml",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Remains:
    """A place that holds it or may, and the command that ends that."""

    where: str
    what: str
    command: str

    def to_mapping(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def remains_of_snapshots(
    connection: duckdb.DuckDBPyConnection, root: Path, snapshots: Sequence[ReachedSnapshot]
) -> Iterator[Remains]:
    """Yield the folders of the snapshots that hold it, and the models that were trained on them."""
    for snapshot in snapshots:
        folder = root / "snapshots" / snapshot.snapshot_id
        if folder.is_dir():
            what = f"{snapshot.n_rows} rows of a snapshot, now revoked"
            yield Remains(str(folder), what, f"rm -r {folder}")
        if not snapshot.n_learnt:
            continue  # it stands among test rows only: no model saw it
        for run_id in _trained_on(connection, root, snapshot.snapshot_id):
            directory = root / "runs" / run_id
            what = f"a model trained on {snapshot.snapshot_id}, where {snapshot.n_learnt} train or dev rows hold it"
            is_here = directory.is_dir()
            command = f"rm -r {directory}" if is_here else f"remove the folder of {run_id}, wherever it was moved"
            yield Remains(str(directory) if is_here else run_id, what, command)


def remains_of_backups(root: Path, *, since: datetime) -> Iterator[Remains]:
    """Yield the backups made since it came into the store."""
    for backup in known_backups(root):
        if datetime.fromisoformat(backup.made_at) < since:
            continue
        is_there = backup.path.exists()
        what = f"a backup of {backup.made_at[:16]}" + ("" if is_there else ", which is not there any more")
        command = f"rm -r {backup.path}" if is_there else "remove it, if it was moved elsewhere"
        yield Remains(str(backup.path), what, command)
    for copy in sorted((root / "backups").glob("*.duckdb")):
        yield Remains(str(copy), "the database before a change of its schema", f"rm {copy}")


def remains_of_files(root: Path, *, living_spools: Sequence[Path], texts: Sequence[str]) -> Iterator[Remains]:
    """Yield files under way or left over, and text files that have the very words."""
    again = "when its process has ended, run the same command again"
    for path in living_spools:
        yield Remains(
            str(path), "a spool of a worker that is alive: what it was asked about is not erased there", again
        )
    for path in sorted((root / "handover").glob("*.parquet")):
        yield Remains(str(path), "rows a client is handing over; they may hold it", again)
    for path in sorted((root / "journal" / "refused").glob("*")):
        yield Remains(str(path), "a request the database refused; it may hold it", f"rm {path}")
    if len(texts) > MAX_SEARCHED:
        return
    for path in sorted({found for pattern in TEXT_FILES for found in root.glob(pattern)}):
        if path.is_file() and any(text in path.read_text(encoding="utf-8", errors="replace") for text in texts):
            yield Remains(str(path), "a text file that has the words", f"edit {path}, or remove it")


def remains_of_rows(connection: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> Iterator[Remains]:
    """Yield where rules, instructions and notes have the very words; they speak of more than one pair and stay."""
    if not texts or len(texts) > MAX_SEARCHED:
        return
    own = own_ids(connection)
    for table, column in REPORTED:
        is_said = " or ".join(f"contains(lower({column}), lower(${place}))" for place in range(1, len(texts) + 1))
        ((n, example),) = connection.execute(
            f"select count(*), min({own[table]}) from {table} where {is_said}", list(texts)
        ).fetchall()
        if n:
            what = f"{n} rows have the words in {column} (such as {example}); they were not blanked"
            yield Remains(
                table, what, _DECIDE.get(table, "afrel sql shows them; nothing but this report speaks of them")
            )


_DECIDE = {
    "rules": "afrel --as ACCOUNT approve RULE --reject, if its sentence or condition tells too much",
    "instructions": "afrel --as ACCOUNT approve INSTRUCTION --kind instruction --reject, then write another",
}


def _trained_on(connection: duckdb.DuckDBPyConnection, root: Path, snapshot_id: str) -> list[str]:
    """Return the training runs on a snapshot: those registered, and those whose folder says so."""
    rows = connection.execute(
        "select run_id from runs where verb = 'train' and json_extract_string(config, '$.snapshot_id') = ?",
        [snapshot_id],
    ).fetchall()
    registered = {str(run_id) for (run_id,) in rows}
    told = {path.parent.name for path in (root / "runs").glob("*/run.json") if _snapshot_of(path) == snapshot_id}
    return sorted(registered | told)


def _snapshot_of(path: Path) -> str | None:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        return str(described["snapshot_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

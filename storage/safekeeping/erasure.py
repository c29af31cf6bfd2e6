"""Erase a text or a person: blank the words wherever the store has them, and say where else they still are.

The rows are blanked in one transaction, the spools cleaned, the published copy removed, and the database file written
anew so that no old value is left in it. The new file then has to take the old one's place (`rewriting.take_over`),
when nobody has the database open. Run twice, the second run blanks what came meanwhile and writes the file again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from storage.clock import now
from storage.errors import UserError
from storage.ids import content_id
from storage.safekeeping.erasure_accounts import count_of_account, erase_account, require_account
from storage.safekeeping.erasure_calls import Wording, clean_spools, normal, reach_calls, reach_rejects, wording_reached
from storage.safekeeping.erasure_remains import (
    MAX_SEARCHED,
    Remains,
    remains_of_backups,
    remains_of_files,
    remains_of_rows,
    remains_of_snapshots,
)
from storage.safekeeping.erasure_rows import (
    ReachedSnapshot,
    Stamp,
    blank_rows,
    note_erased,
    note_ids,
    reached_snapshots,
    revoke_rows,
)
from storage.safekeeping.erasure_scope import count_to_do, reach_query, reach_source, scope
from storage.safekeeping.rewriting import rewrite

Kind = Literal["source", "query", "account"]
KINDS: tuple[Kind, ...] = ("source", "query", "account")
_QUERY_ID = re.compile(r"q_[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did, or would do. `name` is the source, the query's id, or the tombstone of an account.

    `n_rows` counts blanked rows by table, `snapshots` are revoked, `rewritten` is the file that must take the place of
    the database's.
    """

    kind: Kind
    name: str
    is_dry: bool
    n_rows: Mapping[str, int]
    n_spooled: int = 0
    snapshots: tuple[str, ...] = ()
    remains: tuple[Remains, ...] = ()
    rewritten: Path | None = None

    def to_mapping(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "kind": self.kind,
            "name": self.name,
            "is_dry": self.is_dry,
            "n_rows": dict(self.n_rows),
            "n_spooled": self.n_spooled,
            "snapshots": list(self.snapshots),
            "remains": [remains.to_mapping() for remains in self.remains],
        }


def erase(
    connection: duckdb.DuckDBPyConnection,
    *,
    root: Path,
    kind: Kind,
    value: str,
    account: str,
    reason: str | None,
    run_id: str,
    is_dry: bool = False,
) -> Erased:
    """Blank a source's texts, a query (id or text) or an account's name; with `is_dry` only count.

    Nothing may be committed from here until the rewritten file has taken over. UserError for what is not there.
    """
    stamp = Stamp(account, reason, run_id, now())
    if kind == "account":
        return _erase_account(connection, root, value, stamp, is_dry=is_dry)
    name = _query_id(connection, value) if kind == "query" else _source(connection, value)
    with scope(connection):
        if kind == "query":
            reach_query(connection, name)
        else:
            reach_source(connection, name)
        given = value if kind == "query" and value != name else None
        wording = wording_reached(connection, also=given)
        reach_calls(connection, wording)
        if kind == "query":
            reach_rejects(connection, wording)
        snapshots = reached_snapshots(connection)
        since = _since(connection)
        texts = _searched(connection, given) if kind == "query" else []
        if is_dry:
            remains = _remains(connection, root, snapshots, since=since, texts=texts, living_spools=())
            reached = tuple(snapshot.snapshot_id for snapshot in snapshots)
            return Erased(kind, name, True, count_to_do(connection), snapshots=reached, remains=remains)
        n_rows = _blank(connection, kind, name, snapshots, stamp)
        calls = frozenset(
            call_id for (call_id,) in connection.execute("select llm_call_id from erased_calls").fetchall()
        )
    (root / "published.duckdb").unlink(missing_ok=True)  # made anew from the blanked rows by whoever asks next
    shutil.rmtree(root / "sketches", ignore_errors=True)  # hashes of words; made anew by the next screening
    n_spooled, living = clean_spools(root / "spool", erased_ids=calls, wording=wording)
    remains = _remains(connection, root, snapshots, since=since, texts=texts, living_spools=living)
    return Erased(
        kind,
        name,
        False,
        n_rows,
        n_spooled=n_spooled,
        snapshots=tuple(snapshot.snapshot_id for snapshot in snapshots),
        remains=remains,
        rewritten=_rewritten(connection, root),
    )


def revocation_reason(reason: str | None) -> str:
    """Return the reason under which an erasure revokes a snapshot: for whoever trained on it."""
    return "a text in it was erased" + (f": {reason}" if reason else "")


def _blank(
    connection: duckdb.DuckDBPyConnection, kind: Kind, name: str, snapshots: list[ReachedSnapshot], stamp: Stamp
) -> dict[str, int]:
    connection.begin()
    try:
        n_rows = blank_rows(connection)
        note_erased(connection, stamp)
        if kind == "source":
            note_ids(connection, "source", pa.array([name]), stamp)
        revoke_rows(connection, snapshots, stamp, reason=revocation_reason(stamp.reason))
        _count_commit(connection)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return n_rows


def _erase_account(
    connection: duckdb.DuckDBPyConnection, root: Path, name: str, stamp: Stamp, *, is_dry: bool
) -> Erased:
    require_account(connection, name, by=stamp.account)
    n_rows = count_of_account(connection, name)
    ((since,),) = connection.execute("select min(created_at) from accounts where account = ?", [name]).fetchall()
    remains = _remains(connection, root, [], since=since, texts=[name], living_spools=())
    if is_dry:
        return Erased("account", name, True, n_rows, remains=remains)
    connection.begin()
    try:
        tombstone = erase_account(connection, name, stamp)
        _count_commit(connection)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return Erased("account", tombstone, False, n_rows, remains=remains, rewritten=_rewritten(connection, root))


def _rewritten(connection: duckdb.DuckDBPyConnection, root: Path) -> Path:
    scratch = root / ".publish"
    scratch.mkdir(exist_ok=True)
    connection.execute("checkpoint").fetchall()  # so that nothing is left in the log, which the new file replaces too
    return rewrite(connection, scratch=scratch)


def _count_commit(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("update position set n_commits = n_commits + 1").fetchall()


def _remains(
    connection: duckdb.DuckDBPyConnection,
    root: Path,
    snapshots: list[ReachedSnapshot],
    *,
    since: datetime | None,
    texts: Sequence[str],
    living_spools: Sequence[Path],
) -> tuple[Remains, ...]:
    return (
        *remains_of_snapshots(connection, root, snapshots),
        *remains_of_backups(root, since=since or datetime.min),
        *remains_of_files(root, living_spools=living_spools, texts=texts),
        *remains_of_rows(connection, texts),
    )


def _searched(connection: duckdb.DuckDBPyConnection, given: str | None) -> list[str]:
    """Return the queries' texts, for a search by words where texts speak of more than one pair."""
    rows = connection.execute(
        "select text from queries where query_id in (from erased_queries) order by text limit ?", [MAX_SEARCHED]
    ).fetchall()
    return sorted(Wording.of([*(text for (text,) in rows), *([given] if given else [])]).texts)


def _since(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """Return when the first of what is reached came into the store."""
    ((since,),) = connection.execute(
        "select min(created_at) from (select created_at from queries where query_id in (from erased_queries) "
        "union all select created_at from docs where doc_id in (from erased_docs) "
        "union all select created_at from judgments where judgment_id in (from erased_judgments) "
        "union all select created_at from ingest_rejects where ingest_reject_id in (from erased_rejects) "
        "union all select created_at from llm_calls where llm_call_id in (from erased_calls))"
    ).fetchall()
    return since if isinstance(since, datetime) else None


def _query_id(connection: duckdb.DuckDBPyConnection, value: str) -> str:
    query_id = value if _QUERY_ID.fullmatch(value) else content_id("q", normal(value))
    if not connection.execute("select 1 from queries where query_id = ?", [query_id]).fetchall():
        raise UserError(
            f"there is no query {value!r}. --query takes a query's id or its whole text; find it: "
            "afrel sql \"select query_id, text from queries where text like '%WORD%'\""
        )
    return query_id


def _source(connection: duckdb.DuckDBPyConnection, value: str) -> str:
    rows = connection.execute(
        "select distinct source from (select source from queries union all select source from docs "
        "union all select source from pairs union all select source from ingest_rejects) order by 1"
    ).fetchall()
    known = [str(source) for (source,) in rows]
    if value not in known:
        raise UserError(
            f"there is no source {value!r}; there are {', '.join(known) or 'none'}. Name one: --source NAME"
        )
    return value

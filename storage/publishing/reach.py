"""How far a published copy reaches, and whether what came since can simply be added to it.

It can while the rows it took are still what they were: nothing was erased, the file is the one it was made from, and
nobody whose name stood in a published row got another pseudonym.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from storage.process.table_columns import all_columns
from storage.publishing.masking import DECIDED, FACTS, Column

Cursor = duckdb.DuckDBPyConnection
Schema = Mapping[str, Sequence[Column]]

# Tables whose growth a copy must know of; accounts are not in it, but their pseudonyms are.
COUNTED = (*FACTS, "accounts")


@dataclass(frozen=True, slots=True)
class Reach:
    """Rows of each counted table, and a digest of the last one's id, None where there is none."""

    n_rows: Mapping[str, int]
    last_ids: Mapping[str, str | None]


def read_schema(cursor: Cursor) -> Schema:
    """Return the columns of every table of the store, in order."""
    tables = all_columns(cursor)
    return {table: [Column(name, kind) for name, kind in columns.items()] for table, columns in tables.items()}


def read_n_commits(cursor: Cursor) -> int:
    """Return how many commits the store has seen."""
    ((n_commits,),) = cursor.execute("select n_commits from position").fetchall()
    return int(n_commits)


def read_reach(cursor: Cursor, schema: Schema, n_rows: Mapping[str, int] | None = None) -> Reach:
    """Return how far the store is, or how far it was with so many rows."""
    if n_rows is None:
        counts = " union all ".join(f"select '{table}', count(*) from {table}" for table in COUNTED)
        n_rows = dict(cursor.execute(counts).fetchall())
    ids = " union all ".join(
        f"select '{table}', md5({schema[table][0].name}) from {table} where rowid = {n_rows[table] - 1}"
        for table in COUNTED
    )
    return Reach(n_rows, dict.fromkeys(COUNTED) | dict(cursor.execute(ids).fetchall()))


def can_grow(cursor: Cursor, schema: Schema, held: Reach) -> bool:
    """Say whether a copy that reaches this far is right in all it has, so that only new rows are missing."""
    now = read_reach(cursor, schema)
    return (
        held.n_rows.keys() == now.n_rows.keys()
        and all(now.n_rows[table] >= n for table, n in held.n_rows.items())
        and now.n_rows["erasures"] == held.n_rows["erasures"]
        and read_reach(cursor, schema, held.n_rows).last_ids == held.last_ids
        and not _names_appear(cursor, held.n_rows, _renamed(cursor, held.n_rows["accounts"]))
    )


def names_pattern(accounts: Sequence[str]) -> str | None:
    """Return a regular expression of whole account names, longest first; None for none."""
    names = "|".join(re.escape(name) for name in sorted(accounts, key=lambda name: (-len(name), name)))
    return rf"\b(?:{names})\b" if names else None


def _renamed(cursor: Cursor, n_known: int) -> list[str]:
    """Return the accounts that are new, or have another pseudonym, since there were so many rows of accounts."""
    latest = "select account, arg_max(pseudonym, (created_at, account_event_id)) as pseudonym from accounts"
    rows = cursor.execute(
        f"select n.account from ({latest} group by account) n "
        f"left join ({latest} where rowid < $n_known group by account) o using (account) "
        "where o.pseudonym is distinct from n.pseudonym",
        {"n_known": n_known},
    ).fetchall()
    return [account for (account,) in rows]


def _names_appear(cursor: Cursor, n_rows: Mapping[str, int], accounts: Sequence[str]) -> bool:
    """Say whether rows that were published name one of the accounts, as a person or in a text."""
    if not accounts:
        return False
    pattern = names_pattern(accounts)
    for table in FACTS:
        mask = DECIDED[table]
        people, texts = mask.people.split(), mask.texts()
        conditions = [f"list_contains($accounts, {column})" for column in people]
        conditions += [f"regexp_matches({column}, $pattern, 'i')" for column in texts]
        if not conditions:
            continue
        bound: dict[str, object] = {"n": n_rows[table]}
        bound |= {"accounts": list(accounts)} if people else {}
        bound |= {"pattern": pattern} if texts else {}
        (found,) = cursor.execute(
            f"select exists (select 1 from {table} where rowid < $n and ({' or '.join(conditions)}))", bound
        ).fetchall()
        if found[0]:
            return True
    return False

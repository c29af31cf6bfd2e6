"""Erase who somebody was: their account's name, everywhere, for a tombstone that tells it from others and no more.

What they did stays, and stays theirs under the tombstone: agreement and consensus are counted by account. Role, public
key and pseudonym stay, so that what they cut still verifies and published copies read as before; what goes is the only
place that says whose they are. An act's id is the hash of account, session and counter, so whoever guesses a name
could confirm it: the sessions of their responses are renamed too, in their order, by which acts are ordered.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

import duckdb
import pyarrow as pa

from storage.errors import UserError
from storage.ids import action_id
from storage.people.accounts import pin_from_row, retired
from storage.process.table_columns import columns_of
from storage.rows import AccountRow
from storage.safekeeping.erasure_rows import Stamp, named, note_ids

PEOPLE = ("account", "by_account")


def count_of_account(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, int]:
    """Return how many rows of each table name an account."""
    counts: dict[str, int] = {}
    for table, column in _places(connection):
        ((n,),) = connection.execute(f"select count(*) from {table} where {column} = ?", [name]).fetchall()
        if n:
            counts[table] = counts.get(table, 0) + int(n)
    return counts


def require_account(connection: duckdb.DuckDBPyConnection, name: str, *, by: str) -> None:
    """Return when the account is there and another one's; UserError otherwise."""
    known = [account for (account,) in connection.execute("select account from current_accounts order by 1").fetchall()]
    if name not in known:
        raise UserError(f"there is no account {name!r} to erase; there are {', '.join(known)}")
    if name == by:
        raise UserError(f"{name} cannot erase {name}: the erasure must name who did it. Another admin may")


def erase_account(connection: duckdb.DuckDBPyConnection, name: str, stamp: Stamp) -> str:
    """Put a tombstone in the place of an account's name, inside the caller's transaction; return the tombstone."""
    tombstone = f"erased_{secrets.token_hex(4)}"
    _retire(connection, name, tombstone, stamp)
    _rename_sessions(connection, name)
    for table, column in _places(connection):
        connection.execute(f"update {table} set {column} = ? where {column} = ?", [tombstone, name]).fetchall()
    note_ids(connection, "account", pa.array([tombstone]), stamp)
    return tombstone


def _places(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return [
        (table, column) for table, columns in columns_of(connection).items() for column in PEOPLE if column in columns
    ]


def _retire(connection: duckdb.DuckDBPyConnection, name: str, tombstone: str, stamp: Stamp) -> None:
    """Take all rights from the account: nobody may act under the tombstone."""
    (held,) = (
        connection.sql("select * from current_accounts where account = $name", params={"name": name})
        .to_arrow_table()
        .to_pylist()
    )
    pin = pin_from_row(held)
    if pin.retired_at is not None:
        return
    row = AccountRow(
        account_event_id=action_id(stamp.account, tombstone, 1),
        account=name,
        role=retired(pin.role),
        public_key=pin.public_key,
        pseudonym=pin.pseudonym,
        by_account=stamp.account,
        created_at=max(stamp.at, held["created_at"] + timedelta(microseconds=1)),
    )
    with named(connection, "retiring", pa.Table.from_pylist([row.to_mapping()])):
        connection.execute("insert into accounts by name from retiring").fetchall()


def _rename_sessions(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    rows = connection.execute("select distinct session from responses where account = ? order by session", [name])
    sessions = [session for (session,) in rows.fetchall()]
    drawn = secrets.token_hex(4)
    renamed = [f"erased_{drawn}_{number:09d}" for number in range(len(sessions))]
    with named(connection, "renamed", pa.table({"before": pa.array(sessions, pa.string()), "after": renamed})):
        connection.execute(
            "update responses set session = renamed.after from renamed "
            "where responses.account = ? and responses.session = renamed.before",
            [name],
        ).fetchall()

"""The tables of the index file: one set for each dataset, named by its id, so that dropping a dataset drops its tables.

The file is disposable. One of another VERSION, or one that SQLite cannot read, is made anew and filled by a reindex.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from uuid import UUID

VERSION = 1
# Every thread has a connection: little memory of its own for each. The file is not mapped into memory, for where a
# mapped file is cut short the system kills the server.
PRAGMAS = """
pragma journal_mode = wal;
pragma synchronous = normal;
pragma busy_timeout = 30000;
pragma cache_size = -16384;
pragma mmap_size = 0;
"""
# Which fields a dataset has, and in which column of its texts each is; a row at HALF says that it is not whole yet.
HALF = -1
DATASETS = """
create table if not exists dataset_fields (
    dataset_id text not null,
    place integer not null,
    field text not null,
    primary key (dataset_id, place)
) without rowid;
"""
# `shuffle` is a number below 2^31 by the record's id; see `shuffle.py`. `value` has no type: a number or a text.
TABLES = """
create table {t}_records (
    n integer primary key,
    record_id text not null unique,
    external_id text,
    status text not null,
    inserted_at text,
    updated_at text,
    shuffle integer not null
);
create index {t}_records_status on {t}_records (status);
create index {t}_records_shuffle on {t}_records (shuffle);
create index {t}_records_inserted_at on {t}_records (inserted_at);
create index {t}_records_updated_at on {t}_records (updated_at);
create index {t}_records_external_id on {t}_records (external_id);
create table {t}_values (n integer not null, path text not null, value not null);
create index {t}_values_n on {t}_values (n, path, value);
create index {t}_values_path on {t}_values (path, value, n);
create table {t}_responses (
    n integer not null,
    response_id text not null,
    user_id text not null,
    status text not null,
    primary key (n, response_id)
) without rowid;
create index {t}_responses_user on {t}_responses (user_id, status, n);
create table {t}_answers (
    n integer not null,
    response_id text not null,
    user_id text not null,
    question text not null,
    value not null
);
create index {t}_answers_n on {t}_answers (n, question, value);
create index {t}_answers_question on {t}_answers (question, value, n);
create table {t}_vectors (
    settings_id text not null,
    n integer not null,
    direction blob not null,
    primary key (settings_id, n)
) without rowid;
create index {t}_vectors_n on {t}_vectors (n);
create virtual table {t}_text using fts5 ({columns}, tokenize = 'ascii');
"""
KINDS = ("records", "values", "responses", "answers", "vectors", "text")


def tables_of(dataset_id: str) -> str:
    """Return what the names of a dataset's tables start with; ValueError if the id is no UUID."""
    return f"d{UUID(str(dataset_id)).hex}"


def create_tables(connection: sqlite3.Connection, dataset_id: str, fields: Sequence[str]) -> None:
    """Make a dataset's tables, empty; the text has a column for each field and one that every record matches."""
    drop_tables(connection, dataset_id)
    tables = tables_of(dataset_id)
    columns = ", ".join(["every_record", *(column_of(place) for place in range(len(fields)))])
    for statement in TABLES.format(t=tables, columns=columns).split(";"):
        connection.execute(statement)
    connection.executemany(
        "insert into dataset_fields (dataset_id, place, field) values (?, ?, ?)",
        [(tables, place, field) for place, field in enumerate(fields)],
    )


def drop_tables(connection: sqlite3.Connection, dataset_id: str) -> None:
    """Drop a dataset's tables, if there are any."""
    tables = tables_of(dataset_id)
    for kind in KINDS:
        connection.execute(f"drop table if exists {tables}_{kind}")
    connection.execute("delete from dataset_fields where dataset_id = ?", (tables,))


def mark_half(connection: sqlite3.Connection, dataset_id: str) -> None:
    """Note that a dataset's tables are being filled."""
    row = (tables_of(dataset_id), HALF, "")
    connection.execute("insert into dataset_fields (dataset_id, place, field) values (?, ?, ?)", row)


def unmark_half(connection: sqlite3.Connection, dataset_id: str) -> None:
    """Note that a dataset's tables are filled."""
    connection.execute("delete from dataset_fields where dataset_id = ? and place = ?", (tables_of(dataset_id), HALF))


def column_of(place: int) -> str:
    """Return the name of the text column of the field at a place."""
    return f"field_{place}"

"""Fill the published copy, attached as `published`, from the store's tables: slice by slice, masked, never blocking.

Facts are only appended, so row i of a table has rowid i for good: what a copy lacks are the rows from the number it
holds. Whatever else a copy carries is small and written anew, or is kept up for the pairs that changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from storage.ids import digest
from storage.process.standing import current_judgments_sql, standing_sql
from storage.publishing.masking import BY_PAIR, DECIDED, FACTS, REPLACED, STATUS, masked_sql, published_columns
from storage.publishing.reach import (
    COUNTED,
    Cursor,
    Reach,
    Schema,
    names_pattern,
    read_n_commits,
    read_reach,
)
from storage.publishing.views import VIEWS

FORM = 1  # raise it when a copy comes out otherwise though none of the texts below changed
_BY_PAIR = [table for table in FACTS if FACTS[table].test == BY_PAIR]
# The columns by which acts are ordered and judgments chosen.
_ACT = "response_id, pair_id, account, session, sequence, act, target_id, created_at"
_SETTLING = "judgment_id, pair_id, response_ids, origin, created_at"
_DECIDING = ("responses", "send_backs", "judgments")  # whose rows decide what stands and which judgment is current

_OWN_TABLES = (
    "people (pseudonym varchar, role varchar, created_at timestamp)",
    "rule_decisions (rule_id varchar, status varchar)",
    "standing_response_ids (response_id varchar, pair_id varchar)",
    "current_judgment_ids (judgment_id varchar, pair_id varchar)",
    "publication (made_at timestamp, n_commits bigint, form varchar)",
    "publication_rows (table_name varchar, n_rows bigint, last_id_digest varchar)",
)


def form(schema: Schema) -> str:
    """Return a digest of all that decides what a copy of a store holds, so that another form is built anew."""
    columns = {table: [[c.name, c.type] for c in schema[table]] for table in DECIDED}
    masks = [masked_sql(table, schema[table]) for table in DECIDED]
    standing = [standing_sql("responses"), current_judgments_sql("judgments", "standing")]
    return digest([FORM, columns, masks, standing, dict(VIEWS), _OWN_TABLES])


def create_tables(cursor: Cursor, schema: Schema) -> None:
    """Create the tables and views of an empty copy."""
    for table in DECIDED:
        columns = ", ".join(f"{column.name} {column.type}" for column in published_columns(table, schema[table]))
        cursor.execute(f"create table published.{table} ({columns})").fetchall()
    for table in _OWN_TABLES:
        cursor.execute(f"create table published.{table}").fetchall()
    for name, sql in VIEWS.items():
        cursor.execute(f"create view published.{name} as {sql}").fetchall()


def name_people(cursor: Cursor) -> None:
    """Make what the masks need to know of people: each account's pseudonym, and a pattern of all their names."""
    cursor.execute(
        "create or replace temp table pseudonyms as select account, pseudonym from current_accounts"
    ).fetchall()
    accounts = [name for (name,) in cursor.execute("select account from pseudonyms").fetchall()]
    cursor.execute("set variable account_names = ?", [names_pattern(accounts)]).fetchall()


def split_all(cursor: Cursor) -> None:
    """Let the masks see the split of every pair."""
    _drop_splits(cursor)
    cursor.execute("create temp view splits as select pair_id, split from pairs").fetchall()


def append(cursor: Cursor, schema: Schema, table: str, *, start: int, stop: int) -> None:
    """Append the masked rows of a fact table from place `start` up to `stop`, which is left out."""
    where = f"t.rowid >= {start} and t.rowid < {stop}"
    cursor.execute(f"insert into published.{table} {masked_sql(table, schema[table], where=where)}").fetchall()


def catch_up(
    cursor: Cursor,
    schema: Schema,
    *,
    since: Reach,
    is_new: bool,
    changed_pairs: Sequence[str] | None,
    made_at: datetime,
) -> None:
    """Bring an attached copy that reaches so far up to what the cursor's transaction sees, and note in it how far.

    `changed_pairs` are those whose status may differ; None: take the status of all. A new copy has facts only.
    """
    now = read_reach(cursor, schema)
    name_people(cursor)
    if changed_pairs is None:
        split_all(cursor)
    else:
        _note_changes(cursor, since.n_rows, changed_pairs)
    for table in FACTS:
        if now.n_rows[table] > since.n_rows[table]:
            append(cursor, schema, table, start=since.n_rows[table], stop=now.n_rows[table])
    _replace_small(cursor, schema)
    _take_status(cursor, schema, is_whole=changed_pairs is None)
    if is_new:
        _take_standing(
            cursor, responses=f"(select {_ACT} from responses)", judgments=f"(select {_SETTLING} from judgments)"
        )
    else:
        _take_new_standing(cursor, since.n_rows, now.n_rows)
    cursor.execute("delete from published.publication").fetchall()
    cursor.execute("delete from published.publication_rows").fetchall()
    cursor.execute(
        "insert into published.publication values (?, ?, ?)", [made_at, read_n_commits(cursor), form(schema)]
    ).fetchall()
    cursor.execute(
        "insert into published.publication_rows select unnest(?::varchar[]), unnest(?::bigint[]), unnest(?::varchar[])",
        [list(COUNTED), [now.n_rows[table] for table in COUNTED], [now.last_ids[table] for table in COUNTED]],
    ).fetchall()


def _drop_splits(cursor: Cursor) -> None:
    kinds = cursor.execute(
        "select table_type from information_schema.tables where table_catalog = 'temp' and table_name = 'splits'"
    ).fetchall()
    for (kind,) in kinds:
        cursor.execute(f"drop {'view' if kind == 'VIEW' else 'table'} temp.splits").fetchall()


def _note_changes(cursor: Cursor, since: Mapping[str, int], changed_pairs: Sequence[str]) -> None:
    """Name the pairs whose status may differ, and let the masks see the splits of all pairs new rows are about."""
    cursor.execute(
        "create or replace temp table changed as select unnest($pairs::varchar[]) as pair_id "
        "union select pair_id from candidates where rowid >= $since",
        {"pairs": list(changed_pairs), "since": since["candidates"]},
    ).fetchall()
    spoken_of = "".join(f" union select pair_id from {table} where rowid >= {since[table]}" for table in _BY_PAIR)
    _drop_splits(cursor)
    cursor.execute(
        "create temp table splits as select pair_id, split from pairs "
        f"where pair_id in (select pair_id from changed{spoken_of})"
    ).fetchall()


def _replace_small(cursor: Cursor, schema: Schema) -> None:
    for table in REPLACED:
        cursor.execute(f"delete from published.{table}").fetchall()
        cursor.execute(f"insert into published.{table} {masked_sql(table, schema[table])}").fetchall()
    for table, sql in (
        ("people", "select pseudonym, role, created_at from current_accounts"),
        ("rule_decisions", "select rule_id, status from rule_status"),
    ):
        cursor.execute(f"delete from published.{table}").fetchall()
        cursor.execute(f"insert into published.{table} {sql}").fetchall()


def _take_status(cursor: Cursor, schema: Schema, *, is_whole: bool) -> None:
    of_changed = "" if is_whole else "t.pair_id in (select pair_id from changed)"
    clause = "" if is_whole else " where pair_id in (select pair_id from changed)"
    cursor.execute(f"delete from published.{STATUS}{clause}").fetchall()
    cursor.execute(f"insert into published.{STATUS} {masked_sql(STATUS, schema[STATUS], where=of_changed)}").fetchall()


def _take_new_standing(cursor: Cursor, since: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Take which answers stand and which judgments are current of the pairs with new acts: no other can differ."""
    if all(now[table] == since[table] for table in _DECIDING):
        return
    cursor.execute(
        "create or replace temp table acted_on as "
        + " union ".join(f"select pair_id from {table} where rowid >= {since[table]}" for table in _DECIDING)
    ).fetchall()
    for table, columns in (("responses", _ACT), ("judgments", _SETTLING)):
        cursor.execute(
            f"create or replace temp table acted_{table} as "
            f"select {columns} from {table} where pair_id in (select pair_id from acted_on)"
        ).fetchall()
    for table in ("standing_response_ids", "current_judgment_ids"):
        cursor.execute(f"delete from published.{table} where pair_id in (select pair_id from acted_on)").fetchall()
    _take_standing(cursor, responses="acted_responses", judgments="acted_judgments")


def _take_standing(cursor: Cursor, *, responses: str, judgments: str) -> None:
    """Take which answers stand and which judgments are current among those of two relations.

    Answers on test pairs do not say in the copy which they are, so they are not among those that stand there.
    """
    cursor.execute(
        f"create or replace temp table standing as select response_id, pair_id from ({standing_sql(responses)})"
    ).fetchall()
    cursor.execute(
        "insert into published.standing_response_ids select response_id, pair_id from standing "
        "where pair_id in (select pair_id from pairs where split <> 'test')"
    ).fetchall()
    cursor.execute(
        "insert into published.current_judgment_ids select judgment_id, pair_id "
        f"from ({current_judgments_sql(judgments, 'standing')})"
    ).fetchall()

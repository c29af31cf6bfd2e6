"""The verb `sql`: ask the published copy anything, keep a query under a name, ask it again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from storage.errors import UserError
from storage.session import Session

if TYPE_CHECKING:
    from storage.sql.query_results import QueryResult
    from storage.sql.saved_queries import SavedQuery


def sql(
    ctx: typer.Context,
    statement: Annotated[
        str | None, typer.Argument(metavar="SQL", help="One statement; the tables: show tables")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array of objects.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV; cells that look like formulas are neutralised.")
    ] = False,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a Parquet file, types kept; never part of an answer.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --parquet replace the file.")] = False,
    max_rows: Annotated[int, typer.Option(min=1, max=5_000_000, help="Stop after this many rows.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="Kill the query after this time.")] = 10.0,
    save: Annotated[str | None, typer.Option(metavar="NAME", help="Run the SQL, then keep it under this name.")] = None,
    saved: Annotated[str | None, typer.Option(metavar="NAME", help="Run the query of this name.")] = None,
    is_list: Annotated[bool, typer.Option("--list", help="List the saved queries.")] = False,
) -> None:
    """Ask in SQL. Runs in a throw-away process on a read-only copy: test grades blank, people by pseudonym.

    Example: afrel -w shop sql --save by_status "select status, count(*) as n from candidate_status group by status"
    """
    from storage.people.accounts import Act
    from storage.sql.console import run_query
    from storage.sql.query_file import check_target, write_parquet
    from storage.sql.saved_queries import check_name, find_query, save_query, saved_queries

    session: Session = ctx.obj
    _check_together(statement, saved=saved, save=save, is_list=is_list, formats=[as_json, as_csv, parquet is not None])
    session.allow(Act.SQL)
    if save is not None:
        check_name(save)
    if parquet is not None:
        check_target(parquet, is_forced=force)
    with session.store() as store:
        if is_list:
            _print_list(saved_queries(store), as_json=as_json)
            return
        text = find_query(store, saved).sql if saved is not None else statement or ""
        published = store.publish()
    result = run_query(published, text, seconds=seconds, max_rows=max_rows)
    if parquet is not None:
        write_parquet(result, parquet, is_forced=force)
        print(f"{parquet}: {result.table.num_rows:,} rows of {len(result.columns)} columns")
    else:
        _print(result, as_json=as_json, as_csv=as_csv)
    if save is not None:
        with session.store() as store:
            is_new = save_query(store, save, text, account=session.account)
        note = f"saved; run it again: afrel sql --saved {save}" if is_new else f"{save} says just that already"
        print(note, file=sys.stderr)
    if result.is_truncated:
        print(f"stopped after {max_rows} rows. For more: --max-rows N", file=sys.stderr)


def _check_together(
    statement: str | None, *, saved: str | None, save: str | None, is_list: bool, formats: list[bool]
) -> None:
    """Raise UserError unless one thing is asked for, in one format."""
    if [statement is not None, saved is not None, is_list].count(True) != 1:
        raise UserError(
            'give one of: a statement (afrel sql "show tables"), a saved query (afrel sql --saved NAME), '
            "or afrel sql --list"
        )
    if save is not None and statement is None:
        raise UserError(f"--save {save} keeps a statement; give one: afrel sql --save {save} SQL")
    if formats.count(True) > 1:
        raise UserError("an answer has one form. Give one of --json, --csv and --parquet FILE: afrel sql --json SQL")
    if is_list and any(formats[1:]):
        raise UserError("the list is text or JSON: afrel sql --list --json")


def _print(result: QueryResult, *, as_json: bool, as_csv: bool) -> None:
    from storage.sql.query_results import to_csv, to_json, to_text

    if as_csv:
        print(to_csv(result), end="")
    else:
        print(to_json(result) if as_json else to_text(result))


def _print_list(queries: list[SavedQuery], *, as_json: bool) -> None:
    from storage.sql.query_results import printable

    if as_json:
        told = [
            {
                "name": query.name,
                "sql": query.sql,
                "pseudonym": query.pseudonym,
                "created_at": query.created_at.isoformat(),
            }
            for query in queries
        ]
        print(json.dumps(told, ensure_ascii=False))
        return
    for query in queries:
        print(f"{query.name}  by {query.pseudonym or 'the shell'}, {query.created_at:%Y-%m-%d %H:%M} UTC")
        print("\n".join(f"    {line}" for line in printable(query.sql).splitlines()))
    if not queries:
        print("nothing is saved. Save a query: afrel sql --save NAME SQL", file=sys.stderr)

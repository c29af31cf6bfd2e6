"""Verbs of the ground: count what is in a workspace, ask it in SQL."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from storage.session import Session


def status(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print nested counts as JSON.")] = False,
) -> None:
    """Count everything in the workspace, test rows included.

    Example: afrel -w shop status --json
    """
    session: Session = ctx.obj
    with session.store() as store:
        rows = store.read("counts").to_pylist()
    counts: dict[str, Any] = {}
    for row in rows:
        if row["which"]:
            counts.setdefault(row["what"], {})[row["which"]] = row["n"]
        else:
            counts[row["what"]] = row["n"]
    if as_json:
        print(json.dumps({"workspace": str(session.workspace.root), "counts": counts}, ensure_ascii=False))
        return
    for what, value in counts.items():
        if isinstance(value, dict):
            detail = ", ".join(f"{n} {which}" for which, n in value.items())
            print(f"{what:<17} {sum(value.values()):>8}  {detail}")
        else:
            print(f"{what:<17} {value:>8}")
    if not counts.get("queries"):
        print("next: afrel ingest FILE --map query=query,doc=title,grade=label", file=sys.stderr)


def sql(
    ctx: typer.Context,
    statement: Annotated[
        str, typer.Argument(metavar="SQL", help="One statement; the tables: from information_schema.tables")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array of objects.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV; cells that look like formulas are neutralised.")
    ] = False,
    max_rows: Annotated[int, typer.Option(min=1, help="Stop after this many rows.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=0.1, help="Kill the query after this time.")] = 10.0,
) -> None:
    """Ask in SQL. Runs in a throw-away process on a read-only copy: test grades blank, people by pseudonym.

    Example: afrel -w shop sql "select status, count(*) as n from candidate_status group by status"
    """
    from storage.accounts import Act
    from storage.console import run_query
    from storage.query_results import to_csv, to_json, to_text

    session: Session = ctx.obj
    session.allow(Act.SQL)
    with session.store() as store:
        published = store.publish()
    result = run_query(published, statement, seconds=seconds, max_rows=max_rows)
    if as_json:
        print(to_json(result))
    elif as_csv:
        print(to_csv(result), end="")
    else:
        print(to_text(result))
    if result.is_truncated:
        print(f"stopped after {max_rows} rows. For more: --max-rows N", file=sys.stderr)

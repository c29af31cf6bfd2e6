"""The verb `status`: count what is in a workspace."""

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

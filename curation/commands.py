"""`afrel why`: the chain behind a row, printed."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from storage.session import Session


def why(
    ctx: typer.Context,
    asked_id: Annotated[str, typer.Argument(metavar="ID", help="A candidate, judgment, prediction, answer or pair.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the chain: source, mutation, prompt, model, rules, screens, people, snapshot, run, prediction, what it took.

    Example: afrel -w shop why c_3fa9…
    """
    from curation.lineage import why as chain

    session: Session = ctx.obj
    with session.store() as store:
        links = chain(store, asked_id)
    if as_json:
        print(json.dumps([link.to_dict() for link in links], ensure_ascii=False))
        return
    for link in links:
        print(f"{'>' if link.link_id == asked_id else ' '} {link.kind:<11} {link.link_id:<22} {link.text}")

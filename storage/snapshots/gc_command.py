"""`afrel gc`: remove snapshots that are revoked or superseded and that no run used. Without --yes it only tells."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from storage.session import Session

MEBIBYTE = 1 << 20


def gc(
    ctx: typer.Context,
    is_meant: Annotated[bool, typer.Option("--yes", help="Remove them; without it, only say which would go.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Remove the folders of snapshots that are revoked or superseded by a signed one, and that no run used.

    The newest signed snapshot stays, and what the store knows of those that go. Removing takes an admin.
    Example: afrel -w shop --as root gc --yes
    """
    from storage.people.accounts import Act
    from storage.snapshots.gc import find_removable, remove

    session: Session = ctx.obj
    if is_meant:
        session.require(Act.ERASE)
    else:
        session.allow(Act.SQL)
    folder, pins = session.workspace.snapshots_dir, session.pins()
    with session.store() as store:
        found = find_removable(folder, store, pins)
        gone = remove(folder, store, found, account=session.account) if is_meant and found else ()
    told = list(gone) if is_meant else found
    if as_json:
        print(json.dumps({"is_dry": not is_meant, "removed": [asdict(one) for one in told]}))
        return
    if not told:
        print("nothing to do: every snapshot is used, or not superseded by a signed one")
        return
    for one in told:
        print(f"  {one.name}  {one.n_bytes / MEBIBYTE:,.1f} MiB  {one.why}")
    n_bytes = sum(one.n_bytes for one in told)
    if is_meant:
        print(f"removed {len(told)} folders, {n_bytes / MEBIBYTE:,.1f} MiB")
    else:
        print(f"would remove {len(told)} folders, {n_bytes / MEBIBYTE:,.1f} MiB. Do it: afrel --as ADMIN gc --yes")

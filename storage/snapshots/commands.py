"""`afrel sign` and `revoke`: who vouches for a snapshot, and who takes that back."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from storage.session import Session

SnapshotArgument = Annotated[str | None, typer.Argument(metavar="[SNAPSHOT]", help="Its id; the newest unless given.")]


def sign(
    ctx: typer.Context,
    snapshot: SnapshotArgument = None,
    tier: Annotated[int | None, typer.Option(help="One tier; all that have rows unless given.")] = None,
) -> None:
    """Sign a snapshot's tiers. Whoever cut it cannot.

    Example: afrel -w shop --as dora sign snap_91be… --tier 2
    """
    from storage.jobs.on_sign import queue_signed
    from storage.people.accounts import Act
    from storage.snapshots.manifest import read_manifest
    from storage.snapshots.register import find_directory, sign_registered

    session: Session = ctx.obj
    key = session.require(Act.SIGN)
    pins = session.pins()
    tiers = None if tier is None else [tier]
    with session.store() as store:
        directory = find_directory(session.workspace.snapshots_dir, store, snapshot)
        signed = sign_registered(directory, store, tiers=tiers, key=key, pins=pins)
        vouched = tiers or [entry.tier for entry in read_manifest(directory).tiers if sum(entry.n_rows.values())]
        told = queue_signed(session.workspace, store, directory.name, vouched, account=key.account)
    for line in told:
        print(line, file=sys.stderr)
    if not signed:
        print(f"nothing to do: {key.account} has signed {directory.name} already")
        return
    named = ", ".join(f"tier {entry.tier} {entry.name} ({sum(entry.n_rows.values())} rows)" for entry in signed)
    print(f"{key.account} signed {directory.name}: {named}")
    print(f"next: afrel train sft --snapshot {directory.name} --model tiny", file=sys.stderr)


def revoke(
    ctx: typer.Context,
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Its id.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever trained on it.")],
    tier: Annotated[int | None, typer.Option(help="One tier; the whole snapshot unless given.")] = None,
) -> None:
    """Withdraw a snapshot or a tier of it. It trains nothing any more; runs trained on it are listed.

    Example: afrel -w shop --as dora revoke snap_91be… --reason "wrong size rule"
    """
    from storage.people.accounts import Act
    from storage.snapshots.register import find_directory, revoke_registered

    session: Session = ctx.obj
    key = session.require(Act.REVOKE)
    pins = session.pins()
    with session.store() as store:
        directory = find_directory(session.workspace.snapshots_dir, store, snapshot)
        done = revoke_registered(directory, store, tier=tier, reason=reason, key=key, pins=pins)
    what = directory.name if tier is None else f"{directory.name} tier {tier}"
    print(f"{what} is revoked" if done.is_new else f"nothing to do: {what} is revoked already")
    print(f"trained on it: {', '.join(done.trained) or 'no run'}")

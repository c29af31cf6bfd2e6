"""`afrel sign`, `revoke` and `verify`: who vouches for a snapshot, and whether it is still what they vouched for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from storage.errors import UserError
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
    from storage.people.accounts import Act
    from storage.snapshots.register import find_directory, sign_registered

    session: Session = ctx.obj
    key = session.require(Act.SIGN)
    pins = session.pins()
    tiers = None if tier is None else [tier]
    with session.store() as store:
        directory = find_directory(session.workspace.snapshots_dir, store, snapshot)
        signed = sign_registered(directory, store, tiers=tiers, key=key, pins=pins)
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


def verify(
    ctx: typer.Context,
    snapshot: SnapshotArgument = None,
    pins_file: Annotated[
        Path | None, typer.Option("--pins", metavar="FILE", help="Away from the workspace: the pinned keys.")
    ] = None,
    is_deep: Annotated[
        bool, typer.Option("--deep", help="Also derive ids from texts, and look each row's lineage up in the store.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every file, row, digest, signature and revocation of a snapshot; name whatever is altered.

    Example: afrel -w shop verify snap_91be… --deep
    """
    from storage.people.accounts import pins_from_json
    from storage.snapshots.deep import verify_deeply
    from storage.snapshots.register import against_register, find_directory
    from storage.snapshots.verify import verify_snapshot

    session: Session = ctx.obj
    if pins_file is not None:
        if not pins_file.is_file():
            raise UserError(f"there is no file {pins_file}. Write the pins: afrel account pins > pins.json")
        directory = Path(snapshot or ".").resolve()
        known = pins_from_json(pins_file.read_text(encoding="utf-8"))
        deep = verify_deeply(directory, known, None) if is_deep else None
        verification = verify_snapshot(directory, known) if deep is None else deep.verification
    else:
        pins = session.pins()
        with session.store(sees_test=is_deep) as store:
            directory = find_directory(session.workspace.snapshots_dir, store, snapshot)
            deep = verify_deeply(directory, pins, store) if is_deep else None
            found = verify_snapshot(directory, pins) if deep is None else deep.verification
            verification = against_register(found, directory, store)
    unseen = () if deep is None else deep.not_looked_at
    manifest, problems = verification.manifest, verification.problems
    signed = {str(tier): list(accounts) for tier, accounts in verification.signed_tiers.items()}
    revoked = verification.revoked
    if as_json:
        named = [{"path": p.path, "what": p.what} for p in problems]
        taken_back = [{"tier": r.tier, "reason": r.reason, "at": r.at} for r in revoked]
        told = {"snapshot_id": directory.name, "problems": named, "signed": signed, "revoked": taken_back}
        print(json.dumps({**told, "not_looked_at": unseen}))
    else:
        for problem in [*problems, *verification.not_counted]:
            print(f"  {problem}")
        n_rows_of = {str(e.tier): sum(e.n_rows.values()) for e in manifest.tiers} if manifest else {}
        for tier, accounts in signed.items():
            said = (
                f"signed by {', '.join(accounts)}" if accounts else "not signed" if n_rows_of.get(tier) else "no rows"
            )
            print(f"  tier {tier}: {said}")
        for entry in revoked:
            print(f"  revoked {entry.at[:10]}: {entry.reason}")
        for what in unseen:
            print(f"  not looked at: {what}")
        n_rows = manifest.n_rows if manifest is not None else 0
        verdict = "ALTERED" if problems else "whole"
        print(f"{directory.name} is {verdict}: {n_rows} rows, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)

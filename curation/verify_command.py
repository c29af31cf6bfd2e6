"""`afrel verify`: whether a snapshot is still what was vouched for, and with --deep whether it ever was true.

It stands here and not beside the checks in storage, because evidence is made by this room.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from storage.errors import UserError
from storage.session import Session
from storage.snapshots.commands import SnapshotArgument


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
    from curation.evidence_checks import with_evidence
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
            deep = with_evidence(verify_deeply(directory, pins, store), directory, store) if is_deep else None
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

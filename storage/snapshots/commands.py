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
    from storage.clock import now
    from storage.ids import content_id
    from storage.people.accounts import Act
    from storage.rows import SignatureRow
    from storage.snapshots.cutting import read_manifest, sign_tier

    session: Session = ctx.obj
    key = session.require(Act.SIGN)
    directory = snapshot_directory(session, snapshot)
    manifest = read_manifest(directory)
    pins = session.pins()
    tiers = [tier] if tier is not None else [e.tier for e in manifest.tiers if sum(e.n_rows.values())]
    signed, rows = [], []
    for one in tiers:
        entry = manifest.find_tier(one)
        if sign_tier(directory, one, key=key, pins=pins):
            signed.append(f"tier {one} {entry.name} ({sum(entry.n_rows.values())} rows)")
        stated = json.loads((directory / "signatures" / f"tier_{one}.{key.account}.json").read_text(encoding="utf-8"))
        rows.append(
            SignatureRow(
                signature_id=content_id("sg", manifest.snapshot_id, one, key.account, stated["signature"]),
                snapshot_id=manifest.snapshot_id,
                tier=one,
                account=key.account,
                signature=stated["signature"],
                created_at=now(),
            )
        )
    with session.store() as store:
        store.append({"signatures": rows})
    if not signed:
        print(f"nothing to do: {key.account} has signed {manifest.snapshot_id} already")
        return
    print(f"{key.account} signed {manifest.snapshot_id}: {', '.join(signed)}")
    print(f"next: afrel train sft --snapshot {manifest.snapshot_id} --model tiny", file=sys.stderr)


def revoke(
    ctx: typer.Context,
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Its id.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever trained on it.")],
    tier: Annotated[int | None, typer.Option(help="One tier; the whole snapshot unless given.")] = None,
) -> None:
    """Withdraw a snapshot or a tier of it. It trains nothing any more; runs trained on it are listed.

    Example: afrel -w shop --as dora revoke snap_91be… --reason "wrong size rule"
    """
    from storage.clock import now
    from storage.ids import content_id
    from storage.people.accounts import Act
    from storage.rows import RevocationRow
    from storage.snapshots.cutting import revoke as revoke_snapshot

    session: Session = ctx.obj
    key = session.require(Act.REVOKE)
    directory = snapshot_directory(session, snapshot)
    is_new = revoke_snapshot(directory, key, tier=tier, reason=reason, pins=session.pins())
    with session.store() as store:
        row = RevocationRow(
            revocation_id=content_id("rv", directory.name, tier),
            snapshot_id=directory.name,
            tier=tier,
            account=key.account,
            reason=reason,
            created_at=now(),
        )
        store.append({"revocations": [row]})
        trained = store.read("why_trained_on", id=directory.name).column("run_id").to_pylist()
    what = directory.name if tier is None else f"{directory.name} tier {tier}"
    print(f"{what} is revoked" if is_new else f"nothing to do: {what} is revoked already")
    print(f"trained on it: {', '.join(trained) if trained else 'no run'}")


def verify(
    ctx: typer.Context,
    snapshot: SnapshotArgument = None,
    pins_file: Annotated[
        Path | None, typer.Option("--pins", metavar="FILE", help="Away from the workspace: the pinned keys.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every file, row, digest, signature and revocation of a snapshot; name whatever is altered.

    Example: afrel -w shop verify snap_91be…
    """
    from storage.people.accounts import pins_from_json
    from storage.snapshots.cutting import Problem, verify_snapshot

    session: Session = ctx.obj
    if pins_file is not None:
        if not pins_file.is_file():
            raise UserError(f"there is no file {pins_file}. Write the pins: afrel account pins > pins.json")
        pins = pins_from_json(pins_file.read_text(encoding="utf-8"))
        directory = Path(snapshot or ".").resolve()
    else:
        pins, directory = session.pins(), snapshot_directory(session, snapshot)
    verification = verify_snapshot(directory, pins)
    manifest = verification.manifest
    problems = list(verification.problems)
    if pins_file is None:
        with session.store() as store:
            held = {row["tier"] for row in store.read("snapshot_revocations", snapshot_id=directory.name).to_pylist()}
        if held - {revocation.tier for revocation in verification.revoked}:
            problems.append(
                Problem("revocations.json", "it lacks a revocation the workspace knows of: it was put back")
            )
    signed = {str(tier): list(accounts) for tier, accounts in verification.signed_tiers.items()}
    revoked = verification.revoked
    if as_json:
        named = [{"path": p.path, "what": p.what} for p in problems]
        taken_back = [{"tier": r.tier, "reason": r.reason, "at": r.at} for r in revoked]
        print(json.dumps({"snapshot_id": directory.name, "problems": named, "signed": signed, "revoked": taken_back}))
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
        n_rows = manifest.n_rows if manifest is not None else 0
        verdict = "ALTERED" if problems else "whole"
        print(f"{directory.name} is {verdict}: {n_rows} rows, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


def snapshot_directory(session: Session, snapshot: str | None) -> Path:
    """Return a snapshot's directory by id, the newest one's when none is given."""
    folder = session.workspace.snapshots_dir
    with session.store() as store:
        held = store.read("snapshots").column("snapshot_id").to_pylist()
    if snapshot is None and not held:
        raise UserError("there is no snapshot yet. Cut one: afrel --as CURATOR snapshot")
    snapshot_id = snapshot or held[-1]
    if not (folder / snapshot_id).is_dir() or "/" in snapshot_id:
        known = ", ".join(held[-5:]) or "none"
        raise UserError(f"there is no snapshot {snapshot_id!r} in {folder}. Known: {known}")
    return folder / snapshot_id

"""`afrel backup`, `restore`, `doctor` and `erase`: keep a workspace safe, find what is wrong, let go of a text."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.errors import UserError
from storage.session import Session

if TYPE_CHECKING:
    from storage.safekeeping.finding import Finding
    from storage.store import Store

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def backup(
    ctx: typer.Context,
    target: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="A new folder; by default beside the workspace.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say where it would go and what it would hold.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy the workspace to a folder, consistent while others write. Keys at home and trained models are not in it.

    Example: afrel -w shop backup
    """
    from storage.safekeeping.backup import default_target, plan_files

    session: Session = ctx.obj
    root = session.workspace.root
    place = (target or default_target(root)).resolve()
    if dry_run:
        files = plan_files(root)
        n_bytes = sum(path.stat().st_size for path in files)
        said: dict[str, Any] = {"path": str(place), "n_files": len(files), "n_bytes": n_bytes}
        print(json.dumps(said) if as_json else f"would copy {len(files)} files, {_size(n_bytes)}, to {place}")
        return
    with session.store() as store:
        made = store.backup(place)
    if as_json:
        print(json.dumps(made, ensure_ascii=False))
        return
    print(f"{made['path']}: {made['n_files']} files, {_size(made['n_bytes'])}, {made['n_rows']} rows")
    for left_out in made["left_out"]:
        print(f"  not in it: {left_out['path']} ({_size(left_out['n_bytes'])})")
    print("not in it: the keys in AFREL_HOME; keep those elsewhere", file=sys.stderr)
    print(f"to put it back: afrel restore {made['path']} NEW_FOLDER", file=sys.stderr)


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="The folder a backup made.")],
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every file; write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a workspace of a backup, every file checked against its digest.

    Example: afrel restore shop-backups/2026-03-01T12-00-00 shop-again
    """
    from storage.safekeeping.backup import restore as restore_backup

    manifest = restore_backup(source, target, is_dry=dry_run)
    if as_json:
        print(json.dumps({**manifest.to_mapping(), "target": str(target.resolve()), "dry_run": dry_run}))
        return
    what = f"the backup of {manifest.workspace} of {manifest.made_at[:16]}: {len(manifest.files)} files, "
    what += _size(manifest.n_bytes)
    if dry_run:
        print(f"{what}, all as backed up")
        return
    print(f"{target} is {what}")
    for left_out in manifest.left_out:
        print(f"  was not in it: {left_out.path}")
    print("was not in it: the keys in AFREL_HOME", file=sys.stderr)
    print(f"next: afrel -w {target} doctor", file=sys.stderr)


def doctor(
    ctx: typer.Context,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Derive every candidate's status anew, and mend what differs.")
    ] = False,
    mend: Annotated[bool, typer.Option("--mend", help="Mark runs whose process is gone as killed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong or left over, and say what mends it. Exit status 1 when anything is found.

    Example: afrel -w shop doctor --rebuild
    """
    from storage.safekeeping.doctor import NOT_REBUILT
    from storage.safekeeping.doctor_files import key_files
    from storage.safekeeping.finding import Finding, Severity
    from storage.workspace import afrel_home

    session: Session = ctx.obj
    with session.store() as store:
        n_differing = sum(store.rebuild().values()) if rebuild else 0
        killed = _mark_killed(store, session.workspace.runs_dir) if mend else []
        findings = [Finding.from_mapping(row) for row in store.examine()]
    findings += key_files(afrel_home())
    if rebuild:
        findings = [finding for finding in findings if finding != NOT_REBUILT]
    if n_differing:
        what = "candidates whose status was not what the facts say; it is now"
        findings.insert(0, Finding(Severity.WRONG, what, n_differing, "nothing: look again with afrel doctor"))
    faults = [finding for finding in findings if finding.is_fault]
    if as_json:
        told = [finding.to_mapping() for finding in findings]
        print(json.dumps({"is_fine": not faults, "findings": told, "killed": killed}, ensure_ascii=False))
    else:
        _print_findings(findings, killed)
    if faults:
        raise typer.Exit(1)


def erase(
    ctx: typer.Context,
    source: Annotated[str | None, typer.Option(metavar="NAME", help="All texts a source brought first.")] = None,
    query: Annotated[
        str | None, typer.Option(metavar="ID|TEXT", help="A query, its mutations, and docs only it has.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="A person's name, wherever it stands.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the record; never the text itself.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and list; change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Blank a text or a name for good: in rows, spools and old blocks of the file. Lists what else still holds it.

    Example: afrel -w shop --as root erase --query "call ann on 555" --reason "she asked" --dry-run
    """
    from storage.people.accounts import Act
    from storage.people.keys import has_key
    from storage.runs import start_run
    from storage.safekeeping.erasure_seals import revoke_folders, unname
    from storage.workspace import afrel_home

    session: Session = ctx.obj
    key = session.require(Act.ERASE)
    given = [(kind, value) for kind, value in (("source", source), ("query", query), ("account", account)) if value]
    if len(given) != 1:
        raise UserError("name one thing to erase: --source NAME, --query ID_OR_TEXT or --account NAME")
    ((kind, value),) = given
    pins, folder = session.pins(), session.workspace.snapshots_dir
    with session.store() as store:
        erase_it = partial(store.erase, kind=kind, value=value, account=key.account, reason=reason)
        erased = erase_it(run_id="", is_dry=True)
        told: list[dict[str, str]] = []
        if not dry_run:
            # the run must not keep what is erased: neither a text nor a name
            with start_run(store, verb="erase", config={"kind": kind}, account=key.account) as run:
                if kind == "account":
                    told = [remains.to_mapping() for remains in unname(folder, value, key=key, pins=pins)]
                erased = erase_it(run_id=run.run_id)
                run.counts.update(erased["n_rows"], spooled=erased["n_spooled"], snapshots=len(erased["snapshots"]))
            sealed = revoke_folders(folder, erased["snapshots"], key=key, pins=pins, reason=reason)
            told += [remains.to_mapping() for remains in sealed]
    if kind == "account" and has_key(afrel_home(), value):
        path = afrel_home() / "keys" / f"{value}.json"
        told.append(
            {"where": str(path), "what": "the account's key, which other workspaces may need", "command": f"rm {path}"}
        )
    erased["remains"] += told
    print(json.dumps(erased, ensure_ascii=False)) if as_json else _print_erased(erased)


def _mark_killed(store: Store, runs_dir: Path) -> list[str]:
    from storage.clock import now
    from storage.safekeeping.doctor_rows import dead_runs

    dead, _ = dead_runs(store.read("running_runs").to_pylist(), runs_dir)
    for run_id in dead:
        store.update_run(run_id, status="killed", finished_at=str(now()))
    return dead


def _print_findings(findings: list[Finding], killed: list[str]) -> None:
    for run_id in killed:
        print(f"marked as killed: {run_id}")
    for finding in findings:
        such_as = f" (such as {finding.example})" if finding.example else ""
        print(f"{finding.severity}: {finding.n} {finding.what}{such_as}\n  mend: {finding.mend}")
    n_faults = sum(finding.is_fault for finding in findings)
    print(f"{n_faults} things found" if n_faults else "fine: nothing is wrong and nothing left over")


def _print_erased(erased: dict[str, Any]) -> None:
    rows = ", ".join(f"{n} {table}" for table, n in erased["n_rows"].items()) or "no row has it any more"
    would = "would blank" if erased["is_dry"] else "blanked"
    spooled = f", {erased['n_spooled']} replies on spools" if erased["n_spooled"] else ""
    print(f"{erased['kind']} {erased['name']}: {would} {rows}{spooled}")
    for snapshot_id in erased["snapshots"]:
        print(f"  {'would revoke' if erased['is_dry'] else 'revoked'}: {snapshot_id}")
    for remains in erased["remains"]:
        print(f"  still there: {remains['where']}: {remains['what']}\n    {remains['command']}")


def _size(n_bytes: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes = round(n_bytes / 1000)
    return f"{n_bytes} GB"

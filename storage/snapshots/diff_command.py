"""`afrel diff`: how two snapshots differ, row by row, rule by rule, by whose answers and by which mutations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from storage.errors import UserError
from storage.session import Session

if TYPE_CHECKING:
    from storage.snapshots.diff import Difference


def diff(
    ctx: typer.Context,
    older: Annotated[str, typer.Argument(metavar="OLDER", help="A snapshot's id or folder.")],
    newer: Annotated[
        str | None, typer.Argument(metavar="[NEWER]", help="Another one's; the newest unless given.")
    ] = None,
    n_rows: Annotated[int, typer.Option("--rows", min=0, help="List so many of the rows that differ.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="Write all rows that differ to a new file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how a snapshot differs from an older one: rows added, removed, regraded, reworded, moved; rules changed.

    Of test rows it tells how many there are; how they changed only to whoever may adjudicate.
    Example: afrel -w shop diff snap_91be… snap_4c1f… --rows 20
    """
    from storage.people.accounts import Act, may
    from storage.snapshots.diff import compare_snapshots
    from storage.snapshots.register import find_directory, folder_at

    session: Session = ctx.obj
    sees_test = False
    if session.account is not None:
        role = session.pins()[session.require(Act.SIGN if _may_sign(session) else Act.SQL).account].role
        sees_test = may(role, Act.ADJUDICATE)
    if out is not None and out.exists():
        raise UserError(f"{out} is there already and is not written over. Name another file: --out FILE.parquet")
    folders = [folder_at(older), None if newer is None else folder_at(newer)]
    if None in folders:
        with session.store() as store:
            directory = session.workspace.snapshots_dir
            folders = [
                folder or find_directory(directory, store, name)
                for folder, name in zip(folders, (older, newer), strict=True)
            ]
    first, second = (folder for folder in folders if folder is not None)
    found = compare_snapshots(first, second, sees_test=sees_test)
    if out is not None:
        _write(out, found)
    if as_json:
        rows = found.rows.head(n_rows).to_dicts()
        print(json.dumps({**found.to_mapping(), "rows": rows}, ensure_ascii=False))
        return
    _print(found, n_rows)


def _may_sign(session: Session) -> bool:
    from storage.people.accounts import Act, may

    pin = session.pins().get(session.account or "")
    return pin is not None and may(pin.role, Act.SIGN)


def _write(out: Path, found: Difference) -> None:
    try:
        found.rows.write_parquet(out)
    except OSError as error:
        out.unlink(missing_ok=True)
        raise UserError(f"{out} cannot be written: {error.strerror or error}. Name another file: --out FILE") from error


def _print(found: Difference, n_rows: int) -> None:
    if found.is_same:
        print(f"{found.newer} is {found.older}: the same rows, tiers and rules")
        return
    print(f"{found.newer} against {found.older}")
    for one in found.splits:
        hidden = "how they changed is not shown, for it tells of their grades"
        told = hidden if one.counts is None else _counts(one.counts) or "none"
        print(f"  {one.split:<5} {one.n_older} -> {one.n_newer} rows: {told}")
    for rule in found.rules:
        print(f"  rule {rule.rule_id} {rule.what}, cited by {rule.n_rows} rows: {rule.text}")
    for what, counted in (("reviewer", found.by_reviewer), ("operator", found.by_operator)):
        for name, counts in counted.items():
            print(f"  {what} {name}: {_counts(counts)}")
    for row in found.rows.head(n_rows).to_dicts():
        kinds = ", ".join(key.removeprefix("is_") for key, value in row.items() if key.startswith("is_") and value)
        print(
            f"  {row['pair_id']} {row['split']}: {kinds}; tier {_step(row, 'tier')}, grade {_step(row, 'grade')}; "
            f"by {', '.join(row['reviewers'] or []) or 'nobody'}"
        )
    if 0 < n_rows < len(found.rows):
        print(f"  … {len(found.rows) - n_rows} more: --rows {len(found.rows)}, or --out FILE.parquet")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)


def _step(row: Mapping[str, object], name: str) -> str:
    """Return a value before and after: `2`, `2 -> 1`, `none -> 1`."""
    before, after = (row[key] if row[key] is not None else "none" for key in (name, f"{name}_after"))
    return str(before) if before == after else f"{before} -> {after}"

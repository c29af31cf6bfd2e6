"""`afrel report`: one page about a run, to open offline and send round. It reads; it measures and trains nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.errors import UserError
from storage.session import Session

if TYPE_CHECKING:
    from trainers.report.contents import Contents
    from trainers.runs.directory import RunDirectory

PAGE = "report.html"


def report(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id or folder.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Default: report.html in the run's folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the page tells, as JSON.")] = False,
) -> None:
    """Write one HTML page about a run: figures, curves, rules, samples, data, lineage. It opens offline.

    Example: afrel -w shop report run_4c1f09ab32 -o report.html
    """
    from storage import durable
    from storage.people.accounts import Act
    from trainers.report.contents import StoreRows, gather
    from trainers.report.page import page

    session: Session = ctx.obj
    session.allow(Act.TRAIN)
    found = _find(session, run)
    path = (out or found.path / PAGE).resolve()
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"-o {path} is {'a folder' if path.is_dir() else 'in no folder'}. Name a file: -o report.html")
    with session.store(sees_test=True) as store:
        rows = StoreRows(
            store.read("evaluations_of", train_run_id=found.run_id).to_pylist(),
            store.read("predictions_of", train_run_id=found.run_id, split="dev").to_pylist(),
        )
    workspace = session.workspace
    contents = gather(
        found, snapshots_dir=workspace.snapshots_dir, workspace=workspace.root, rows=rows, pins=session.pins()
    )
    text = page(contents)
    is_same = path.is_file() and path.read_bytes() == text.encode()
    if not is_same:
        try:
            durable.replace(path, text, folder=path.parent)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error}. Name another file: -o report.html") from error
    if as_json:
        print(json.dumps({"file": str(path), **told(contents)}, ensure_ascii=False, default=str))
        return
    print(f"nothing to do: {path} says so already" if is_same else f"{path} · {contents.run_id} · {contents.status}")
    for gap in contents.gaps:
        print(f"  {gap}")


def told(contents: Contents) -> dict[str, Any]:
    """Return what a page tells as JSON values."""
    return asdict(contents)


def _find(session: Session, name: str) -> RunDirectory:
    """Return a run of this workspace, half written or not; UserError for one that is not, with where it is."""
    from trainers.runs.directory import RunDirectory

    runs_dir = session.workspace.runs_dir
    own = runs_dir / name
    path = (own if name and own.is_dir() else Path(name)).resolve()
    if name and path.is_dir() and path.parent == runs_dir.resolve():
        return RunDirectory(path)
    if name and (path / "run.json").is_file():
        elsewhere = path.parent.parent
        raise UserError(
            f"{path} is a run of another workspace, whose store holds what was measured of it. Report it there: "
            f"afrel -w {elsewhere} report {path.name}"
        )
    known = sorted(found.name for found in runs_dir.glob("run_*") if found.is_dir())
    raise UserError(f"there is no run {name!r} in {runs_dir}; there are {known[-10:]}. List them: afrel runs")

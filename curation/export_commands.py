"""`afrel export`: a snapshot's rows in a form that other tools load."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.errors import UserError
from storage.progress_bar import watched
from storage.session import Session

if TYPE_CHECKING:
    from curation.exports.formats import LineFormat, TableFormat
    from curation.exports.source import Source
    from storage.store import Store


def export(
    ctx: typer.Context,
    format_name: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="prompt-completion, prompt-only, preference, stepwise, cross-encoder, cross-encoder-class, listwise, "
            "qrels, quepid; or hf: all that are Parquet.",
        ),
    ],
    snapshot: Annotated[
        str | None, typer.Option(metavar="ID", help="The newest unless given; its folder where --pins is given.")
    ] = None,
    tier: Annotated[int | None, typer.Option(help="One tier; all unless given.")] = None,
    split: Annotated[str | None, typer.Option(help="train or dev; both unless given. Never test.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="A new folder; named after the snapshot.")] = None,
    pins: Annotated[Path | None, typer.Option(metavar="FILE", help="Away from the workspace: the pinned keys.")] = None,
    keep_personal: Annotated[
        bool, typer.Option("--keep-personal", help="Leave e-mail addresses, phone and id numbers as they are.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make it, count it, and leave nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a snapshot's train and dev rows for another tool, with a card that says what is in it.

    Example: afrel -w shop export prompt-completion --tier 2 --out sft
    """
    from curation.exports.formats import find_formats
    from curation.exports.source import checked_splits
    from storage.people.accounts import Act

    session: Session = ctx.obj
    formats = find_formats(format_name)
    splits = checked_splits(split)
    if pins is None:
        session.allow(Act.PREPARE)
    with nullcontext() if pins is not None else session.store() as store:
        source = _source(session, store, snapshot=snapshot, tier=tier, splits=splits, pins=pins)
        named = [source.manifest.snapshot_id, format_name, *([f"tier_{tier}"] if tier is not None else [])]
        place = out or Path("-".join([*named, *([split] if split is not None else [])]))
        told = _write(
            session,
            store,
            source,
            formats,
            place=place.absolute(),
            keeps_personal=keep_personal,
            is_dry=dry_run,
        )
    told = {"snapshot_id": source.manifest.snapshot_id, "format": format_name, "out": str(place), **told}
    print(json.dumps(told, ensure_ascii=False) if as_json else _in_words(told, is_dry=dry_run))


def _source(
    session: Session,
    store: Store | None,
    *,
    snapshot: str | None,
    tier: int | None,
    splits: Sequence[str],
    pins: Path | None,
) -> Source:
    """Return the verified source of an export, from the workspace or from a folder away from it."""
    from curation.exports.source import open_source
    from storage.people.accounts import pins_from_json
    from storage.snapshots.register import against_register, find_directory
    from storage.snapshots.verify import verify_snapshot

    if store is None:
        assert pins is not None
        try:
            known = pins_from_json(pins.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--pins {pins} cannot be read: {error}. Write it: afrel account pins > {pins}") from error
        directory = Path(snapshot or ".").resolve()
        verification = verify_snapshot(directory, known, reads_test=False)
    else:
        known = session.pins()
        directory = find_directory(session.workspace.snapshots_dir, store, snapshot)
        verification = verify_snapshot(directory, known, reads_test=False)
        verification = against_register(verification, directory, store)
    return open_source(directory, verification, tier=tier, splits=splits, pins=known)


def _write(
    session: Session,
    store: Store | None,
    source: Source,
    formats: Sequence[TableFormat | LineFormat],
    *,
    place: Path,
    keeps_personal: bool,
    is_dry: bool,
) -> dict[str, Any]:
    """Write the folder, in a run of the workspace where there is one; return what there is to tell."""
    from curation.exports.licences import licences
    from curation.exports.made import make
    from curation.exports.writing import new_folder, put_in_place
    from storage.runs import start_run

    stated = {} if store is None else licences(session.workspace.config)
    with new_folder(place) as building:
        with watched() as watch:
            made = make(
                building, source, formats, store=store, licences=stated, keeps_personal=keeps_personal, watch=watch
            )
        if is_dry:
            return {**made, "is_new": False}
        if store is None:
            return {**made, "is_new": put_in_place(building, place)}
        config = {
            "snapshot_id": source.manifest.snapshot_id,
            "formats": [one.name for one in formats],
            "tiers": [entry.tier for entry in source.tiers],
            "splits": list(source.splits),
            "out": str(place),
            "keeps_personal": keeps_personal,
        }
        with start_run(store, verb="export", config=config, account=session.account) as run:
            is_new = put_in_place(building, place)
            run.counts.update(made, is_new=is_new)
        return {**made, "is_new": is_new}


def _in_words(told: dict[str, Any], *, is_dry: bool) -> str:
    if not told["is_new"] and not is_dry:
        return f"nothing to do: {told['out']} holds exactly this export already"
    rows = "; ".join(
        f"{name}: " + (", ".join(f"{n} {split}" for split, n in by_split.items()) or "none")
        for name, by_split in told["rows"].items()
    )
    lines = [f"{told['out']}: {rows}{' (dry run: nothing left)' if is_dry else ''}"]
    if told["masked"]:
        lines.append(f"{told['masked']} texts with personal data masked")
    lines += [f"left out: {n} {reason}" for reason, n in told["left_out"].items()]
    return "\n".join(lines)

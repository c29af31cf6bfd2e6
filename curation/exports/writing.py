"""Write an export: a folder that is there whole or not at all.

It is built beside its place, put on disk, then renamed. What stands at the place already is never written over: it is
the same content, and then there is nothing to do, or it is refused.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from curation.exports.formats import LineFile, LineFormat, TableFormat
from curation.exports.given import Given
from curation.exports.masking import mask_columns
from curation.exports.shards import Shards
from curation.exports.source import Source
from storage import durable, liveness, locks
from storage.errors import UserError
from storage.progress import Stage, Watch, unwatched
from storage.snapshots.verify import sha256_of

CARD = "README.md"
_LEFT_AFTER_SECONDS = 60  # a folder this young may not have been locked yet by whoever makes it


@dataclass(frozen=True, slots=True)
class Part:
    """Rows written of one format, tier and split; `tier` is None where the files hold all tiers."""

    format: str
    tier: int | None
    split: str
    n_rows: int


def parts_of_all(parts: Sequence[Part], format_name: str) -> list[Part]:
    """Return the parts that together hold all rows of a format once: files over all tiers go before those of each."""
    held = [part for part in parts if part.format == format_name]
    whole = {part.split for part in held if part.tier is None}
    return [part for part in held if part.tier is None or part.split not in whole]


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """Yield a folder beside the place to build in; it is gone afterwards unless `put_in_place` renamed it."""
    if place.exists() and not place.is_dir():
        raise UserError(f"--out {place} is a file. Name a folder that is not there yet: --out DIR")
    _clear_left(place)
    building = place.parent / f".{place.name}.export-{secrets.token_hex(4)}"
    try:
        building.mkdir(parents=True)
        with locks.exclusive_folder(building):
            yield building
    except OSError as error:
        raise UserError(
            f"--out {place} cannot be written: {error.strerror or error}. Nothing was left there. "
            "Free some space, or name another folder: --out DIR"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def put_in_place(building: Path, place: Path) -> bool:
    """Give a whole folder its name; False when just this content stands there. UserError when something else does."""
    if place.exists() and any(place.iterdir()):
        if _digests(place) == _digests(building):
            return False
        raise UserError(
            f"{place} is there already and holds something else. Nothing was written. "
            "Name a folder that is not there yet: --out DIR"
        )
    durable.sync_tree(building)
    os.rename(building, place)  # an empty folder gives way
    durable.sync(place.parent)
    return True


def write_tables(
    folder: Path, source: Source, formats: Sequence[TableFormat], given: Given, *, keeps_personal: bool, watch: Watch
) -> list[Part]:
    """Write Parquet files, `data/FORMAT/tier_N/SPLIT-….parquet`; return what was written, the empty parts too.

    A query's docs may lie in several tiers: a format that takes whole lists is also written over all tiers at once.
    """
    parts = []
    n_rows = len(formats) * sum(entry.n_rows[split] for entry, split in source.parts())
    n_done = 0
    for one in formats:
        for tiers, split in _files(source, one):
            groups = (rows for tier in tiers for rows in source.groups(tier, split, one.reads))
            tier = tiers[0] if len(tiers) == 1 else None
            with Shards(folder / table_folder(one.name, tier), split, one.schema) as shards:
                for group in [pl.concat(groups)] if one.takes_whole else groups:
                    acted_on = group if one.acts is None else group.join(one.acts(given), on="pair_id", how="semi")
                    rows = _masked(acted_on, one.texts, given, keeps_personal=keeps_personal)
                    shards.add(one.build(rows, given).to_arrow())
                    n_done += len(group)
                    watch(Stage.WRITING, min(n_done, n_rows), n_rows)
            parts.append(Part(one.name, tier, split, shards.n_rows))
    return parts


def table_folder(format_name: str, tier: int | None) -> str:
    """Return where a format's files of a tier, or of all tiers at once, lie in an export."""
    return f"data/{format_name}/{'all' if tier is None else f'tier_{tier}'}"


def _files(source: Source, one: TableFormat) -> Iterator[tuple[list[int], str]]:
    """Yield which tiers' rows of which split go into files together."""
    for split in source.splits:
        tiers = [entry.tier for entry, held in source.parts() if held == split]
        if one.takes_whole and len(tiers) > 1:
            yield tiers, split
        yield from (([tier], split) for tier in tiers)


def write_lines(
    folder: Path,
    source: Source,
    one: LineFormat,
    given: Given,
    *,
    keeps_personal: bool,
    watch: Watch = unwatched,
) -> list[Part]:
    """Write text files; return the rows of those that have one a split."""
    parts = []
    for file in one.files:
        if not file.is_by_split:
            rows = _masked(source.rows(file.reads), file.texts, given, keeps_personal=keeps_personal)
            _write_lines(folder / file.name, [file.build(rows, given)], file)
            continue
        for split in dict.fromkeys(split for _, split in source.parts()):
            frames = [
                file.build(_masked(group, file.texts, given, keeps_personal=keeps_personal), given)
                for entry, held in source.parts()
                if held == split
                for group in source.groups(entry.tier, split, file.reads)
            ]
            _write_lines(folder / file.name.format(split=split), frames, file)
            n_rows = sum(len(frame) for frame in frames)
            parts.append(Part(one.name, None, split, n_rows))
            watch(Stage.WRITING, n_rows, n_rows)
    return parts


def write_card(folder: Path, text: str) -> None:
    """Write the card."""
    durable.write_new(folder / CARD, text)


def _write_lines(path: Path, frames: Sequence[pl.DataFrame], file: LineFile) -> None:
    with path.open("xb") as out:
        for place, frame in enumerate(frames):
            if file.is_json:
                frame.write_ndjson(out)
            else:
                is_first = file.has_header and place == 0
                frame.write_csv(out, separator=file.separator, include_header=is_first, quote_style=file.quoting)


def _masked(rows: pl.DataFrame, texts: Sequence[str], given: Given, *, keeps_personal: bool) -> pl.DataFrame:
    if keeps_personal:
        return rows
    rows, n_masked = mask_columns(rows, texts)
    given.n_masked += n_masked
    return rows


def _digests(folder: Path) -> Mapping[str, str]:
    """Return the hash of every file of a folder, by its path inside."""
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def _clear_left(place: Path) -> None:
    """Remove what killed exports to this place left; whoever still builds there holds its folder."""
    for left in place.parent.glob(f".{place.name}.export-*"):
        is_old = time.time() - left.stat().st_mtime > _LEFT_AFTER_SECONDS
        if left.is_dir() and is_old and not liveness.is_locked(left):
            shutil.rmtree(left, ignore_errors=True)

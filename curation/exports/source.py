"""What an export is made from: a snapshot that proved itself, its tiers and splits asked for, rows a group at a time.

A snapshot that is altered or taken back is refused, as training refuses it; an unsigned one is not, but who signed what
is stated on the card. The files of test rows are never opened here: test grades go to `evaluate`, `snapshot` and human
review alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from storage.errors import UserError
from storage.grades import Scale
from storage.people.accounts import Pin
from storage.snapshots.manifest import Manifest, TierEntry, cut_anew, data_path
from storage.snapshots.verify import Verification

SPLITS = ("train", "dev")


@dataclass(frozen=True, slots=True)
class Source:
    """A sound snapshot and what is to leave of it. `signers` has the pseudonyms that signed each tier that leaves."""

    directory: Path
    manifest: Manifest
    tiers: tuple[TierEntry, ...]
    splits: tuple[str, ...]
    signers: Mapping[int, tuple[str, ...]]

    @property
    def scale(self) -> Scale:
        return self.manifest.scale

    def parts(self) -> list[tuple[TierEntry, str]]:
        """Return the tiers and splits that have rows."""
        return [(entry, split) for entry in self.tiers for split in self.splits if entry.n_rows[split]]

    def groups(self, tier: int, split: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield a tier's rows of a split, some ten thousand at a time, in the order of the file."""
        with pq.ParquetFile(self.directory / data_path(tier, split)) as file:
            for at in range(file.num_row_groups):
                frame = pl.from_arrow(file.read_row_group(at, columns=list(columns)))
                assert isinstance(frame, pl.DataFrame)
                yield frame

    def rows(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return all rows that leave, with the columns `tier`, `split` and those asked for."""
        named = ["tier", "split", *columns]
        paths = [self.directory / data_path(entry.tier, split) for entry, split in self.parts()]
        return pl.concat([pl.read_parquet(path, columns=named) for path in paths])


def checked_splits(split: str | None) -> tuple[str, ...]:
    """Return the splits to export; UserError for the test split, with the reason."""
    if split == "test":
        raise UserError(
            "--split test is refused: a test grade that leaves the house can be trained on, and then measures nothing. "
            "Test rows serve `afrel evaluate` only. Export what models may learn from: --split train or --split dev"
        )
    if split is not None and split not in SPLITS:
        raise UserError(f"--split {split!r} is none of {', '.join(SPLITS)}. Leave it out for both")
    return SPLITS if split is None else (split,)


def open_source(
    directory: Path,
    verification: Verification,
    *,
    tier: int | None,
    splits: Sequence[str],
    pins: Mapping[str, Pin],
) -> Source:
    """Return what is to leave of a verified snapshot; UserError when it is altered, taken back or has no such rows."""
    manifest = verification.manifest
    if manifest is None or verification.problems:
        first, *others = verification.problems
        more = f" (and {len(others)} more: afrel verify {directory.name})" if others else ""
        raise UserError(f"snapshot {directory.name} is altered: {first}{more}. {cut_anew()}")
    chosen = [entry for entry in manifest.tiers if any(entry.n_rows[split] for split in splits)]
    tiers = chosen if tier is None else [manifest.find_tier(tier)]
    for entry in tiers:
        for revocation in verification.revoked:
            if revocation.tier in (None, entry.tier):
                which = "" if revocation.tier is None else f" tier {entry.tier}"
                raise UserError(
                    f"snapshot {manifest.snapshot_id}{which} was revoked on {revocation.at[:10]}: {revocation.reason}. "
                    "It leaves the house no more. Cut another: afrel --as ACCOUNT snapshot"
                )
    source = Source(
        directory,
        manifest,
        tuple(tiers),
        tuple(splits),
        {
            entry.tier: tuple(sorted(pins[account].pseudonym for account in verification.signed_tiers[entry.tier]))
            for entry in tiers
        },
    )
    if not source.parts():
        named = "in any tier" if tier is None else f"in tier {tier}"
        raise UserError(
            f"snapshot {manifest.snapshot_id} has no {' or '.join(splits)} rows {named}. "
            "See what the tiers hold: afrel tier"
        )
    return source

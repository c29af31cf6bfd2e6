"""Cut a snapshot: an immutable directory named by what is in it.

Written beside its place, put on disk, then renamed, so that a snapshot is there whole or not at all. The id hashes
rows, tier predicates, scale and rule book and nothing else: the same content, cut by anybody in any order, is the
same snapshot. Reading, verifying and signing are `snapshot_manifest`, `snapshot_verify` and `snapshot_signatures`.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from storage import durable
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.people.keys import SigningKey
from storage.progress import Stage, Watch, unwatched
from storage.snapshots.files import RowOrder, batches, in_parallel, write_in_order, write_rows
from storage.snapshots.manifest import (
    LINEAGE,
    MANIFEST,
    PROVENANCE,
    REVOCATIONS,
    SIGNATURES,
    FileEntry,
    Manifest,
    TierEntry,
    TierSpec,
    data_path,
    read_manifest,
    scale_content,
    spec_content,
)
from storage.snapshots.rows import NO_KEYS, SPLITS, conform, hash_rows, rows_digest, rows_id, to_json
from storage.snapshots.seals import cut_provenance, revocation_list
from storage.snapshots.signatures import revoke, sign_tier
from storage.snapshots.verify import (
    Problem,
    Verification,
    content_problems,
    require_trainable,
    sha256_of,
    verify_snapshot,
)

__all__ = [
    "FileEntry",
    "Manifest",
    "Problem",
    "TierEntry",
    "TierSpec",
    "Verification",
    "identify",
    "read_manifest",
    "require_trainable",
    "revoke",
    "sign_tier",
    "verify_snapshot",
    "write_snapshot",
]


def write_snapshot(
    snapshots_dir: Path,
    rows: pa.Table | pa.RecordBatchReader,
    tiers: Sequence[TierSpec],
    *,
    scale: Scale,
    rule_book: Sequence[Mapping[str, Any]],
    lineage: pa.Table,
    provenance: Mapping[str, Any],
    cutter: SigningKey,
    pseudonym: str,
    watch: Watch = unwatched,
) -> Manifest:
    """Cut a snapshot, or return the one that is there with this content (`is_new` False).

    The provenance is signed with the cutter's key and names their pseudonym, which the pins resolve.
    `rows` has the columns of `ROW_SCHEMA` but the hash; a reader's rows need not fit in memory. `lineage` has a
    `pair_id` and one row or more for each pair.
    ValueError for rows that are not so; UserError when the directory of this id is there but altered.
    """
    book, specs = _sorted_book(rule_book), sorted(tiers, key=lambda spec: spec.tier)
    building = snapshots_dir / f".cutting-{secrets.token_hex(4)}"
    order = RowOrder(building / "unsorted")
    try:
        keys = _take_rows(rows, order, tiers=specs, scale=scale, watch=watch)
        snapshot_id = _id_of(keys["row_hash"], specs, scale=scale, book=book)
        place = snapshots_dir / snapshot_id
        if place.exists():
            return _existing(place)
        building.mkdir(parents=True, exist_ok=True)
        entries = []
        for spec in specs:
            entries.append(_write_tier(building, order, keys.filter(pl.col("tier") == spec.tier), spec=spec))
            watch(Stage.WRITING, sum(count for entry in entries for count in entry.n_rows.values()), len(keys))
        order.clear()
        write_in_order(building / LINEAGE, _with_hashes(lineage, keys), "row_hash")
        unsealed = Manifest(snapshot_id, scale, tuple(book), tuple(entries), ())
        manifest = _seal(building, unsealed, provenance={**provenance, "cutter": pseudonym}, cutter=cutter)
        durable.sync_tree(building)
        try:
            os.rename(building, place)
        except OSError:  # another cut of the same content was faster
            if not place.exists():
                raise
            return _existing(place)
        durable.sync(snapshots_dir)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return manifest.as_new()


def identify(rows: pa.Table, tiers: Sequence[TierSpec], *, scale: Scale, rule_book: Sequence[Mapping[str, Any]]) -> str:
    """Return the id a snapshot of these rows would have, cutting nothing."""
    specs = sorted(tiers, key=lambda spec: spec.tier)
    hashes = [NO_KEYS["row_hash"], *in_parallel(lambda batch: hash_rows(conform(batch)), batches(rows))]
    return _id_of(pl.concat(hashes), specs, scale=scale, book=_sorted_book(rule_book))


def _sorted_book(rule_book: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted((dict(rule) for rule in rule_book), key=lambda rule: str(rule["rule_id"]))


def _id_of(hashes: pl.Series, specs: Sequence[TierSpec], *, scale: Scale, book: list[dict[str, Any]]) -> str:
    """Return the snapshot's id; specs and book come sorted."""
    return rows_id(hashes, tiers=map(spec_content, specs), scale=scale_content(scale), rule_book=book)


def _take_rows(
    rows: pa.Table | pa.RecordBatchReader, order: RowOrder, *, tiers: Sequence[TierSpec], scale: Scale, watch: Watch
) -> pl.DataFrame:
    """Hash and check all rows and put them in order; return tier, split, pair and hash of each."""
    numbers = [spec.tier for spec in tiers]
    if len(set(numbers)) != len(numbers) or any(number < 0 for number in numbers):
        raise ValueError(f"a snapshot's tiers have numbers of their own, 0 or more; here tiers {numbers}")

    def take(batch: pa.RecordBatch) -> pl.DataFrame:
        frame = conform(batch)
        known: dict[str, set[Any]] = {"tier": set(numbers), "split": set(SPLITS), "grade": set(scale.values)}
        foreign = {name: sorted(set(frame[name].unique()) - values) for name, values in known.items()}
        wrong = {name: values for name, values in foreign.items() if values}
        if wrong:
            raise ValueError(f"snapshot rows hold values that are none of the snapshot's: {wrong}; tiers {numbers}")
        return frame.with_columns(hash_rows(frame))

    keys = [NO_KEYS]
    n_rows, n_hashed = rows.num_rows if isinstance(rows, pa.Table) else 0, 0
    for hashed in in_parallel(take, batches(rows)):
        order.add(hashed)
        keys.append(hashed.select(NO_KEYS.columns))
        n_hashed += len(hashed)
        watch(Stage.HASHING, n_hashed, n_rows)
    found = pl.concat(keys)
    if found["pair_id"].n_unique() != len(found):
        raise ValueError("a pair stands twice among the snapshot's rows; a pair belongs to one tier")
    return found


def _existing(place: Path) -> Manifest:
    manifest = read_manifest(place)
    problems = content_problems(place, manifest)
    if problems:
        raise UserError(
            f"snapshot {place.name} is there already but altered: {problems[0]}. Move it away, then cut it anew: "
            f"mv {place} {place}.altered"
        )
    return manifest


def _write_tier(building: Path, order: RowOrder, keys: pl.DataFrame, *, spec: TierSpec) -> TierEntry:
    counts = {split: int((keys["split"] == split).sum()) for split in SPLITS}
    for split in SPLITS:
        if counts[split]:
            write_rows(building / data_path(spec.tier, split), order.rows_of(spec.tier, split))
    return TierEntry(spec.tier, spec.name, spec.predicate, rows_digest(keys["row_hash"]), counts, spec.balance)


def _with_hashes(lineage: pa.Table, keys: pl.DataFrame) -> pa.Table:
    """Return lineage with the hash of each pair's row first; ValueError when a pair has none."""
    pairs = pl.DataFrame(lineage.select(["pair_id"])).cast(pl.String)
    strangers = [pairs.join(keys, on="pair_id", how="anti"), keys.join(pairs, on="pair_id", how="anti")]
    wrong = sorted({pair_id for part in strangers for pair_id in part["pair_id"]})
    if wrong:
        raise ValueError(f"lineage and rows are not of the same pairs: {len(wrong)} differ, such as {wrong[0]}")
    hashes = pairs.join(keys, on="pair_id", how="left", maintain_order="left")["row_hash"]
    return lineage.add_column(0, "row_hash", hashes.to_arrow().cast(pa.string()))


def _seal(building: Path, manifest: Manifest, *, provenance: Mapping[str, Any], cutter: SigningKey) -> Manifest:
    """Write provenance, manifest and the empty list of revocations; return the manifest with its files."""
    at = now().isoformat(timespec="seconds")
    paths = sorted(path.relative_to(building).as_posix() for path in building.rglob("*.parquet"))
    files = tuple(_entry(building, path) for path in paths)
    stated = cut_provenance(replace(manifest, files=files).to_content(), {**provenance, "at": at}, key=cutter)
    durable.write_new(building / PROVENANCE, to_json(stated))
    files = tuple(sorted((*files, _entry(building, PROVENANCE)), key=lambda file: file.path))
    sealed = replace(manifest, files=files)
    durable.write_new(building / MANIFEST, sealed.to_json())
    revocations = revocation_list(manifest.snapshot_id, [], key=cutter, at=at)
    durable.write_new(building / REVOCATIONS, to_json(revocations))
    (building / SIGNATURES).mkdir()
    return sealed


def _entry(building: Path, path: str) -> FileEntry:
    return FileEntry(path, sha256_of(building / path), (building / path).stat().st_size)

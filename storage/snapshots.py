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

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage import durable
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.keys import SigningKey
from storage.snapshot_manifest import (
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
)
from storage.snapshot_rows import ROW_SCHEMA, SPLITS, conform, hash_rows, rows_digest, rows_id, to_json
from storage.snapshot_seals import cut_provenance, revocation_list
from storage.snapshot_signatures import revoke, sign_tier
from storage.snapshot_verify import (
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
    rows: pa.Table,
    tiers: Sequence[TierSpec],
    *,
    scale: Scale,
    rule_book: Sequence[Mapping[str, Any]],
    lineage: pa.Table,
    provenance: Mapping[str, Any],
    cutter: SigningKey,
    pseudonym: str,
) -> Manifest:
    """Cut a snapshot, or return the one that is there with this content (`is_new` False).

    The provenance is signed with the cutter's key and names their pseudonym, which the pins resolve.
    `rows` has the columns of `ROW_SCHEMA` but the hash; `lineage` has a `pair_id` and one row or more for each pair.
    ValueError for rows that are not so; UserError when the directory of this id is there but altered.
    """
    rows = conform(rows)
    _check_rows(rows, tiers=tiers, scale=scale)
    hashes = hash_rows(rows)
    rows = rows.add_column(0, ROW_SCHEMA.field("row_hash"), pa.array(hashes, pa.string())).sort_by("row_hash")
    book, specs = _sorted_book(rule_book), sorted(tiers, key=lambda spec: spec.tier)
    snapshot_id = _id_of(hashes, specs, scale=scale, book=book)
    place = snapshots_dir / snapshot_id
    if place.exists():
        return _existing(place)
    building = snapshots_dir / f".cutting-{snapshot_id}-{secrets.token_hex(4)}"
    building.mkdir(parents=True)
    try:
        entries = [_write_tier(building, rows, spec=spec) for spec in specs]
        pq.write_table(_with_hashes(lineage, rows), building / LINEAGE, compression="zstd")
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
    return _id_of(hash_rows(conform(rows)), specs, scale=scale, book=_sorted_book(rule_book))


def _sorted_book(rule_book: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted((dict(rule) for rule in rule_book), key=lambda rule: str(rule["rule_id"]))


def _id_of(hashes: Sequence[str], specs: Sequence[TierSpec], *, scale: Scale, book: list[dict[str, Any]]) -> str:
    """Return the snapshot's id; specs and book come sorted."""
    predicates = [(spec.tier, spec.predicate) for spec in specs]
    return rows_id(hashes, predicates=predicates, scale=scale_content(scale), rule_book=book)


def _check_rows(rows: pa.Table, *, tiers: Sequence[TierSpec], scale: Scale) -> None:
    numbers = [spec.tier for spec in tiers]
    foreign = {
        "tier": set(rows.column("tier").unique().to_pylist()) - set(numbers),
        "split": set(rows.column("split").unique().to_pylist()) - set(SPLITS),
        "grade": set(rows.column("grade").unique().to_pylist()) - set(scale.values),
    }
    wrong = {name: sorted(values) for name, values in foreign.items() if values}
    if wrong or len(set(numbers)) != len(numbers) or any(number < 0 for number in numbers):
        raise ValueError(f"snapshot rows hold values that are none of the snapshot's: {wrong}; tiers {numbers}")
    if pc.count_distinct(rows.column("pair_id")).as_py() != rows.num_rows:
        raise ValueError("a pair stands twice among the snapshot's rows; a pair belongs to one tier")


def _existing(place: Path) -> Manifest:
    manifest = read_manifest(place)
    problems = content_problems(place, manifest)
    if problems:
        raise UserError(
            f"snapshot {place.name} is there already but altered: {problems[0]}. Move it away, then cut it anew: "
            f"mv {place} {place}.altered"
        )
    return manifest


def _write_tier(building: Path, rows: pa.Table, *, spec: TierSpec) -> TierEntry:
    members = rows.filter(pc.equal(rows.column("tier"), spec.tier))
    counts = {}
    for split in SPLITS:
        part = members.filter(pc.equal(members.column("split"), split))
        counts[split] = part.num_rows
        if part.num_rows:
            path = building / data_path(spec.tier, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(part.cast(ROW_SCHEMA), path, compression="zstd")
    return TierEntry(spec.tier, spec.name, spec.predicate, rows_digest(members.column("row_hash").to_pylist()), counts)


def _with_hashes(lineage: pa.Table, rows: pa.Table) -> pa.Table:
    """Return lineage with the hash of each pair's row first, in order of it; ValueError when a pair has none."""
    hash_of = dict(zip(rows.column("pair_id").to_pylist(), rows.column("row_hash").to_pylist(), strict=True))
    pair_ids = lineage.column("pair_id").to_pylist()
    if set(pair_ids) != set(hash_of):
        wrong = sorted(set(pair_ids) ^ set(hash_of))
        raise ValueError(f"lineage and rows are not of the same pairs: {len(wrong)} differ, such as {wrong[0]}")
    hashes = pa.array([hash_of[pair_id] for pair_id in pair_ids], pa.string())
    return lineage.add_column(0, "row_hash", hashes).sort_by("row_hash")


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

"""The manifest: what a snapshot directory holds, as frozen values, and how they are read back.

`manifest.json` is written once. It names every file that may lie in the directory but the signatures, the revocations
and itself; reading it checks its shape, `snapshot_verify` checks that it is true.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from storage.errors import UserError
from storage.grades import Scale
from storage.snapshots.rows import SPLITS, to_json

FORMAT = 1
MANIFEST, LINEAGE, PROVENANCE, REVOCATIONS = "manifest.json", "lineage.parquet", "provenance.json", "revocations.json"
SIGNATURES = "signatures"


@dataclass(frozen=True, slots=True)
class TierSpec:
    """A tier to cut: its number, name, predicate, and how its train rows were balanced, None when they were not."""

    tier: int
    name: str
    predicate: str
    balance: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TierEntry:
    """A tier as cut. `digest` is over its row hashes; `n_rows` is by split and names all three."""

    tier: int
    name: str
    predicate: str
    digest: str
    n_rows: Mapping[str, int]
    balance: Mapping[str, Any] | None = None

    @property
    def spec(self) -> TierSpec:
        """What it was cut by."""
        return TierSpec(self.tier, self.name, self.predicate, self.balance)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the snapshot, by its path inside it."""

    path: str
    sha256: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot holds. `rule_book` holds rule_id, text, condition and grade of each rule, by id.

    `is_new` is set by the cut that made the snapshot and is not written.
    """

    snapshot_id: str
    scale: Scale
    rule_book: tuple[Mapping[str, Any], ...]
    tiers: tuple[TierEntry, ...]
    files: tuple[FileEntry, ...]
    is_new: bool = False

    @property
    def n_rows(self) -> int:
        return sum(count for entry in self.tiers for count in entry.n_rows.values())

    @property
    def digest(self) -> str:
        """The SHA-256 of `manifest.json`, which every signature covers."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def find_tier(self, tier: int) -> TierEntry:
        """Return a tier; UserError names those there are."""
        for entry in self.tiers:
            if entry.tier == tier:
                return entry
        known = ", ".join(str(entry.tier) for entry in self.tiers)
        raise UserError(f"snapshot {self.snapshot_id} has no tier {tier}; it has {known}. Name one: --tier {known[:1]}")

    def to_json(self) -> str:
        """Return the text of `manifest.json`."""
        return to_json(self.to_content())

    def to_content(self) -> dict[str, Any]:
        """Return the manifest as JSON values."""
        return {
            "format": FORMAT,
            "snapshot_id": self.snapshot_id,
            "scale": scale_content(self.scale),
            "rule_book": [dict(rule) for rule in self.rule_book],
            "tiers": [
                {
                    "tier": entry.tier,
                    "name": entry.name,
                    "predicate": entry.predicate,
                    "digest": entry.digest,
                    "n_rows": dict(entry.n_rows),
                    **({} if entry.balance is None else {"balance": dict(entry.balance)}),
                }
                for entry in self.tiers
            ],
            "files": [{"path": file.path, "sha256": file.sha256, "n_bytes": file.n_bytes} for file in self.files],
        }

    def as_new(self) -> Manifest:
        """Return the manifest, marked as cut just now."""
        return replace(self, is_new=True)


def data_path(tier: int, split: str) -> str:
    """Return the path of a tier's split inside the directory. A split without rows has no file."""
    return f"data/tier_{tier}/{split}-00000-of-00001.parquet"


def data_paths(manifest: Manifest) -> dict[str, tuple[int, str]]:
    """Return the data files that the manifest's counts call for, as path -> (tier, split)."""
    return {
        data_path(entry.tier, split): (entry.tier, split)
        for entry in manifest.tiers
        for split in SPLITS
        if entry.n_rows[split]
    }


def spec_content(spec: TierSpec) -> list[Any]:
    """Return what the id holds of a tier: its number and predicate, and its balance where it has one."""
    return [spec.tier, spec.predicate, *([] if spec.balance is None else [dict(spec.balance)])]


def scale_content(scale: Scale) -> dict[str, Any]:
    """Return a scale as the manifest and the id hold it."""
    return {"values": list(scale.values), "names": list(scale.names)}


def read_manifest(directory: Path) -> Manifest:
    """Read a snapshot's manifest; UserError when it is missing or not of this form. Its truth is not checked here."""
    path = directory / MANIFEST
    if not path.is_file():
        raise UserError(f"{directory} is no snapshot: it has no {MANIFEST}. List yours: afrel status")
    try:
        content = json.loads(path.read_bytes())
        manifest = _from_content(content)
        if manifest.to_content() != content:
            raise ValueError("it has fields that are not its own")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"the manifest {path} cannot be read ({error}). {cut_anew()}") from None
    return manifest


def cut_anew() -> str:
    """Return the command that mends a snapshot that is not what it was."""
    return "Cut it anew: afrel --as ACCOUNT snapshot"


def _from_content(content: Any) -> Manifest:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r} is not {FORMAT}")
    scale = content["scale"]
    manifest = Manifest(
        snapshot_id=content["snapshot_id"],
        scale=Scale(tuple(scale["values"]), tuple(scale["names"])),
        rule_book=tuple(dict(rule) for rule in content["rule_book"]),
        tiers=tuple(TierEntry(**row) for row in content["tiers"]),
        files=tuple(FileEntry(**row) for row in content["files"]),
    )
    texts = [manifest.snapshot_id, *(file.path for file in manifest.files), *(file.sha256 for file in manifest.files)]
    texts += [text for entry in manifest.tiers for text in (entry.name, entry.predicate, entry.digest)]
    counts = [entry.tier for entry in manifest.tiers] + [file.n_bytes for file in manifest.files]
    counts += [entry.n_rows[split] for entry in manifest.tiers for split in SPLITS]
    if not all(isinstance(text, str) for text in texts) or not all(type(count) is int for count in counts):
        raise ValueError("a text or a count is none")
    if any(set(entry.n_rows) != set(SPLITS) for entry in manifest.tiers):
        raise ValueError(f"a tier's n_rows is not by {', '.join(SPLITS)}")
    if not all(entry.balance is None or isinstance(entry.balance, dict) for entry in manifest.tiers):
        raise ValueError("a tier's balance is none")
    if len({entry.tier for entry in manifest.tiers}) != len(manifest.tiers):
        raise ValueError("a tier stands twice")
    return manifest

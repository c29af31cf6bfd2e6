"""What a run was trained on: tiers, rows by grade, who signed, what was left out. Grades of test rows are not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from storage.people.accounts import Pin
from storage.snapshots.manifest import Manifest, data_path, read_manifest
from storage.snapshots.seals import SealError, read_provenance
from storage.snapshots.verify import verify_snapshot

SHOWN = ("train", "dev")  # the splits whose grades are told


@dataclass(frozen=True, slots=True)
class TierFacts:
    """One tier. n_rows: by split. grades: of train and dev, by grade. signed_by: pseudonyms whose signature counts."""

    tier: int
    name: str
    is_trained_on: bool
    n_rows: Mapping[str, int]
    grades: Mapping[str, Mapping[int, int]]
    n_reasoned: int
    signed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """A snapshot as it lies there. left_out: when it was cut, by reason. sources: train rows trained on, by source.

    citing: train rows trained on that cite a rule, by rule. problems: why it is not to be trusted, if it is not.
    """

    snapshot_id: str
    manifest_digest: str
    grades: Mapping[int, str]
    tiers: tuple[TierFacts, ...]
    left_out: Mapping[str, int]
    sources: Mapping[str, int]
    citing: Mapping[str, int]
    rule_texts: Mapping[str, str]
    problems: tuple[str, ...]


def snapshot_facts(directory: Path, *, tiers: Collection[int] | None, pins: Mapping[str, Pin]) -> SnapshotFacts:
    """Return the facts of a snapshot; tiers: those trained on, None for all. UserError when it has no manifest."""
    manifest = read_manifest(directory)
    verification = verify_snapshot(directory, pins, reads_test=False)
    sources: Counter[str] = Counter()
    citing: Counter[str] = Counter()
    told = []
    for entry in manifest.tiers:
        is_trained_on = tiers is None or entry.tier in tiers
        grades: dict[str, dict[int, int]] = {}
        n_reasoned = 0
        for split in SHOWN:
            rows = _columns(directory, manifest, entry.tier, split)
            grades[split] = dict(sorted(Counter(rows["grade"]).items()))
            if split == "train":
                n_reasoned = sum(steps is not None for steps in rows["steps"])
                if is_trained_on:
                    sources.update(rows["source"])
                    citing.update(rule_id for cited in rows["rule_ids"] for rule_id in set(cited))
        signers = tuple(_who(account, pins) for account in verification.signed_tiers.get(entry.tier, ()))
        told.append(TierFacts(entry.tier, entry.name, is_trained_on, dict(entry.n_rows), grades, n_reasoned, signers))
    revoked = [
        f"{'the whole snapshot' if one.tier is None else f'tier {one.tier}'} was revoked on {one.at[:10]}: {one.reason}"
        for one in verification.revoked
    ]
    return SnapshotFacts(
        manifest.snapshot_id, manifest.digest, dict(zip(manifest.scale.values, manifest.scale.names, strict=True)),
        tuple(told), _left_out(directory), dict(sources.most_common()), dict(citing),
        {str(rule["rule_id"]): str(rule["text"]) for rule in manifest.rule_book},
        (*(str(problem) for problem in verification.problems), *revoked),
    )  # fmt: skip


def _columns(directory: Path, manifest: Manifest, tier: int, split: str) -> dict[str, list[Any]]:
    names = ["grade", "steps", "source", "rule_ids"]
    if not manifest.find_tier(tier).n_rows[split]:
        return {name: [] for name in names}
    try:
        rows: dict[str, list[Any]] = pq.read_table(directory / data_path(tier, split), columns=names).to_pydict()
    except OSError:
        return {name: [] for name in names}  # gone or torn: the verification names it
    return rows


def _who(account: str, pins: Mapping[str, Pin]) -> str:
    pin = pins.get(account)
    return "an account that is not pinned" if pin is None else f"{pin.pseudonym} ({pin.role.value})"


def _left_out(directory: Path) -> dict[str, int]:
    try:
        stated = read_provenance(directory).get("left_out", {})
    except SealError:  # which the verification names
        return {}
    return {str(reason): n for reason, n in stated.items()} if isinstance(stated, dict) else {}

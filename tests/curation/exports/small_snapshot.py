"""A small snapshot to export, cut and signed by the code that cuts all others, with texts that are hard to write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from curation.exports.source import Source, open_source
from storage.grades import Scale
from storage.people.accounts import Pin, Role
from storage.people.keys import SigningKey
from storage.snapshots.cutting import TierSpec, sign_tier, write_snapshot
from storage.snapshots.verify import verify_snapshot

SCALE = Scale((0, 1, 2), ("bad", "fair", "good"))
# Right to left, emoji, a tag, line breaks, quotes and commas, personal data, an empty body.
QUERIES = ("red sofa", "أريكة حمراء", "lamp 💡", 'chair "oak", large', "call ann@shop.example")
BODIES = ("", "soft <b>seat</b> & legs", "first line\nsecond line", "x" * 2000, "ring +44 20 7946 0958 now")


@dataclass(frozen=True)
class Small:
    """A snapshot's folder, its pins, its rows, and the keys of who cut and who signs."""

    directory: Path
    pins: dict[str, Pin]
    rows: list[dict[str, Any]]
    cutter: SigningKey
    signer: SigningKey

    def source(self, *, tier: int | None = None, splits: tuple[str, ...] = ("train", "dev")) -> Source:
        verification = verify_snapshot(self.directory, self.pins, reads_test=False)
        return open_source(self.directory, verification, tier=tier, splits=splits, pins=self.pins)


def row(at: int, *, split: str = "train", **changed: Any) -> dict[str, Any]:
    """Return row `at`: query at % 5, a doc of its own, grade at % 3, tier 1 or 2; every fourth has no reasons."""
    steps = [["attributes", f"seen {at}"], ["verdict", SCALE.names[at % 3]]]
    return {
        "tier": 1 + at % 2,
        "split": split,
        "pair_id": f"p_{split}{at}",
        "query_id": f"q_{split}{at % 5}",
        "doc_id": f"d_{split}{at}",
        "query": f"{QUERIES[at % 5]} {split}",
        "title": f"Doc {at}",
        "body": BODIES[at % 5],
        "fields": json.dumps({"brand": f"Nord & {at}", "colour": "red"}),
        "grade": at % 3,
        "steps": json.dumps(steps) if at % 4 else None,
        "rule_ids": [],
        "judgment_origin": "consensus",
        "source": "shop",
        "operator": None,
        "evidence": "terms all",
    } | changed


def sample() -> list[dict[str, Any]]:
    """40 train rows, 10 dev rows, 5 test rows; two tiers."""
    return [row(at, split=split) for split, n in (("train", 40), ("dev", 10), ("test", 5)) for at in range(n)]


def cut(folder: Path, rows: list[dict[str, Any]] | None = None, *, signed: bool = True) -> Small:
    """Cut rows into folder/snapshots; dora signs all tiers unless told not to."""
    rows = sample() if rows is None else rows
    cutter, signer = _key("cleo"), _key("dora")
    pins = {
        "cleo": Pin("cleo", Role.CURATOR, cutter.public_key, "person-1"),
        "dora": Pin("dora", Role.ADJUDICATOR, signer.public_key, "person-2"),
    }
    specs = [TierSpec(tier, ("clear", "ruled")[tier - 1], "true") for tier in sorted({one["tier"] for one in rows})]
    manifest = write_snapshot(
        folder / "snapshots",
        pa.Table.from_pylist(rows),
        specs,
        scale=SCALE,
        rule_book=[],
        lineage=pa.table({"pair_id": [one["pair_id"] for one in rows]}),
        provenance={"code_version": "0"},
        cutter=cutter,
        pseudonym="person-1",
    )
    directory = folder / "snapshots" / manifest.snapshot_id
    for spec in specs if signed else ():
        sign_tier(directory, spec.tier, key=signer, pins=pins)
    return Small(directory, pins, rows, cutter, signer)


def _key(account: str) -> SigningKey:
    private = Ed25519PrivateKey.generate()
    return SigningKey(account, private.public_key().public_bytes_raw().hex(), private)

"""A small signed snapshot, cut by the code that cuts all others: leather or canvas, asked for and found or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from curation.completion import Step, steps_to_json
from storage.grades import Scale
from storage.people.accounts import Pin, Role
from storage.people.keys import SigningKey
from storage.snapshots.cutting import TierSpec, sign_tier, write_snapshot

SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
RULE = "r_00000000000000aa"
THINGS = ("bag", "belt", "shoe", "chair", "lamp")
MATERIALS = ("leather", "canvas", "oak")


@dataclass(frozen=True)
class SignedSnapshot:
    """A snapshot's folder, the pins it is signed under, and its rows as they were cut."""

    directory: Path
    pins: dict[str, Pin]
    rows: list[dict[str, Any]]
    signer: SigningKey


@dataclass(frozen=True)
class TrainedRun:
    folder: Path
    snapshot: SignedSnapshot
    run: Any
    result: Any


# A model that learns the sample in 150 steps of some milliseconds.
SMALL: dict[str, Any] = {
    "batch_size": 4, "epochs": 10, "learning_rate": 5e-3, "tiny_vocabulary": 400, "tiny_hidden_size": 32,
    "tiny_layers": 1, "tiny_heads": 2, "max_length": 160, "max_completion_tokens": 40, "logging_steps": 1,
    "checkpoint_steps": 5, "grade_balance": 0.5,
}  # fmt: skip


def snapshot_row(at: int, *, split: str = "train", tier: int = 1, **changed: Any) -> dict[str, Any]:
    """Return row number `at`: grade 2 when thing and material agree, 1 when the thing does, else 0."""
    thing, material = THINGS[at % 5], MATERIALS[at % 3]
    found_thing = thing if at % 4 else THINGS[(at + 1) % 5]
    found_material = material if at % 2 else MATERIALS[(at + 1) % 3]
    grade = 0 if found_thing != thing else 2 if found_material == material else 1
    steps = [Step("attributes", f"{material} is asked for [{RULE}]"), Step("verdict", SCALE.name(grade))]
    return {
        "tier": tier,
        "split": split,
        "pair_id": f"p_{split}{at}",
        "query_id": f"q_{split}{at // 2}",
        "doc_id": f"d_{split}{at}",
        "query": f"{material} {thing}",
        "title": f"{found_material} {found_thing} no {at}",
        "body": "",
        "fields": '{"material":"' + found_material + '"}',
        "grade": grade,
        "steps": steps_to_json(steps) if at % 5 else None,
        "rule_ids": [RULE] if at % 5 else [],
        "judgment_origin": "consensus",
        "source": "made",
        "operator": None,
        "evidence": f"terms {'all' if grade == 2 else 'half' if grade == 1 else 'no'}",
    } | changed


def signing_key(account: str) -> SigningKey:
    private = Ed25519PrivateKey.generate()
    return SigningKey(account, private.public_key().public_bytes_raw().hex(), private)


Cut = Callable[..., SignedSnapshot]


def cut_snapshot(folder: Path, rows: list[dict[str, Any]], *, signed: bool = True) -> SignedSnapshot:
    """Cut rows into a snapshot under folder/snapshots and sign all its tiers, unless told not to."""
    cutter, signer = signing_key("cleo"), signing_key("ada")
    pins = {
        "cleo": Pin("cleo", Role.CURATOR, cutter.public_key, "person-1"),
        "ada": Pin("ada", Role.ADJUDICATOR, signer.public_key, "person-2"),
    }
    tiers = [TierSpec(tier, f"tier {tier}", "true") for tier in sorted({row["tier"] for row in rows})]
    manifest = write_snapshot(
        folder / "snapshots",
        pa.Table.from_pylist(rows),
        tiers,
        scale=SCALE,
        rule_book=[],
        lineage=pa.table({"pair_id": [row["pair_id"] for row in rows]}),
        provenance={"code_version": "0"},
        cutter=cutter,
        pseudonym="person-1",
    )
    directory = folder / "snapshots" / manifest.snapshot_id
    if signed:
        for spec in tiers:
            sign_tier(directory, spec.tier, key=signer, pins=pins)
    return SignedSnapshot(directory, pins, rows, signer)


def sample_rows() -> list[dict[str, Any]]:
    """60 train rows in two tiers, 12 dev rows and 6 test rows."""
    rows = [snapshot_row(at, tier=1 + at % 2) for at in range(60)]
    rows += [snapshot_row(at, split="dev") for at in range(12)]
    return rows + [snapshot_row(at, split="test") for at in range(6)]


Cut = Callable[..., SignedSnapshot]


@pytest.fixture
def cut(tmp_path: Path) -> Cut:
    return partial(cut_snapshot, tmp_path)


@pytest.fixture
def snapshot(tmp_path: Path) -> SignedSnapshot:
    return cut_snapshot(tmp_path, sample_rows())


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A workspace-shaped folder with the sample snapshot and a small finished run on it."""
    from trainers.runs.directory import RunDirectory
    from trainers.sft.config import SftConfig
    from trainers.sft.train import train

    torch.set_num_threads(1)  # the same sums in the same order wherever the tests run
    folder = tmp_path_factory.mktemp("trained")
    snapshot = cut_snapshot(folder, sample_rows())
    run = RunDirectory(folder / "runs" / "run_0000000001")
    result = train(SftConfig(**SMALL), snapshot.directory, run=run, tell=[].append)
    return TrainedRun(folder, snapshot, run, result)

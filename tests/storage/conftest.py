"""Fixtures of the snapshot tests: pinned people and a small snapshot of two tiers, cut by the curator `cy`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.grades import Scale
from storage.people.accounts import Pin, Role
from storage.people.keys import SigningKey
from storage.snapshots.cutting import Manifest, TierSpec, write_snapshot

SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
TIERS = [TierSpec(1, "clear", "grade in (0, 2)"), TierSpec(3, "hard", "is_revised")]
RULE_BOOK = [
    {"rule_id": "r_bbbb", "text": "size differs", "condition": "n_number_conflicts > 0", "grade": 1},
    {
        "rule_id": "r_aaaa",
        "text": "colour differs",
        "condition": "list_contains(conflicting_fields, 'colour')",
        "grade": 0,
    },
]


@dataclass(frozen=True)
class People:
    """Keys and pins by account: the curator `cy`, the admin `ada`, the adjudicator `jo`, the reviewer `rex`."""

    keys: dict[str, SigningKey]
    pins: dict[str, Pin]


@dataclass(frozen=True)
class Sample:
    """A snapshot of six rows: tier 1 has 2 train, 1 dev, 1 test; tier 3 has 2 train."""

    directory: Path
    manifest: Manifest


def new_key(account: str) -> SigningKey:
    private = Ed25519PrivateKey.generate()
    return SigningKey(account, private.public_key().public_bytes_raw().hex(), private)


def sample_rows() -> pa.Table:
    places = [(1, "train", 0), (1, "train", 2), (1, "dev", 2), (1, "test", 0), (3, "train", 1), (3, "train", 2)]
    rows = [
        {
            "tier": tier,
            "split": split,
            "pair_id": f"p_{number}",
            "query_id": f"q_{number}",
            "doc_id": f"d_{number}",
            "query": "rote Schuhe für Männer",
            "title": '红色 "shoe"\t\u2028',
            "body": "",
            "fields": '{"colour": "red"}',
            "grade": grade,
            "steps": None if number == 0 else '[["verdict", "fully"]]',
            "rule_ids": ["r_aaaa", "r_bbbb"][: number % 3],
            "judgment_origin": "consensus",
            "source": "shop",
            "operator": "drop_term" if number == 4 else None,
            "evidence": "overlap 0.5",
        }
        for number, (tier, split, grade) in enumerate(places)
    ]
    return pa.Table.from_pylist(rows)


def sample_lineage() -> pa.Table:
    ids = [f"p_{number}" for number in range(6)]
    return pa.table({"pair_id": ids, "judgment_id": [f"j{i}" for i in ids], "reviewers": [["reviewer 1"]] * 6})


Cut = Callable[..., Manifest]


@pytest.fixture(scope="session")
def people() -> People:
    roles = {"cy": Role.CURATOR, "ada": Role.ADMIN, "jo": Role.ADJUDICATOR, "rex": Role.REVIEWER}
    keys = {account: new_key(account) for account in roles}
    pins = {name: Pin(name, role, keys[name].public_key, f"person {name[0]}") for name, role in roles.items()}
    return People(keys, pins)


@pytest.fixture
def cut(tmp_path: Path, people: People) -> Cut:
    """Cut the sample, with any argument of `write_snapshot` changed."""

    def write(*, folder: Path = tmp_path / "snapshots", by: str = "cy", **changed: object) -> Manifest:
        arguments: dict[str, object] = {
            "rows": sample_rows(),
            "tiers": TIERS,
            "scale": SCALE,
            "rule_book": RULE_BOOK,
            "lineage": sample_lineage(),
            "provenance": {"code_version": "abc", "left_out": {"no tier": 3}},
            "cutter": people.keys[by],
            "pseudonym": people.pins[by].pseudonym,
        }
        return write_snapshot(folder, **arguments | changed)  # type: ignore[arg-type]

    return write


@pytest.fixture(scope="session")
def _master(tmp_path_factory: pytest.TempPathFactory, people: People) -> Sample:
    folder = tmp_path_factory.mktemp("master")
    manifest = write_snapshot(
        folder,
        sample_rows(),
        TIERS,
        scale=SCALE,
        rule_book=RULE_BOOK,
        lineage=sample_lineage(),
        provenance={"code_version": "abc"},
        cutter=people.keys["cy"],
        pseudonym="person c",
    )
    return Sample(folder / manifest.snapshot_id, manifest)


@pytest.fixture
def sample(_master: Sample, tmp_path: Path) -> Sample:
    """A copy of the sample snapshot of one's own, to be damaged at will."""
    directory = tmp_path / "copies" / _master.manifest.snapshot_id
    shutil.copytree(_master.directory, directory)
    return Sample(directory, _master.manifest)

"""Cut and verify snapshots of all judged rows, step by step, by the functions the verbs call; a process of its own.

    python -m benchmarks.scale.snapshot WORKSPACE SCRATCH HOME REPEATS

Prints JSON: seconds of every named read, of the tier relation made from them, of giving tiers, of looking for leaks, of
each `write_snapshot` into an empty folder and of each `verify_snapshot` of what it wrote, with rows and bytes. The deep
verification is timed by benchmarks/snapshot_diff.py: the made rows here have ids that are no hashes of their texts.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.scale.questions import peak_mib  # noqa: E402
from curation.snapshot_cut import lineage_table, require_no_leak, snapshot_rows, tier_specs  # noqa: E402
from curation.tier_choice import choose  # noqa: E402
from curation.tier_reading import read_tier_rows  # noqa: E402
from curation.tiers import DEFAULT_TIERS  # noqa: E402
from storage.people.accounts import pin_from_row  # noqa: E402
from storage.people.keys import SigningKey, unlock  # noqa: E402
from storage.snapshots.cutting import verify_snapshot, write_snapshot  # noqa: E402
from storage.snapshots.rows import CONTENT_SCHEMA  # noqa: E402
from storage.store import Store  # noqa: E402
from storage.workspace import Workspace  # noqa: E402

CURATOR = "cleo"


class _Watched:
    """A store whose reads are timed by name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seconds: dict[str, float] = defaultdict(float)

    def frame(self, name: str, **params: Any) -> Any:
        began = time.monotonic()
        found = self._store.frame(name, **params)
        self.seconds[name] += time.monotonic() - began
        return found

    def read(self, name: str, **params: Any) -> Any:
        return self._store.read(name, **params)


def measure(root: Path, scratch: Path, key: SigningKey, *, n_repeats: int) -> dict[str, Any]:
    """Return what each step took."""
    with Store.connect(Workspace.open(root), sees_test=True) as store:
        watched = _Watched(store)
        began = time.monotonic()
        rows = read_tier_rows(watched)  # type: ignore[arg-type]
        relation_seconds = time.monotonic() - began
        read_mib = peak_mib()
        began = time.monotonic()
        choice = choose(rows, DEFAULT_TIERS)
        members = choice.members
        assign_seconds = time.monotonic() - began
        began = time.monotonic()
        require_no_leak(members)
        leak_seconds = time.monotonic() - began
        pins = {row["account"]: pin_from_row(row) for row in store.read("accounts").to_pylist()}
    left_out = dict(choice.left_out)
    table, lineage = snapshot_rows(members), lineage_table(members)
    written, verified, n_file_bytes = [], [], 0
    for number in range(n_repeats):
        folder = scratch / f"cut{number}"
        folder.mkdir(parents=True)
        began = time.monotonic()
        manifest = write_snapshot(
            folder,
            table,
            tier_specs(DEFAULT_TIERS),
            scale=rows.scale,
            rule_book=rows.rule_book,
            lineage=lineage,
            provenance={"code_version": "bench", "left_out": left_out, "run_id": "run_00000000aa"},
            cutter=key,
            pseudonym=pins[CURATOR].pseudonym,
        )
        written.append(time.monotonic() - began)
        place = folder / manifest.snapshot_id
        n_file_bytes = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        began = time.monotonic()
        verification = verify_snapshot(place, pins)
        verified.append(time.monotonic() - began)
        if verification.problems or manifest.n_rows != len(members):
            raise RuntimeError(f"{manifest.snapshot_id} is not what was cut: {verification.problems[:3]}")
        shutil.rmtree(folder)
    return {
        "n_judged": len(choice.assigned) + sum(rows.left_out.values()),
        "n_rows": len(members),
        "n_row_bytes": text_bytes(members),
        "n_file_bytes": n_file_bytes,
        "tiers": dict(sorted(Counter(members["tier"].to_list()).items())),
        "left_out": left_out,
        "reads": dict(watched.seconds),
        "relation_seconds": relation_seconds,
        "relation_mib": read_mib,
        "assign_seconds": assign_seconds,
        "leak_seconds": leak_seconds,
        "written": written,
        "verified": verified,
        "peak_mib": peak_mib(),
    }


def text_bytes(members: pl.DataFrame) -> int:
    """Return the bytes of the texts that a snapshot of these rows holds: what hashing reads, without its JSON."""
    names = [field.name for field in CONTENT_SCHEMA if pa.types.is_string(field.type)]
    return int(sum(members.select(pl.col(names).str.len_bytes().sum()).row(0)))


def main(words: list[str]) -> None:
    """Measure and print JSON."""
    root, scratch, home = (Path(word) for word in words[:3])
    password = (home / "password").read_text(encoding="utf-8").strip()
    key = unlock(home, CURATOR, password)
    print(json.dumps(measure(root, scratch, key, n_repeats=int(words[3]))))


if __name__ == "__main__":
    main(sys.argv[1:])

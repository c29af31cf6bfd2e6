"""How long `afrel diff` and `afrel verify --deep` take on snapshots of a million rows, without a store.

    python -m benchmarks.snapshot_diff [--rows 1000000] [--repeats 3] [--json FILE]

Two snapshots are made: the newer one lacks 2% of the older one's rows and has as many others, and of what both hold 2%
are regraded, 2% reworded, 2% in another tier and 2% restated. Each comparison is a process of its own, so its peak
memory is the comparison's. What it found is held against what was made.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import Report, machine, machine_line  # noqa: E402
from storage.grades import Scale  # noqa: E402
from storage.ids import content_id  # noqa: E402
from storage.people.accounts import Pin, Role  # noqa: E402
from storage.people.keys import SigningKey  # noqa: E402
from storage.snapshots.cutting import TierSpec, write_snapshot  # noqa: E402
from storage.snapshots.deep import verify_deeply  # noqa: E402
from storage.snapshots.diff import compare_snapshots  # noqa: E402
from storage.snapshots.rows import CONTENT_SCHEMA  # noqa: E402

SCALE = Scale((0, 1, 2, 3), ("irrelevant", "partly", "mostly", "fully"))
TIERS = [TierSpec(tier, f"tier_{tier}", "true") for tier in (1, 2, 3)]
WORDS = ["red", "leather", "sofa", "steel", "lamp", "oak", "table", "small", "garden", "rug"]
EVERY = 50  # one row in so many changes in each way
ROWS_AT_ONCE = 20_000
N_REVIEWERS = 30
MOST_DIFF_SECONDS, LEAST_DEEP_RATE = 20.0, 100_000


def row(number: int, *, is_newer: bool) -> dict[str, object]:
    """Return a row; the newer snapshot's differ by what is left when its number is divided by `EVERY`."""
    words = [WORDS[(number >> shift) % 10] for shift in range(0, 24, 2)]
    query, title = " ".join([*words[:3], str(number // 10)]), " ".join([*words[3:8], str(number)])
    body = " ".join(words * 6)
    query_id, doc_id = content_id("q", query), content_id("d", title, body, {"colour": words[0]})
    kind = number % EVERY if is_newer else -1
    grade, tier = number % 4, 1 + number % 3
    return {
        "tier": tier % 3 + 1 if kind == 3 else tier,
        "split": "train" if number % 10 < 8 else "dev" if number % 10 == 8 else "test",
        "pair_id": content_id("p", query_id, doc_id),
        "query_id": query_id,
        "doc_id": doc_id,
        "query": query,
        "title": title,
        "body": body,
        "fields": json.dumps({"colour": words[0]}),
        "grade": (grade + 1) % 4 if kind == 1 else grade,
        "steps": json.dumps([["intent", f"asks for {query}"], ["verdict", "other" if kind == 2 else "fully"]]),
        "rule_ids": [f"r_{number % 100:016x}"],
        "judgment_origin": "consensus",
        "source": "bench",
        "operator": "drop_term" if number % 7 == 0 else None,
        "evidence": "gram 7" if kind == 4 else "gram 6",
    }


def numbers_of(n_rows: int, *, is_newer: bool) -> Iterator[int]:
    """Yield the rows' numbers: the newer snapshot has others in place of each fiftieth."""
    for number in range(n_rows):
        yield number + n_rows if is_newer and number % EVERY == 0 else number


def cut(folder: Path, n_rows: int, key: SigningKey, *, is_newer: bool) -> Path:
    """Write a snapshot; return its folder."""
    pair_ids: list[str] = []

    def batches() -> Iterator[pa.RecordBatch]:
        held: list[dict[str, object]] = []
        for number in numbers_of(n_rows, is_newer=is_newer):
            held.append(row(number, is_newer=is_newer and number < n_rows))
            if len(held) == ROWS_AT_ONCE:
                pair_ids.extend(str(one["pair_id"]) for one in held)
                yield pa.RecordBatch.from_pylist(held, schema=CONTENT_SCHEMA)
                held = []
        pair_ids.extend(str(one["pair_id"]) for one in held)
        yield pa.RecordBatch.from_pylist(held, schema=CONTENT_SCHEMA)

    table = pa.Table.from_batches(batches())
    reviewers = pa.array([[f"person_{hash_of % N_REVIEWERS}"] for hash_of in np.arange(len(pair_ids))])
    lineage = pa.table({"pair_id": pair_ids, "reviewers": reviewers})
    manifest = write_snapshot(
        folder,
        table,
        TIERS,
        scale=SCALE,
        rule_book=[
            {"rule_id": f"r_{n:016x}", "text": "t", "condition": "true", "grade": 1} for n in range(100 - is_newer)
        ],
        lineage=lineage,
        provenance={"code_version": "bench"},
        cutter=key,
        pseudonym="cutter",
    )
    return folder / manifest.snapshot_id


def measure_diff(older: Path, newer: Path) -> dict[str, object]:
    """Return seconds, peak memory and counts of one comparison, in this process."""
    began = time.monotonic()
    found = compare_snapshots(older, newer, sees_test=True)
    seconds = time.monotonic() - began
    counts = [one.counts or {} for one in found.splits]
    kinds = {kind: sum(one[kind] for one in counts) for kind in counts[0]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mib": peak, **kinds, "rules": len(found.rules), "rows": len(found.rows)}


def measure_deep(directory: Path, pins: dict[str, Pin]) -> float:
    """Return the seconds of a deep verification away from any store."""
    began = time.monotonic()
    found = verify_deeply(directory, pins, None)
    if found.verification.problems:
        raise RuntimeError(f"{directory.name} is not what was cut: {found.verification.problems[:3]}")
    return time.monotonic() - began


def main() -> int:
    """Make two snapshots, compare them, verify one; 1 when a count is not what was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pair", type=Path, nargs=2, help=argparse.SUPPRESS)  # in a child: compare and print
    given = parser.parse_args()
    if given.pair:
        print(json.dumps(measure_diff(*given.pair)))
        return 0
    report = Report("snapshot_diff")
    scratch = Path(tempfile.mkdtemp(prefix="snapshot-diff-"))
    try:
        report.figures["machine"] = machine(scratch)
        report.say(machine_line(report.figures["machine"]))
        private = Ed25519PrivateKey.generate()
        key = SigningKey("cy", private.public_key().public_bytes_raw().hex(), private)
        pins = {"cy": Pin("cy", Role.CURATOR, key.public_key, "cutter")}
        older, newer = (cut(scratch, given.rows, key, is_newer=is_newer) for is_newer in (False, True))
        found = [_in_child(older, newer) for _ in range(given.repeats)]
        deep = [measure_deep(older, pins) for _ in range(given.repeats)]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    expected = dict.fromkeys(("added", "removed", "regraded", "reworded", "moved", "restated"), given.rows // EVERY)
    seconds = median(float(str(one["seconds"])) for one in found)
    report.say(f"n: two snapshots of {given.rows:,} rows; found {found[0]}")
    report.hold("diff", seconds, target=MOST_DIFF_SECONDS, at_most=True, unit="s")
    report.hold("verify --deep", given.rows / median(deep), target=LEAST_DEEP_RATE, at_most=False, unit="rows/s")
    report.put("diff", runs=found, deep_seconds=deep)
    report.write(given.json)
    wrong = {kind: found[0][kind] for kind, n in expected.items() if found[0][kind] != n}
    if wrong or found[0]["rules"] != 1:
        report.say(f"WRONG: {wrong} should be {expected}")
    return int(bool(wrong))


def _in_child(older: Path, newer: Path) -> dict[str, object]:
    words = [sys.executable, "-m", "benchmarks.snapshot_diff", "--pair", str(older), str(newer)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main())

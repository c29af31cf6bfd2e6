"""A workspace of millions of rows, made through the store itself: large appends travel as Parquet by themselves.

    python -m benchmarks.load.seed DIR [--candidates 5000000]

Queries, docs and pairs, rules with their votes, candidates with their screenings, answers and judgments. Kept, it is
copied for each benchmark (`--seeded DIR`). A seed that was cut short goes on where it stopped: ids already held are
dropped by the store.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import store_rows  # noqa: E402
from benchmarks.latency import Cost  # noqa: E402
from benchmarks.store_rows import Numbers, Sizes, Texts, account_names  # noqa: E402
from storage.process.client import HANDOVER_BYTES  # noqa: E402
from storage.process.socket_path import short_path  # noqa: E402
from storage.rows import AccountRow  # noqa: E402
from storage.store import Store  # noqa: E402
from storage.workspace import Workspace  # noqa: E402

SEED_FILE = "seed.json"
CHUNK = 50_000


@dataclass(slots=True)
class Filled:
    """What filling a table took: its rows and their bytes in memory, and the seconds of the appends they came in.

    `n_handed_over` of `n_appends` travelled as Parquet files and so were committed when they returned; the others are
    on disk in the journal by then, and folded into the database later.
    """

    n_rows: int = 0
    n_bytes: int = 0
    seconds: float = 0.0
    n_appends: int = 0
    n_handed_over: int = 0

    @property
    def rows_per_second(self) -> float:
        return self.n_rows / max(self.seconds, 1e-9)


def new_workspace(root: Path, *, n_accounts: int) -> Workspace:
    """Make an empty workspace with the scale 0-3 and pinned reviewers."""
    subprocess.run(
        [sys.executable, "-m", "afrel", "init", str(root), "--scale", "0-3"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    workspace = Workspace.open(root)
    accounts = [
        AccountRow(
            account_event_id=f"a_{number:016x}",
            account=name,
            role="reviewer",
            public_key=f"{number:064x}",
            pseudonym=f"person_{number:02d}",
            created_at=store_rows.AT,
        )
        for number, name in enumerate(account_names(n_accounts), 1)
    ]
    with running_store(root), Store.connect(workspace) as store:
        store.append({"accounts": accounts})
    return workspace


def seed(root: Path, sizes: Sizes) -> dict[str, Filled]:
    """Fill a workspace; return what each table's appends took. The folder is ready to be copied afterwards."""
    workspace = new_workspace(root, n_accounts=sizes.n_accounts) if not root.exists() else Workspace.open(root)
    with running_store(root) as process, Store.connect(workspace) as store:
        filled = _fill(store, sizes)
        peak_mib = Cost.of(process.pid).peak_mib
    tables = {table: asdict(one) for table, one in filled.items()}
    kept = {**asdict(sizes), "filled": tables, "store_peak_mib": peak_mib}
    (root / SEED_FILE).write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return filled


def seeded_sizes(root: Path) -> Sizes:
    """Return the sizes of a seeded folder."""
    found = json.loads((root / SEED_FILE).read_text(encoding="utf-8"))
    return Sizes(**{name: found[name] for name in asdict(Sizes())})


def seeded_tables(root: Path) -> dict[str, Filled]:
    """Return what filling each table of a seeded folder took when it was seeded."""
    found = json.loads((root / SEED_FILE).read_text(encoding="utf-8"))
    return {table: Filled(**one) for table, one in found.get("filled", {}).items()}


def seeding_peak_mib(root: Path) -> float:
    """Return the peak memory of the store process while a seeded folder was filled; 0 where that is not noted."""
    found = json.loads((root / SEED_FILE).read_text(encoding="utf-8"))
    return float(found.get("store_peak_mib", 0.0))


def prepare(root: Path, *, seeded: Path | None, n_candidates: int) -> tuple[Workspace, Sizes]:
    """Return a workspace of one's own at `root`: a copy of the seeded folder, or one seeded now."""
    if seeded is None:
        sizes = Sizes.of(n_candidates)
        seed(root, sizes)
        return Workspace.open(root), sizes
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(seeded), str(root)], check=True)
    return Workspace.open(root), seeded_sizes(seeded)


def _fill(store: Store, sizes: Sizes) -> dict[str, Filled]:
    texts = Texts(seed=11)
    began = time.monotonic()
    tables: list[tuple[str, int, Callable[[Numbers], dict[str, pa.Table]]]] = [
        ("queries", sizes.n_queries, lambda n: {"queries": store_rows.queries(texts, n)}),
        ("docs", sizes.n_docs, lambda n: {"docs": store_rows.docs(texts, n)}),
        ("pairs", sizes.n_candidates, lambda n: {"pairs": store_rows.pairs(sizes, n)}),
        (
            "rules",
            sizes.n_rules,
            lambda n: {"rules": store_rows.rules(n), "approvals": store_rows.approvals(n)},
        ),
        ("rule_votes", sizes.n_votes, lambda n: {"rule_votes": store_rows.rule_votes(sizes, n)}),
        (
            "candidates",
            sizes.n_candidates,
            lambda n: {
                "candidates": _citing(store_rows.candidates(texts, n), n),
                "screenings": store_rows.screenings(n),
            },
        ),
        ("responses", sizes.n_responses, lambda n: {"responses": store_rows.responses(sizes, n)}),
        ("judgments", sizes.n_judgments, lambda n: {"judgments": store_rows.judgments(sizes, n)}),
    ]
    filled: dict[str, Filled] = {}
    for table, n_rows, rows_of in tables:
        if not n_rows:
            continue
        one = filled[table] = Filled()
        for numbers in chunks(n_rows, CHUNK if table in ("docs", "candidates") else 4 * CHUNK):
            append_counted(store, rows_of(numbers), counted=table, filled=one)
            if sys.stderr.isatty():
                print(f"\r{table} {one.n_rows:,} of {n_rows:,} ", end="", file=sys.stderr, flush=True)
        print(f"{table:<12} {n_rows:>10,}  {one.seconds:8.1f} s in append  {one.rows_per_second:>9,.0f} rows/s")
        sys.stdout.flush()
    taken = sum(one.seconds for one in filled.values())
    print(f"seeded in {time.monotonic() - began:.0f} s, {taken:.0f} s of them in append", flush=True)
    return filled


def append_counted(store: Store, rows: dict[str, pa.Table], *, counted: str, filled: Filled) -> None:
    """Append rows of one table, with others beside them for which nothing is counted but their time."""
    before = time.monotonic()
    store.append(rows)
    filled.seconds += time.monotonic() - before
    filled.n_rows += rows[counted].num_rows
    filled.n_bytes += rows[counted].nbytes
    filled.n_appends += 1
    filled.n_handed_over += rows[counted].nbytes > HANDOVER_BYTES


def _citing(candidates: pa.Table, numbers: Numbers) -> pa.Table:
    """Return candidates of which every second one's rationale cites its first rule, as tiers ask for that."""
    rules, uncut = store_rows.ids("r", numbers % np.uint64(100)), pc.utf8_slice_codeunits(candidates["steps"], 0, -3)
    steps = pc.binary_join_element_wise(uncut, pa.scalar(" ["), rules, pa.scalar(']"]]'), "")
    is_citing = pa.array(np.asarray(numbers // np.uint64(2) % np.uint64(2) == 0))
    place = candidates.schema.get_field_index("steps")
    return candidates.set_column(place, "steps", pc.if_else(is_citing, steps, candidates["steps"]))


def chunks(n: int, size: int) -> Iterator[Numbers]:
    """Yield the row numbers 0 to n-1, so many at a time."""
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n), dtype=np.uint64)


@contextmanager
def running_store(root: Path, *, idle_seconds: float = 1.0) -> Iterator[subprocess.Popen[bytes]]:
    """Run a store process of our own until the block ends, then let it leave by itself, all folded and checkpointed."""
    with open(root / "store.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "storage.process.server", str(root), "--idle", str(idle_seconds)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )
    try:
        while not _answers(root):
            if process.poll() is not None:
                sys.exit(f"the store process of {root} left with {process.returncode}; see {root / 'store.log'}")
            time.sleep(0.01)
        yield process
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()


def _answers(root: Path) -> bool:
    """Say whether a store process takes connections; a client that asked would start one of its own."""
    with socket.socket(socket.AF_UNIX) as peer, short_path(root) as path:
        return peer.connect_ex(path) == 0


def store_pids(root: Path) -> list[int]:
    """Return the store processes of a workspace."""
    wanted = ["storage.process.server", str(root)]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if words[2:4] == wanted:
                found.append(int(entry.name))
    return found


def remove(root: Path) -> None:
    """Remove a workspace that no store process serves any more."""
    shutil.rmtree(root, ignore_errors=True)


def main() -> None:
    """Seed a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--candidates", type=int, default=Sizes().n_candidates)
    given = parser.parse_args()
    seed(given.folder.resolve(), Sizes.of(given.candidates))


if __name__ == "__main__":
    main()

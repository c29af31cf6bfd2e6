"""The processes that keep a workspace busy while one of them, or the store process, is killed.

    python -m benchmarks.crashes.load {writer,publisher,snapshotter} WORKSPACE NUMBER

A writer keeps the truth: after each acknowledgement it puts on disk which rows were acknowledged, in a file of its own.
Killed and started again, it goes on after the last such line, so what was under way is sent a second time with the
same ids, as a retry would. All end by themselves when the file `stop` appears in the workspace; a step that fails ends
the process with an error, because clients must live through everything that happens to the store.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks import store_rows
from benchmarks.store_rows import Texts, account_names, ids
from curation.snapshot_cut import cut_snapshot
from storage.grades import Scale
from storage.people.accounts import Pin, Role
from storage.people.keys import SigningKey
from storage.snapshots.cutting import TierSpec
from storage.store import Store
from storage.workspace import Workspace

FIRST_NUMBER = 1 << 50
STEP_ROWS = 1 << 12
BIG_ROWS = 2_000  # with long replies: more than the store takes over the socket, so they go by file
N_PAIRS = 500
N_SNAPSHOT_ROWS = 600
SCALE = Scale((0, 1, 2, 3), ("a", "b", "c", "d"))
TIERS = (TierSpec(1, "clear", "true"), TierSpec(2, "ruled", "false"), TierSpec(3, "hard", "true"))
# How the rows of a truth file are named: table -> prefix of its ids.
PREFIXES = {"llm_calls": "y", "candidates": "c", "screenings": "s", "responses": "a", "queries": "q", "pairs": "p"}


class Steps:
    """A writer's appends by number: the same step is the same rows, in any life of the writer."""

    def __init__(self, writer: int) -> None:
        self._writer = writer
        texts, numbers = Texts(writer), np.arange(64, dtype=np.uint64)
        self._texts = texts
        self._calls = store_rows.llm_calls(texts, numbers)
        self._candidates = store_rows.candidates(texts, numbers)
        self._screenings = store_rows.screenings(numbers, all_pass=True)
        self._responses = store_rows.responses(store_rows.Sizes(n_candidates=64), numbers)
        self._long = pa.array(["".join(map(chr, range(0x4E00, 0x4E00 + 3000)))])

    def rows(self, step: int) -> tuple[dict[str, pa.Table], dict[str, tuple[int, int]]]:
        """Return the tables of a step, and for each its first row number and count."""
        rng = random.Random(f"{self._writer}:{step}")
        first = FIRST_NUMBER + (self._writer << 44) + step * STEP_ROWS
        kind = rng.choices(("small", "pairs", "big"), (60, 6, 0.4))[0]
        n = BIG_ROWS if kind == "big" else rng.randint(1, 40)
        numbers = np.arange(first, first + n, dtype=np.uint64)
        if kind == "big":
            calls = self._calls.take(pa.array(np.zeros(n, np.int64)))
            place = calls.schema.get_field_index("reply")
            calls = calls.set_column(place, "reply", self._long.take(pa.array(np.zeros(n, np.int64))))
            tables = {"llm_calls": calls.set_column(0, "llm_call_id", ids("y", numbers))}
        elif kind == "pairs":
            queries = store_rows.queries(self._texts, numbers)
            pairs = store_rows.pairs(store_rows.Sizes(n_docs=10), numbers)
            pairs = pairs.set_column(1, "query_id", queries["query_id"]).set_column(3, "split", queries["split"])
            tables = {"queries": queries, "pairs": pairs}
        else:
            tables = self._small(rng, numbers)
        return tables, dict.fromkeys(tables, (first, n))

    def _small(self, rng: random.Random, numbers: store_rows.Numbers) -> dict[str, pa.Table]:
        n = len(numbers)
        # Not on test pairs, which are each tenth: their answers have no ids in the published copy.
        pair_ids = ids(
            "p", np.array([rng.randrange(N_PAIRS // 10) * 10 + rng.randrange(9) for _ in range(n)], np.uint64)
        )
        candidate_ids = ids("c", numbers)
        accounts = pa.array([rng.choice(account_names(5)) for _ in range(n)])
        candidates = self._candidates.slice(0, n).set_column(0, "candidate_id", candidate_ids)
        screenings = self._screenings.slice(0, n).set_column(0, "screening_id", ids("s", numbers))
        responses = self._responses.slice(0, n).set_column(0, "response_id", ids("a", numbers))
        responses = responses.set_column(1, "candidate_id", candidate_ids).set_column(2, "pair_id", pair_ids)
        return {
            "llm_calls": self._calls.slice(0, n).set_column(0, "llm_call_id", ids("y", numbers)),
            "candidates": candidates.set_column(1, "pair_id", pair_ids),
            "screenings": screenings.set_column(1, "candidate_id", candidate_ids),
            "responses": responses.set_column(3, "account", accounts),
        }


def truth_path(root: Path, writer: int) -> Path:
    return root / "truth" / f"writer-{writer}.jsonl"


def read_truth(path: Path) -> list[dict[str, tuple[int, int]]]:
    """Return what was acknowledged; a line that a kill cut short was never said."""
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def write(root: Path, writer: int) -> None:
    """Append step after step; note each acknowledgement."""
    steps, path = Steps(writer), truth_path(root, writer)
    done = read_truth(path)
    step = len(done)
    path.parent.mkdir(exist_ok=True)
    whole = "".join(json.dumps(line) + "\n" for line in done).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.truncate(descriptor, len(whole))
    os.lseek(descriptor, 0, os.SEEK_END)
    with Store.connect(Workspace.open(root)) as store:
        while not (root / "stop").exists():
            tables, named = steps.rows(step)
            store.append(tables)
            os.write(descriptor, json.dumps(named).encode() + b"\n")
            os.fsync(descriptor)
            step += 1
            time.sleep(0.008)


def publish(root: Path, _number: int) -> None:
    """Ask for the published copy again and again; each must open and answer."""
    with Store.connect(Workspace.open(root)) as store:
        while not (root / "stop").exists():
            copy = store.publish()
            with duckdb.connect(str(copy), read_only=True) as connection:
                connection.execute("select count(*), sum(length(steps)) from candidates").fetchall()
            time.sleep(0.2)


def cut(root: Path, _number: int) -> None:
    """Cut one snapshot after another, each with a rule book of its own, and register them."""
    workspace = Workspace.open(root)
    key = cutter_key(root)
    pins = {key.account: cutter_pin(key)}
    members = snapshot_members(N_SNAPSHOT_ROWS)
    lineage = members.select("pair_id", "judgment_id", "candidate_id").to_arrow()
    with Store.connect(workspace, sees_test=True) as store:
        while not (root / "stop").exists():
            rule = {"rule_id": f"r_{secrets.token_hex(8)}", "text": "a rule", "condition": "true", "grade": 1}
            cut_snapshot(
                workspace,
                store,
                members,
                tiers=TIERS,
                lineage=lineage,
                rule_book=[rule],
                scale=SCALE,
                left_out={},
                n_shared_docs=0,
                cutter=key,
                pins=pins,
            )
            time.sleep(0.3)


def snapshot_members(n: int) -> pl.DataFrame:
    """Return n rows as `cut_snapshot` takes them."""
    texts, sizes, numbers = Texts(3), store_rows.Sizes.of(max(n, 50)), np.arange(n, dtype=np.uint64)
    pairs, docs = store_rows.pairs(sizes, numbers), store_rows.docs(texts, numbers)
    candidates, judgments = store_rows.candidates(texts, numbers), store_rows.judgments(sizes, numbers)
    return pl.DataFrame(
        {
            "tier": (numbers % np.uint64(3) + np.uint64(1)).astype(np.int32),
            **{name: pl.Series(pairs[name]) for name in ("split", "pair_id", "query_id", "doc_id")},
            "query": pl.Series(store_rows.queries(texts, numbers)["text"]),
            **{name: pl.Series(docs[name]) for name in ("title", "body", "fields")},
            **{name: pl.Series(candidates[name]) for name in ("grade", "steps", "rule_ids")},
            "judgment_origin": ["consensus"] * n,
            "source": ["bench"] * n,
            "operator": pl.Series([None] * n, dtype=pl.String),
            "evidence": pl.Series(texts.draw(n, 12)),
            "judgment_id": pl.Series(judgments["judgment_id"]),
            "candidate_id": pl.Series(candidates["candidate_id"]),
        }
    )


def cutter_key(root: Path) -> SigningKey:
    """Return the key the snapshots of a workspace are cut with, made at first."""
    path = root / "truth" / "cutter"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        beside = path.with_name(f"cutter-{os.getpid()}")
        beside.write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
        beside.rename(path)
    private = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    return SigningKey("cutter", private.public_key().public_bytes_raw().hex(), private)


def cutter_pin(key: SigningKey) -> Pin:
    return Pin(key.account, Role.CURATOR, key.public_key, "person_00")


ROLES: dict[str, Callable[[Path, int], None]] = {"writer": write, "publisher": publish, "snapshotter": cut}

if __name__ == "__main__":
    ROLES[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))

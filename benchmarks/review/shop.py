"""A seeded workspace made ready for people: accounts that can log in, features for cards, the app's process.

Keys are sealed at a low cost, which stands in their files: thirty logins are no part of what is measured. The seed's
reviewers keep their names, so each of them comes with thousands of answers given before.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from benchmarks.load.seed import running_store, store_pids
from benchmarks.store_rows import N_GRADES, RUN_ID, account_names
from curation.attributes import FieldVocabulary
from curation.features import pair_features
from storage.clock import now
from storage.ids import action_id
from storage.people.keys import Cost, create_key
from storage.rows import AccountRow, ResponseRow
from storage.store import Store
from storage.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a password of the bench"
N_REVIEWERS = 30
REVIEWERS = account_names(N_REVIEWERS)
LEADS = {"dora": "adjudicator", "cleo": "curator", "eli": "engineer", "root": "admin"}
CHEAP = Cost(iterations=1, lanes=1, memory_kib=64)
N_DISPUTED = 200
N_CARDS_WITH_FEATURES = 40_000  # more than thirty people answer in an hour; the rest of the queue has none
FEATURES_AT_A_TIME = 5_000
START_SECONDS = 90.0
STOP_SECONDS = 30.0
IDLE_SECONDS = 5.0

_HEAD = """
select k.pair_id, q.text as query, d.title, d.body, d.fields
from queue k join pairs p using (pair_id) join queries q using (query_id) join docs d using (doc_id)
order by k.priority desc, k.candidate_id
limit $n
"""

_AGREED = """
select r.candidate_id, r.pair_id, r.account, r.grade
from candidate_status s join responses r using (candidate_id)
where s.status = 'answered' and r.act = 'submitted'
order by r.response_id
limit $n
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What was read from the database before the app began: pairs with their texts, and answers to disagree with."""

    head: pl.DataFrame
    agreed: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Served:
    """The app while it runs: its process and where it answers."""

    pid: int
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def working_store(workspace: Workspace) -> Iterator[Store]:
    """Hold a store, of which human review sees all, while its process runs; when the block ends, the file is free."""
    with running_store(workspace.root, idle_seconds=IDLE_SECONDS), Store.connect(workspace, sees_test=True) as store:
        yield store
    while store_pids(workspace.root):  # one that a client started when ours had left too early
        time.sleep(0.2)


def look(root: Path) -> Found:
    """Read what stands first in the queue, and some answers of one person; no store process may run meanwhile."""
    with duckdb.connect(str(root / "afrel.duckdb"), read_only=True) as connection:
        head = connection.sql(_HEAD, params={"n": N_CARDS_WITH_FEATURES}).to_arrow_table()
        agreed = connection.sql(_AGREED, params={"n": N_DISPUTED}).to_arrow_table()
    return Found(pl.DataFrame(head), agreed.to_pylist())


def make_ready(store: Store, home: Path, found: Found) -> None:
    """Pin thirty reviewers and a lead of each kind with keys at home, compute features, let people disagree."""
    _pin_people(store, home)
    vocabulary = FieldVocabulary.from_docs([{"colour": "grey"}])  # brands are too many to be attributes here
    for part in found.head.iter_slices(FEATURES_AT_A_TIME):
        stamp = {"run_id": pl.lit(RUN_ID), "created_at": pl.lit(now())}
        store.append({"pair_features": pair_features(part, vocabulary).with_columns(**stamp)})
    others = dict(pairwise([*REVIEWERS, REVIEWERS[0]]))
    disputes = [
        ResponseRow(
            response_id=action_id(others[row["account"]], "dispute", number),
            candidate_id=row["candidate_id"],
            pair_id=row["pair_id"],
            account=others[row["account"]],
            act="submitted",
            grade=(row["grade"] + 2) % N_GRADES,
            is_replayed=False,
            session="dispute",
            sequence=number,
            created_at=now(),
        )
        for number, row in enumerate(found.agreed, 1)
    ]
    store.append({"responses": disputes})


def _pin_people(store: Store, home: Path) -> None:
    home.mkdir(mode=0o700)
    held = {row["account"]: row["pseudonym"] for row in store.read("accounts").to_pylist()}
    roles = {**dict.fromkeys(REVIEWERS, "reviewer"), **LEADS}
    rows = [
        AccountRow(
            account_event_id=f"a_{secrets.token_hex(8)}",
            account=account,
            role=role,
            public_key=create_key(home, account, PASSWORD, cost=CHEAP),
            pseudonym=held.get(account, f"person_{account}"),
            by_account="root",
            created_at=now(),
        )
        for account, role in roles.items()
    ]
    store.append({"accounts": rows})


@contextmanager
def served(workspace: Workspace, home: Path, log: Path) -> Iterator[Served]:
    """Run `afrel serve` on a free port until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    environment: Mapping[str, Any] = {**os.environ, "AFREL_HOME": str(home), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "afrel", "-w", str(workspace.root), "serve", "--port", str(port)]
    with open(log, "ab") as written:
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=written, stderr=written)
    try:
        _wait_until_it_answers(process, port, log)
        yield Served(process.pid, port, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"the app did not start:\n{log.read_text(encoding='utf-8')[-2000:]}") from None
            time.sleep(0.1)

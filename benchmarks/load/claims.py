"""Reviewers at the queue: how long a claim takes under load, and whether thirty at once are ever given too much.

The second keeps its own books: who was given or has answered which candidate, by what the claims returned. People
never let go of a candidate here, so the number of people per candidate only grows and must stay within the policy
whatever order answers come back in.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks import store_rows
from benchmarks.store_rows import Texts, account_names
from curation.review_policy import DEFAULT_CAUSES, Cause, cause_rows
from storage.clock import now
from storage.ids import action_id
from storage.rows import ResponseRow
from storage.store import Store
from storage.workspace import Workspace

N_REVIEWERS = 30


@dataclass(slots=True)
class Claims:
    """What one claiming process saw: seconds of each claim and of each answer it appended."""

    claims: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    n_given: int = 0


def answer(account: str, candidate_id: str, pair_id: str, session: str, sequence: int, *, act: str) -> ResponseRow:
    """Return a reviewer's act as the app makes it."""
    return ResponseRow(
        response_id=action_id(account, session, sequence),
        candidate_id=candidate_id,
        pair_id=pair_id,
        account=account,
        act=act,
        grade=sequence % 4 if act == "submitted" else None,
        is_replayed=False,
        session=session,
        sequence=sequence,
        created_at=now(),
    )


def claim_and_answer(
    root: Path, seconds: float, per_second: float, number: int, barrier: Barrier, results: Queue[Claims]
) -> None:
    """Claim one candidate, answer it, at a pace; the accounts take turns. Runs in a process of its own."""
    seen, accounts = Claims(), account_names(N_REVIEWERS)[number % 2 :: 2]
    with Store.connect(Workspace.open(root), sees_test=True) as store:
        store.claim(accounts[0], 1)
        barrier.wait(timeout=300)
        began = time.monotonic()
        n = 0
        while True:
            time.sleep(max(0.0, began + n / per_second - time.monotonic()))
            asked = time.monotonic()
            if asked - began >= seconds:
                break
            account = accounts[n % len(accounts)]
            given = store.claim(account, 1).column("candidate_id").to_pylist()
            seen.claims.append(time.monotonic() - asked)
            seen.n_given += len(given)
            for candidate_id in given:
                pair_id = store.read("why_candidate", id=candidate_id).column("pair_id")[0].as_py()
                asked = time.monotonic()
                row = answer(account, candidate_id, pair_id, f"claim{number}", n, act="submitted")
                store.append({"responses": [row]})
                seen.answers.append(time.monotonic() - asked)
            n += 1
    results.put(seen)


@dataclass(slots=True)
class Books:
    """Who is with which candidate, by what claims returned; more people than allowed is noted, not raised."""

    allowed: dict[str, int]
    people: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    wrong: list[str] = field(default_factory=list)
    n_claims: int = 0
    taken: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, account: str, candidate_ids: list[str], seconds: float) -> None:
        """Enter what one claim returned, and check it."""
        with self.lock:
            self.n_claims += 1
            self.taken.append(seconds)
            for candidate_id in candidate_ids:
                self.people[candidate_id].add(account)
                n, most = len(self.people[candidate_id]), self.allowed.get(candidate_id, 0)
                if n > most:
                    self.wrong.append(f"{candidate_id} is with {n} people, {most} are allowed")

    @property
    def n_short(self) -> int:
        """Candidates that fewer people met than the policy asks for."""
        return sum(len(self.people[candidate_id]) < most for candidate_id, most in self.allowed.items())


def fill_queue(store: Store, n: int, *, seed: int) -> dict[str, int]:
    """Append n candidates that wait for review, half of them for two people; return how many each may meet."""
    needs_two = Cause("blind_audit", "audit_draw < 0.5", 2)
    dropped = [cause.cause for cause in DEFAULT_CAUSES if cause.cause != needs_two.cause]
    store.append({"review_causes": cause_rows([needs_two], now(), dropped=dropped)})
    sizes, texts = store_rows.Sizes.of(max(n, 50)), Texts(seed)
    numbers = np.arange(n, dtype=np.uint64)
    store.append({"queries": store_rows.queries(texts, np.arange(sizes.n_queries, dtype=np.uint64))})
    store.append({"docs": store_rows.docs(texts, np.arange(sizes.n_docs, dtype=np.uint64))})
    pairs = store_rows.pairs(sizes, numbers)
    store.append({"pairs": pairs})
    candidates = store_rows.candidates(texts, numbers)
    store.append({"candidates": candidates, "screenings": store_rows.screenings(numbers, all_pass=True)})
    # The draw of a pair, counted by hand: the first 8 hex digits of its hash over 2^32.
    draws = [int(pair_id[2:10], 16) / 2**32 for pair_id in candidates.column("pair_id").to_pylist()]
    return {
        candidate_id: 2 if draw < 0.5 else 1
        for candidate_id, draw in zip(candidates.column("candidate_id").to_pylist(), draws, strict=True)
    }


def review_all(workspace: Workspace, allowed: dict[str, int], *, seed: int, n_reviewers: int = N_REVIEWERS) -> Books:
    """Let the reviewers claim and answer until nobody is given anything; return the books."""
    books = Books(allowed)
    pairs = _pairs_of(workspace, list(allowed))
    failures: list[BaseException] = []

    def review(account: str, rng: random.Random) -> None:
        try:
            with Store.connect(workspace, sees_test=True) as store:
                _review(store, account, rng, books, pairs)
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=review, args=(account, random.Random(f"{seed}:{account}")))
        for account in account_names(n_reviewers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return books


def _review(store: Store, account: str, rng: random.Random, books: Books, pairs: dict[str, str]) -> None:
    """Claim up to three, answer them in a random order, sometimes ask twice before answering."""
    sequence = 0
    while True:
        n = rng.randint(1, 3)
        asked = time.monotonic()
        given = store.claim(account, n).column("candidate_id").to_pylist()
        books.note(account, given, time.monotonic() - asked)
        if not given:
            return
        if rng.random() < 0.2:
            continue  # looks again: the same candidates, which is no second person
        rng.shuffle(given)
        for candidate_id in given:
            sequence += 1
            act = rng.choice(["submitted"] * 8 + ["discarded", "cannot_tell"])
            row = answer(account, candidate_id, pairs[candidate_id], "bench", sequence, act=act)
            store.append({"responses": [row]})


def _pairs_of(workspace: Workspace, candidate_ids: list[str]) -> dict[str, str]:
    with Store.connect(workspace, sees_test=True) as store:
        rows = [store.read("why_candidate", id=candidate_id) for candidate_id in candidate_ids]
    return dict(zip(candidate_ids, pa.concat_tables(rows).column("pair_id").to_pylist(), strict=True))

"""How writes come in: acknowledged once they are in the journal, folded into the database soon after.

One thread journals what has come meanwhile with one fsync and acknowledges it; another folds it into the database in
large groups, because a commit costs DuckDB the same whatever is in it. Whoever reads waits until what was acknowledged
before is folded. Requests that bring files or rows of a few tables (`COMMITTED_FIRST`) are acknowledged only when they
are committed; all keep the order in which they came.
"""

from __future__ import annotations

import os
import queue
import resource
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from storage.errors import UserError
from storage.process.commit import Counts
from storage.process.id_index import Keys, keys_of
from storage.process.journal import Encoded, Request, encode
from storage.process.maintained import TOUCHING
from storage.process.owner import Owner, acts_of
from storage.publishing.published import next_publish_at

MAX_GROUP = 64  # requests that share an fsync
LINGER_SECONDS = 4.0  # how long rows wait for company when nobody waits for them: a commit costs 70 ms, however few
FOLD_ROWS = 16_000  # rows that are folded at once: looking up their pairs costs nearly the same for fewer
AHEAD_SECONDS = 0.7  # of folding that may lie ahead before writers are slowed to the pace of the fold
AHEAD_ROWS = 2 * FOLD_ROWS  # at least: slowed sooner, they would leave the fold small groups, and be slowed the more
MAX_WAITING_BYTES = 192 << 20  # acknowledged and not folded: more makes writers stop
LOG_BYTES = 256 << 20  # DuckDB's log: more makes a checkpoint
CHECKPOINT_SECONDS = 120.0  # with rows in the log, before a checkpoint: a start after a crash has to read the log
RETRY_SECONDS = 1.0
IDLE_SECONDS = 2.0  # without a write, before a checkpoint and a publish
# Acknowledged only once they are committed: their rows are checked against rows that are there; and who may act is read
# so often that no reader of it should have to wait for the fold.
COMMITTED_FIRST = frozenset({"queries", "pairs", "review_causes", "accounts"})


@dataclass(slots=True)
class _Ask:
    request: Request
    encoded: Encoded | None  # None: acknowledged when committed
    keys: dict[str, Keys]
    n_rows: int
    n_bytes: int
    done: Future[Counts] = field(default_factory=Future)
    sequence: int = 0


class Intake:
    """The two threads and what is between them. `stop` folds all that was acknowledged."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._asked: queue.SimpleQueue[_Ask | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        # All below is guarded by the condition's lock.
        self._waiting: deque[_Ask] = deque()
        self._waiting_bytes = 0
        self._waiting_rows = 0
        self._rows_a_second = 10_000.0  # what the fold did of late
        self._next_turn = 0.0
        self._checkpointed_at = time.monotonic()
        self._refused_at = 0.0
        self._n_taken = 0  # requests handed to the fold, and folded
        self._n_folded = 0
        self._n_in_hurry = 0
        self._is_stopping = False
        self._last_write = time.monotonic()
        self._publish_after = 0.0
        # Only the journalling thread looks at this: ids that are acknowledged and not folded yet.
        self._pending: dict[str, set[int]] = {}
        self._folded: queue.SimpleQueue[_Ask] = queue.SimpleQueue()
        self._journalling = threading.Thread(target=self._guarded, args=(self._journal,), daemon=True)
        self._folding = threading.Thread(target=self._guarded, args=(self._fold,), daemon=True)
        self._journalling.start()
        self._folding.start()
        for upkeep in (self._publish_when_idle, self._warm_up):
            threading.Thread(target=upkeep, daemon=True).start()

    def append(self, tables: Mapping[str, pa.Table], files: Mapping[str, str]) -> Counts:
        """Keep rows; return how many were new in each table, once they are safe."""
        return self._keep(self._owner.admit(tables, files))

    def update_run(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Set columns of a run, once everything appended before is in."""
        self._keep(self._owner.admit({}, update={**values, "run_id": run_id}))

    def update_job(self, job_id: str, values: Mapping[str, Any]) -> None:
        """Set columns of a job, once everything appended before is in."""
        self._keep(self._owner.admit({}, update={**values, "job_id": job_id}))

    def claim(self, account: str, n: int, session: str, sequence: int, among: Sequence[str] | None = None) -> pa.Table:
        """Choose and lease candidates; the leases are safe when this returns. One column, candidate_id."""
        chosen = self._owner.choose(account, n, session, sequence, among)
        if len(chosen.candidate_ids) < n:  # what was acknowledged last may bring more
            self.wait_until_folded()
            chosen = self._owner.choose(account, n, session, sequence, among)
        if chosen.leases.num_rows:
            self._keep(self._owner.admit({"leases": chosen.leases}))
        return chosen.to_table()

    def wait_until_folded(self) -> None:
        """Return when all that was acknowledged before is in the database."""
        with self._changed:
            target = self._n_taken
            if self._n_folded >= target:
                return
            self._n_in_hurry += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._n_folded >= target)
            self._n_in_hurry -= 1

    def publish(self) -> Path:
        """Bring the published copy up to all that was acknowledged before."""
        self.wait_until_folded()
        return self._publish()

    def stop(self) -> None:
        """Fold everything and end the threads."""
        self._asked.put(None)
        self._journalling.join()
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._folding.join()

    def _keep(self, request: Request) -> Counts:
        is_direct = bool(request.files) or not COMMITTED_FIRST.isdisjoint(request.tables)
        keys = {} if is_direct else {t: keys_of(rows.column(0)) for t, rows in request.tables.items()}
        n_rows = sum(rows.num_rows for rows in request.tables.values())
        n_bytes = sum(rows.nbytes for rows in request.tables.values())
        ask = _Ask(request, None if is_direct else encode(request), keys, n_rows, n_bytes)
        if (pause := self._pause_before(n_rows)) > 0:
            time.sleep(pause)
        with self._changed:
            self._changed.wait_for(lambda: self._waiting_bytes < MAX_WAITING_BYTES)
        self._asked.put(ask)
        return ask.done.result()

    def _pause_before(self, n_rows: int) -> float:
        """Return how long rows must wait so that writers together are no faster than the fold; evenly, not by turns."""
        with self._changed:
            ahead = self._waiting_rows / max(AHEAD_SECONDS * self._rows_a_second, AHEAD_ROWS)
            if ahead < 1.0:
                return 0.0
            at = time.monotonic()
            brake = min(1.5, ahead)
            self._next_turn = max(at, self._next_turn) + n_rows / self._rows_a_second * brake
            return min(self._next_turn - at, 1.0)

    def _guarded(self, loop: Callable[[], None]) -> None:
        """Run a thread; what ends it ends the process: clients reconnect, and the next start replays the journal."""
        try:
            loop()
        except BaseException:
            traceback.print_exc()
            os._exit(3)

    # ---- journalling ----

    def _journal(self) -> None:
        is_open = True
        while is_open:
            group = [self._asked.get()]
            while len(group) < MAX_GROUP and not self._asked.empty():
                group.append(self._asked.get())
            is_open = None not in group
            asks = [ask for ask in group if ask is not None]
            self._forget_folded()
            self._acknowledge([ask for ask in asks if ask.encoded is not None])
            for ask in asks:
                if ask.encoded is None:
                    self._hand_over([ask])

    def _acknowledge(self, asks: list[_Ask]) -> None:
        """Write to the journal what is new, with one fsync, and tell those who asked."""
        if not asks:
            return
        counts = [self._note_pending(ask) for ask in asks]
        encoded = [ask.encoded for ask, held in zip(asks, counts, strict=True) if ask.encoded and _is_news(ask, held)]
        if encoded:
            try:
                sequence = self._owner.journal.write(encoded)
            except UserError as error:
                for ask in asks:
                    self._forget(ask)
                    ask.done.set_exception(error)
                return
            news = [ask for ask, held in zip(asks, counts, strict=True) if _is_news(ask, held)]
            for ask in news:
                ask.sequence = sequence
                self._owner.desk.note(acts_of(ask.request))
            self._hand_over(news)
        for ask, held in zip(asks, counts, strict=True):
            ask.done.set_result(held)

    def _note_pending(self, ask: _Ask) -> Counts:
        """Return how many rows of each table are new, and note their ids as acknowledged."""
        counts = {}
        for table, keys in ask.keys.items():
            if not self._owner.indexes.is_loaded(table):
                self._owner.load_indexes([table])
            pending = self._pending.setdefault(table, set())
            is_new = ~self._owner.indexes.ids(table).holds(keys)
            new = set(keys[is_new].tolist()) - pending
            pending |= new
            ask.keys[table] = np.fromiter(new, np.uint64, len(new))
            counts[table] = len(new)
        return counts

    def _forget_folded(self) -> None:
        """Drop the ids that the index holds by now."""
        while not self._folded.empty():
            self._forget(self._folded.get())

    def _forget(self, ask: _Ask) -> None:
        for table, keys in ask.keys.items():
            self._pending[table].difference_update(keys.tolist())

    def _hand_over(self, asks: list[_Ask]) -> None:
        with self._changed:
            self._waiting.extend(asks)
            self._n_taken += len(asks)
            self._waiting_bytes += sum(ask.n_bytes for ask in asks)
            self._waiting_rows += sum(ask.n_rows for ask in asks)
            self._last_write = time.monotonic()
            self._changed.notify_all()

    # ---- folding ----

    def _fold(self) -> None:
        while True:
            group = self._next_group()
            if group is None:
                return
            if group:
                self._fold_group(group)
            if self._is_checkpoint_due(is_idle=not group):
                self._checkpoint(is_idle=not group)

    def _is_checkpoint_due(self, *, is_idle: bool) -> bool:
        at, n_bytes = time.monotonic(), self._owner.log_bytes()
        is_old = at > self._checkpointed_at + CHECKPOINT_SECONDS
        is_wanted = n_bytes > LOG_BYTES or (n_bytes > 0 and (is_idle or is_old))
        return is_wanted and at > self._refused_at + RETRY_SECONDS

    def _checkpoint(self, *, is_idle: bool) -> None:
        if self._owner.checkpoint():
            self._checkpointed_at = time.monotonic()
            if is_idle:
                self._owner.save_indexes()
        else:
            self._refused_at = time.monotonic()

    def _next_group(self) -> list[_Ask] | None:
        """Return what to fold now, [] when it is time for upkeep, None at the end."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._is_stopping, timeout=IDLE_SECONDS):
                return []
            if not self._waiting:
                return None
            self._changed.wait_for(
                lambda: self._n_in_hurry or self._is_stopping or self._has_enough(), timeout=LINGER_SECONDS
            )
            group: list[_Ask] = []
            n_rows = 0
            while self._waiting and n_rows < FOLD_ROWS:
                if self._waiting[0].encoded is None and group:
                    break  # a request that is acknowledged by its commit has one of its own
                ask = self._waiting.popleft()
                group.append(ask)
                n_rows += ask.n_rows
                if ask.encoded is None:
                    break
            return group

    def _has_enough(self) -> bool:
        return (
            any(ask.encoded is None for ask in self._waiting) or sum(ask.n_rows for ask in self._waiting) >= FOLD_ROWS
        )

    def _fold_group(self, group: list[_Ask]) -> None:
        is_direct = group[0].encoded is None
        sequence = None if is_direct else group[-1].sequence
        # A record of the journal may be split over two folds: it counts as folded only with its last request.
        with self._changed:
            if sequence is not None and self._waiting and self._waiting[0].sequence == sequence:
                sequence -= 1
        began = time.monotonic()
        outcomes = self._owner.fold([ask.request for ask in group], sequence=sequence)
        seconds, n_rows = time.monotonic() - began, sum(ask.n_rows for ask in group)
        for ask, outcome in zip(group, outcomes, strict=True):
            if not is_direct:
                if isinstance(outcome, Exception):
                    self._set_aside(ask, outcome)
                self._owner.desk.forget_noted(acts_of(ask.request))
                self._folded.put(ask)
        with self._changed:
            self._n_folded += len(group)
            self._waiting_bytes -= sum(ask.n_bytes for ask in group)
            self._waiting_rows -= n_rows
            if n_rows > 1000:
                self._rows_a_second += 0.3 * (n_rows / seconds - self._rows_a_second)
            self._changed.notify_all()
        if is_direct:
            (ask,), (outcome,) = group, outcomes
            if isinstance(outcome, Exception):
                ask.done.set_exception(outcome)
            else:
                self._owner.note_committed(outcome)
                ask.done.set_result(outcome)

    def _set_aside(self, ask: _Ask, error: Exception) -> None:
        """Keep a request that was acknowledged and that the database refuses: it must be seen, not lost."""
        folder = self._owner.root / "journal" / "refused"
        folder.mkdir(exist_ok=True)
        name = f"{ask.sequence:020d}-{time.time_ns()}"
        assert ask.encoded is not None
        (folder / f"{name}.arrow").write_bytes(ask.encoded.body)
        (folder / f"{name}.txt").write_text(f"{type(error).__name__}: {error}\n{ask.encoded.head}\n", encoding="utf-8")
        print(f"the database refused an acknowledged request, kept as {folder / name}.arrow: {error}", flush=True)

    def _warm_up(self) -> None:
        """Read the indexes and the head of the queue before the first request that needs them."""
        with suppress(duckdb.ConnectionException):  # the process may end before it is warm
            for table in (*TOUCHING, *COMMITTED_FIRST):
                self._owner.load_indexes([table])
            self._owner.choose("", 0, "", 0)

    def _publish_when_idle(self) -> None:
        """Keep a copy that somebody asked for up to date, when nobody writes and at a quarter of a core at most."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._is_stopping, timeout=IDLE_SECONDS):
                    return
                is_idle = not self._waiting and time.monotonic() > self._last_write + IDLE_SECONDS
            if is_idle and time.monotonic() >= self._publish_after and self._owner.has_published():
                try:
                    self._publish()
                except Exception:
                    traceback.print_exc()  # whoever asks for the copy is told; commits must not suffer
                    self._publish_after = time.monotonic() + 60

    def _publish(self) -> Path:
        before = _cpu_seconds()
        path = self._owner.publish()
        self._publish_after = next_publish_at(time.monotonic(), _cpu_seconds() - before)
        return path


def _is_news(ask: _Ask, held: Counts) -> bool:
    return any(held.values()) or ask.request.update is not None


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

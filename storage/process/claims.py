"""Who gets which candidate next: the head of the queue in memory, and the leases that are running.

The head is exactly the queue's rows down to a floor; every fold brings it up to date, and it grows downwards when a
reviewer has seen all of it. So a claim costs no query over the queue, however long that is. Who grades the docs of one
query together claims them by name, from wherever they stand in the queue; both kinds of claim keep to the same leases.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import duckdb
import numpy as np
import pyarrow as pa

from storage.ids import action_id
from storage.process.id_index import keys_of
from storage.process.places import StoreIndexes
from storage.process.put_off import DeskAct, PutOff
from storage.process.standing import standing_sql

LEASE = timedelta(minutes=30)
RENEW = timedelta(minutes=21)  # a lease that runs for longer is left as it is when its holder asks again
HEAD = 5_000  # rows read at once
MOST = 50_000  # rows kept before the head is cut back to HEAD
LOOKED_UP_AT_ONCE = 100  # rows of the head ahead, of those whose people are not known
MANY_CHANGES = 20_000  # more than this changes more of the head than reading it anew costs

Rank = tuple[float, str]  # -priority, candidate_id: ascending is the order of the queue
_FIRST: Rank = (float("-inf"), "")
_LAST: Rank = (float("inf"), "")

_HEAD = f"""
select candidate_id, pair_id, n_required, n_required - n_open as n_answers, priority
from queue
where priority < $priority or (priority = $priority and candidate_id > $candidate_id)
order by priority desc, candidate_id
limit {HEAD}
"""

_RUNNING = """
with running as (select candidate_id, account, max(until) as until from leases where until > ? group by all)
select c.pair_id, r.candidate_id, r.account, r.until from running r join candidates c using (candidate_id)
"""

_NAMED = """
select candidate_id, pair_id, n_required, n_answers, priority
from candidate_status
where status = 'awaiting_review' and rowid in (from claimed_places)
"""

_ANSWERED = f"""
select distinct pair_id, account
from ({
    standing_sql(
        "(select * from responses where rowid in (from answered_responses))",
        "(select * from send_backs where rowid in (from answered_send_backs))",
    )
}) standing
"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a claim gives out: candidates in the queue's order, and rows for `leases` that are still to be committed.

    A lease on disk that runs for `RENEW` and longer has no new row.
    """

    candidate_ids: list[str]
    leases: pa.Table

    def to_table(self) -> pa.Table:
        """Return the candidates as the one column of a claim's answer."""
        return pa.table({"candidate_id": pa.array(self.candidate_ids, pa.string())})


@dataclass(slots=True)
class _Waiting:
    rank: Rank
    pair_id: str
    n_required: int
    answered: frozenset[str] | None  # accounts whose answer stands; None: not looked up yet

    @property
    def candidate_id(self) -> str:
        return self.rank[1]


class ClaimDesk:
    """Chooses candidates and leases them. Thread-safe."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, indexes: StoreIndexes) -> None:
        self._connection = connection.cursor()
        self._indexes = indexes
        self._lock = threading.Lock()
        self._order: list[Rank] = []
        self._waiting: dict[str, _Waiting] = {}
        self._floor = _FIRST  # every queue row ranked up to here is in the head
        self._leases: dict[str, dict[str, datetime]] | None = None
        # candidates that were leased, by pair: a newer one may have replaced them
        self._leased: dict[str, set[str]] = {}
        self._committed: dict[tuple[str, str], datetime] = {}  # (candidate, account) -> end of a lease that is on disk
        self._unfolded: Counter[tuple[str, str]] = Counter()  # (pair, account) of answers acknowledged, not committed
        self._answering: dict[str, set[str]] = {}  # the same, accounts by pair
        self._put_off = PutOff(self._connection)
        self._noted: deque[list[DeskAct]] = deque()  # acts acknowledged, taken in by whoever next holds the lock

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def choose(
        self, account: str, n: int, session: str, sequence: int, *, at: datetime, among: Sequence[str] | None = None
    ) -> Chosen:
        """Choose up to n candidates in the order of the queue and lease them.

        A candidate is passed over when the account has answered its pair, or when as many others hold a lease as
        answers are still wanted. An account's own leases are no bar: asking again gives the same ones. What it has
        put off comes when there is nothing else. With `among`, only these are looked at, in their order.
        """
        with self._lock:
            self._take_noted()
            leases = self._running_leases(at)
            if among is None:
                chosen = self._first_free(account, n, leases, at)
            else:
                named = self._read_named(among)
                free = (one for one in named if self._is_free(one, account, leases, at))
                chosen = list(islice(free, n))
            renewed: list[str] = []
            for waiting in chosen:
                holders = leases.setdefault(waiting.candidate_id, {})
                holders[account] = max(at + LEASE, holders.get(account, at))
                if self._committed.get((waiting.candidate_id, account), at) < at + RENEW:
                    renewed.append(waiting.candidate_id)
                self._leased.setdefault(waiting.pair_id, set()).add(waiting.candidate_id)
                self._put_off.take_up(account, waiting.pair_id)
        names = [action_id(account, f"{session}:lease:{sequence}", place) for place in range(len(renewed))]
        rows = pa.table(
            {
                "lease_id": pa.array(names, pa.string()),
                "candidate_id": pa.array(renewed, pa.string()),
                "account": pa.array([account] * len(renewed), pa.string()),
                "until": pa.array([at + LEASE] * len(renewed), pa.timestamp("us")),
                "created_at": pa.array([at] * len(renewed), pa.timestamp("us")),
            }
        )
        return Chosen([waiting.candidate_id for waiting in chosen], rows)

    def note(self, acts: list[DeskAct]) -> None:
        """Note acts that are acknowledged: every later claim knows of them, before any fold. Waits for no claim."""
        if acts:
            self._noted.append(acts)

    def catch_up(self, acts: Iterable[DeskAct]) -> None:
        """Take in acts that are committed, as far as they were not noted before."""
        with self._lock:
            self._take_noted()
            self._put_off.catch_up(acts)

    def hold(self, leases: Iterable[tuple[str, str, datetime]]) -> None:
        """Take in (candidate_id, account, until) of leases that are committed: not all are given out here."""
        with self._lock:
            if self._leases is None:
                return  # they will be read with the others
            for candidate_id, account, until in leases:
                holders = self._leases.setdefault(candidate_id, {})
                holders[account] = max(until, holders.get(account, until))
                self._committed[candidate_id, account] = until

    def forget_noted(self, acts: Iterable[DeskAct]) -> None:
        """Forget noted acts: they are committed, and `update` has brought what follows from them."""
        with self._lock:
            self._take_noted()
            for pair_id, account in _answers(acts):
                self._unfolded[pair_id, account] -= 1
                if self._unfolded[pair_id, account] <= 0:
                    del self._unfolded[pair_id, account]
                    accounts = self._answering.get(pair_id, set())
                    accounts.discard(account)
                    if not accounts:
                        self._answering.pop(pair_id, None)

    def update(self, derived: Iterable[pa.Table]) -> None:
        """Bring the head up to date with candidates whose standing was derived anew and is committed."""
        with self._lock:
            self._take_noted()
            for rows in derived:
                if self._floor == _FIRST:
                    return  # nothing is read yet
                if rows.num_rows > MANY_CHANGES:
                    self._forget()
                    return
                self._update(rows)
            if len(self._order) > MOST:
                self._forget()

    def forget(self) -> None:
        """Read the head anew when it is next asked."""
        with self._lock:
            self._forget()

    def _take_noted(self) -> None:
        while self._noted:
            acts = self._noted.popleft()
            for pair_id, account in _answers(acts):
                self._unfolded[pair_id, account] += 1
                self._answering.setdefault(pair_id, set()).add(account)
            self._put_off.follow(acts)

    def _forget(self) -> None:
        self._order, self._waiting, self._floor = [], {}, _FIRST
        self._put_off.forget()

    def _update(self, rows: pa.Table) -> None:
        is_ranked = (rows["priority"].to_numpy() >= -self._floor[0]).tolist()
        for at, candidate_id in enumerate(rows["candidate_id"].to_pylist()):
            held = self._waiting.pop(candidate_id, None)
            if held is not None:
                del self._order[bisect_left(self._order, held.rank)]
            if not is_ranked[at]:
                continue
            row = {
                name: rows[name][at].as_py() for name in ("status", "priority", "pair_id", "n_answers", "n_required")
            }
            rank = (-row["priority"], candidate_id)
            if row["status"] == "awaiting_review" and rank <= self._floor:
                answered = self._answered_now(held, row["pair_id"], row["n_answers"])
                self._add(_Waiting(rank, row["pair_id"], row["n_required"], answered))

    def _answered_now(self, held: _Waiting | None, pair_id: str, n_answers: int) -> frozenset[str] | None:
        """Return whose answers stand on a pair after a commit whose answers are still noted; None: look it up.

        Who answered did so before or is among those noted: when these together are as many as counted, they are those.
        """
        if n_answers == 0:
            return frozenset()
        if held is None or held.answered is None:
            return None
        together = held.answered | self._answering.get(pair_id, set())
        return together if len(together) == n_answers else None

    def _add(self, waiting: _Waiting) -> None:
        insort(self._order, waiting.rank)
        self._waiting[waiting.rank[1]] = waiting

    def _extend(self) -> bool:
        """Read the next rows of the queue below the floor; say whether there were any."""
        if self._floor == _LAST:
            return False
        after = {"priority": -self._floor[0], "candidate_id": self._floor[1]}
        rows = self._connection.execute(_HEAD, after).fetchall()
        for candidate_id, pair_id, n_required, n_answers, priority in rows:
            answered = None if n_answers else frozenset[str]()
            rank = (-priority, candidate_id)
            self._order.append(rank)
            self._waiting[candidate_id] = _Waiting(rank, pair_id, n_required, answered)
        self._floor = self._order[-1] if len(rows) == HEAD else _LAST
        return bool(rows)

    def _first_free(self, account: str, n: int, leases: dict[str, dict[str, datetime]], at: datetime) -> list[_Waiting]:
        """Return the first n of the queue that are free, what the account has put off behind the others."""
        put_off = self._put_off.of(account)
        chosen: list[_Waiting] = []
        for_later: list[_Waiting] = []
        place = 0
        while len(chosen) < n:
            if place == len(self._order):
                if not self._extend():
                    break
                continue
            waiting = self._waiting[self._order[place][1]]
            if waiting.answered is None:
                self._look_up([self._waiting[rank[1]] for rank in self._order[place : place + LOOKED_UP_AT_ONCE]])
            if self._is_free(waiting, account, leases, at):
                (for_later if waiting.pair_id in put_off else chosen).append(waiting)
            place += 1
        return chosen + for_later[: n - len(chosen)]

    def _read_named(self, candidate_ids: Sequence[str]) -> list[_Waiting]:
        """Return those of some candidates that wait for an answer, in the order they are named, each once.

        Those of the head may be behind the last commit; so who answered is looked up, after this was read.
        """
        names = list(dict.fromkeys(candidate_ids))
        places = self._indexes.ids("candidates").find(np.unique(keys_of(pa.array(names, pa.string()))))
        self._connection.register("claimed_places", pa.table({"place": places}))
        try:
            rows = {row[0]: row for row in self._connection.execute(_NAMED).fetchall()}
        finally:
            self._connection.unregister("claimed_places")
        return [
            _Waiting((-rows[name][4], name), rows[name][1], rows[name][2], None if rows[name][3] else frozenset())
            for name in names
            if name in rows
        ]

    def _is_free(self, waiting: _Waiting, account: str, leases: dict[str, dict[str, datetime]], at: datetime) -> bool:
        if waiting.answered is None:
            self._look_up([waiting])
        answered = waiting.answered or frozenset()
        if account in answered:
            return False
        # Whose answers and leases are on this very candidate nearly always decides, and thousands are passed over where
        # many work: so that is told first.
        n_others = len(answered)
        for holder, until in leases.get(waiting.rank[1], {}).items():
            if holder != account and holder not in answered and self._is_in_force(holder, until, waiting.pair_id, at):
                n_others += 1
        if n_others >= waiting.n_required:
            return False
        answering = self._answering.get(waiting.pair_id, set())
        leased = self._leased.get(waiting.pair_id, set())
        if not answering and leased <= {waiting.rank[1]}:
            return True
        if account in answering:
            return False
        running = [
            (candidate_id, holder)
            for candidate_id in leased | {waiting.candidate_id}
            for holder, until in leases.get(candidate_id, {}).items()
            if self._is_in_force(holder, until, waiting.pair_id, at)
        ]
        if any(holder == account and candidate_id != waiting.candidate_id for candidate_id, holder in running):
            return False  # an older candidate of the pair lies on their screen: nobody answers a pair twice
        # Who answered and who holds a lease, as one set: an answer may be committed before the head is told of it.
        return len(({holder for _, holder in running} | answering | answered) - {account}) < waiting.n_required

    def _is_in_force(self, holder: str, until: datetime, pair_id: str, at: datetime) -> bool:
        return until > at and not self._put_off.frees(holder, pair_id)

    def _look_up(self, waiting: Sequence[_Waiting]) -> None:
        """Ask the store whose answers stand on the pairs of which that is not known."""
        unknown = {one.pair_id: one for one in waiting if one.answered is None}
        keys = np.unique(keys_of(pa.array(list(unknown), pa.string())))
        for table in ("responses", "send_backs"):
            places = self._indexes.index(table, "pair_id").find(keys)
            self._connection.register(f"answered_{table}", pa.table({"place": places}))
        try:
            rows = self._connection.execute(_ANSWERED).fetchall()
        finally:
            for table in ("responses", "send_backs"):
                self._connection.unregister(f"answered_{table}")
        accounts: dict[str, set[str]] = {}
        for pair_id, account in rows:
            accounts.setdefault(pair_id, set()).add(account)
        for pair_id, one in unknown.items():
            one.answered = frozenset(accounts.get(pair_id, ()))

    def _running_leases(self, at: datetime) -> dict[str, dict[str, datetime]]:
        """Return account -> end of lease by candidate, read once and then kept; what has run out goes now and then."""
        if self._leases is None:
            self._leases = {}
            rows = self._connection.execute(_RUNNING, [at]).fetchall()
            for pair_id, candidate_id, account, until in rows:
                self._leases.setdefault(candidate_id, {})[account] = until
                self._leased.setdefault(pair_id, set()).add(candidate_id)
        elif len(self._leases) > MOST:
            self._leases = {
                candidate_id: running
                for candidate_id, holders in self._leases.items()
                if (running := {account: until for account, until in holders.items() if until > at})
            }
            self._leased = {
                pair_id: still for pair_id, leased in self._leased.items() if (still := leased & self._leases.keys())
            }
            self._committed = {named: until for named, until in self._committed.items() if until > at}
        return self._leases


def _answers(acts: Iterable[DeskAct]) -> list[tuple[str, str]]:
    """Return (pair_id, account) of the acts that close a pair for their account."""
    return [(act.pair_id, act.account) for act in acts if act.act not in ("withdrawn", "later")]

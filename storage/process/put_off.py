"""What each reviewer wants later: it comes last in their queue, and others need not wait for the lease they hold on it.

Once somebody has put a pair off and claims it again, the lease counts again: both might answer else. The claim desk
asks under its lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb

from storage.process.standing import acts_sql

_PUT_OFF = f"""
with asked as (
    select * from responses
    where account = $account
      and pair_id in (select pair_id from responses where account = $account and act = 'later')),
acts as ({acts_sql("asked")})
select pair_id, arg_max(response_id, (effective_at, session, sequence, response_id)) as response_id
from acts
where act <> 'withdrawn' and not is_withdrawn
group by pair_id
having arg_max(act, (effective_at, session, sequence, response_id)) = 'later'
"""


@dataclass(frozen=True, slots=True)
class DeskAct:
    """What the desk needs to know of a person's act."""

    response_id: str
    pair_id: str
    account: str
    act: str


class PutOff:
    """The pairs each account has put off, once it has claimed; read from the store, then kept up by acts."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._pairs: dict[str, dict[str, str]] = {}  # account -> pair -> the act that says so
        self._to_read_again: set[str] = set()  # accounts that undid something
        self._followed: set[str] = set()  # acts taken in that are not committed yet
        self._missed: set[str] = set()  # acts not committed yet of accounts that were not read when they came
        self._taken_up: set[tuple[str, str]] = set()  # (account, pair) claimed again since, or perhaps

    def forget(self) -> None:
        """Read everything anew when it is next asked."""
        self._pairs, self._to_read_again, self._taken_up = {}, set(), set()

    def of(self, account: str) -> Mapping[str, str]:
        """Return the pairs of which the account's last act that was not undone is `later`, with that act."""
        if account not in self._pairs or account in self._to_read_again:
            known = self._pairs.get(account, {})
            found = dict(self._connection.execute(_PUT_OFF, {"account": account}).fetchall())
            # what was put off unseen may have been claimed again unseen
            self._taken_up |= {(account, pair_id) for pair_id in found if known.get(pair_id) != found[pair_id]}
            self._pairs[account] = found
            self._to_read_again.discard(account)
        return self._pairs[account]

    def take_up(self, account: str, pair_id: str) -> None:
        """Note that the account claims a pair: if it was put off, its lease counts again."""
        if pair_id in self._pairs.get(account, ()):
            self._taken_up.add((account, pair_id))

    def frees(self, account: str, pair_id: str) -> bool:
        """Say whether others need not wait for the account's lease on the pair; in doubt they must."""
        if pair_id not in self._pairs.get(account, ()):
            return False  # nearly always
        return account not in self._to_read_again and (account, pair_id) not in self._taken_up

    def follow(self, acts: Iterable[DeskAct]) -> None:
        """Take in acts that are acknowledged."""
        for act in acts:
            if act.account in self._pairs:
                self._followed.add(act.response_id)
                self._follow(act)
            else:  # what is read before the act is committed will lack it
                self._missed.add(act.response_id)

    def catch_up(self, acts: Iterable[DeskAct]) -> None:
        """Take in acts that are committed, unless that was done when they were acknowledged: claims came since."""
        for act in acts:
            if act.response_id in self._followed:
                self._followed.discard(act.response_id)
            else:
                self._follow(act)
                if act.response_id in self._missed and act.act == "later":
                    self._taken_up.add((act.account, act.pair_id))  # it may have been claimed again unseen
                self._missed.discard(act.response_id)
            if act.act == "withdrawn":
                self._to_read_again.add(act.account)  # the store knows now what is undone

    def _follow(self, act: DeskAct) -> None:
        if act.act == "withdrawn":
            self._to_read_again.add(act.account)
        pairs = self._pairs.get(act.account)
        if pairs is None:
            return  # they will be read
        if act.act == "later":
            pairs[act.pair_id] = act.response_id
            self._taken_up.discard((act.account, act.pair_id))
        elif act.act != "withdrawn":
            pairs.pop(act.pair_id, None)

"""Whether anything was lost, doubled or given to too many: what was acknowledged, held against the database itself.

The file is read when the app and the store process have left, so it has all that was acknowledged. A pair's policy is
the largest number of answers any of its candidates wants at the end: reasons for more people only ever come up here,
since nobody takes anything back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.review.clients import Sent
from storage.ids import action_id

_ANSWERED = "(select distinct pair_id from responses where session in (select session from sent))"
_BEYOND = f"""
with pairs_answered as {_ANSWERED},
allowed as (
    select pair_id, max(n_required) as most, count(*) as n_candidates
    from candidate_status semi join pairs_answered using (pair_id) group by pair_id),
people as (
    select pair_id, account from standing_responses semi join pairs_answered using (pair_id)
    {{given}}),
counted as (select pair_id, count(distinct account) as n from people group by pair_id)
select count(*), count(*) filter (n_candidates > 1), min(pair_id) from counted join allowed using (pair_id)
where n > most
"""
_GIVEN = """
    union
    select pair_id, account from leases join candidate_status using (candidate_id)
    where created_at >= $since and pair_id in (select pair_id from pairs_answered)
"""
_TWICE = """
select count(*) from (
    select account, pair_id from responses where session in (select session from sent)
    group by all having count(*) > 1)
"""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Pairs that met more people than their policy asks for; how many of them have two candidates or more; one."""

    n: int
    n_of_two: int
    example: str | None


@dataclass(frozen=True, slots=True)
class Books:
    """Counts of what should not be. `n_answered_twice`: by one person, on one pair.

    `given` counts people who were given a pair's card, answered or not; None when leases ran out meanwhile and a card
    may rightly go to another.
    """

    n_acts: int
    n_lost: int
    n_altered: int
    n_extra: int
    n_answered_twice: int
    answered: Beyond
    given: Beyond | None


def check(root: Path, sent: Sequence[Sent], *, since: datetime | None) -> Books:
    """Look acknowledged acts up, and everything else their sessions left; `since` is when leases began to count."""
    expected = pa.table(
        {
            "response_id": [action_id(one.account, one.session, one.sequence) for one in sent],
            "session": [one.session for one in sent],
            "candidate_id": [one.candidate_id for one in sent],
            "grade": pa.array([one.grade for one in sent], pa.int32()),
        }
    )
    with duckdb.connect(str(root / "afrel.duckdb"), read_only=True) as connection:
        connection.register("sent", expected)

        def count(sql: str) -> int:
            return int(connection.execute(sql).fetchall()[0][0])

        def beyond(given: str, **params: datetime) -> Beyond:
            return Beyond(*connection.execute(_BEYOND.format(given=given), params).fetchall()[0])

        kept = "responses r join sent s using (response_id)"
        is_other = "r.grade is distinct from s.grade or r.candidate_id <> s.candidate_id"
        return Books(
            n_acts=len(sent),
            n_lost=count("select count(*) from sent anti join responses using (response_id)"),
            n_altered=count(f"select count(*) from {kept} where {is_other}"),
            n_extra=count("select count(*) from responses where session in (select session from sent)")
            - count(f"select count(*) from {kept}"),
            n_answered_twice=count(_TWICE),
            answered=beyond(""),
            given=None if since is None else beyond(_GIVEN, since=since),
        )

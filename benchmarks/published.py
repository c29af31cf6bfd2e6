"""How long the published copy takes over a large store, and what it costs those who write meanwhile.

    python benchmarks/published.py [--candidates 1000000] [--folder DIR]

Builds a store in SQL, in the shapes of a real one, then publishes it: whole, and after each of five rounds of 10,000
changed rows, while another connection commits small requests and fsyncs a journal of its own for each. Prints one JSON
object: seconds, CPU seconds of the publish and the longest time a committer waited.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb

from storage.process.migrate import migrate
from storage.publishing.published import begin_snapshot, publish

N_CHANGED = 10_000
N_ROUNDS = 5
PEOPLE = [f"person.{n}@shop.example" for n in range(8)]
WORDS = 2000

# {n} candidates; {at} is a fixed time. Every id is a hash, as in a real store.
BUILD = """
create temp macro id(prefix, n) as prefix || '_' || substr(md5(prefix || n), 1, 16);
create temp macro text(seed, n_words) as array_to_string(
    list_transform(range(n_words), lambda i: 'word' || hash(seed * 1000 + i) % {words}), ' ');
create temp macro split_of(n) as case n % 10 when 8 then 'dev' when 9 then 'test' else 'train' end;
insert into runs select id('run', i), 'label', 'finished', md5(i::varchar), '{{"proposer": "served:small"}}',
    '{{"pairs": 100}}', '0.1.0', 'person.0@shop.example', {at}, {at}, null from range(200) t(i);
insert into accounts by name select id('a', i) as account_event_id, 'person.' || i || '@shop.example' as account,
    'reviewer' as role, md5(i::varchar) as public_key, 'person_' || i as pseudonym, {at} as created_at
    from range({people}) t(i);
insert into grades select id('g', i), i, 'grade ' || i, {at} from range(4) t(i);
insert into queries select id('q', i), text(i, 4), id('q', i), split_of(i), 'shop', id('run', 0), {at}
    from range({n} // 20) t(i);
insert into docs select id('d', i), text(i, 8), text(-i, 40), '{{"brand": "word' || i % 500 || '"}}', 'shop',
    id('run', 0), {at} from range({n} // 3) t(i);
insert into pairs select id('p', i), id('q', i // 20), id('d', (i * 7) % ({n} // 3)), split_of(i // 20), 'import',
    'shop', id('run', 0), {at} from range({n}) t(i);
insert into pair_features select id('p', i), 4, 48, false, random(), random(), random(), random(), random(), random(),
    random(), random(), 40, 1, false, 0, i % 2, i % 2, 0, i % 3, 0, i % 5 = 0, ['word' || i % {words}], [],
    ['brand'], ['brand'], ['brand'], [], id('run', 0), {at} from range({n}) t(i);
insert into rules select id('r', i), 'rule ' || text(i, 6), 'n_number_conflicts > ' || i, i % 4, null, 'mined',
    id('run', 1), {at} from range(200) t(i);
insert into rule_votes select id('v', i), id('r', hash(i) % 200), id('p', (i * 13) % {n}), i % 4, id('run', 1), {at}
    from range({n}) t(i);
insert into llm_calls select id('l', i), 'label', 'label', 'served', 'small', md5('template'),
    '{{"messages": [["system", "' || repeat('Grade the pair by the guideline. ', 12) || '"], ["user", "' || text(i, 30)
    || '"]]}}', '{{"grade": ' || i % 4 || ', "steps": "' || text(i, 12) || '"}}', null, 400 + i % 300, 40 + i % 20,
    random(), null, id('run', i % 200), {at} + to_milliseconds(i) from range({n}) t(i);
insert into candidates select id('c', i), id('p', i), i % 4, '[["verdict", "' || text(i, 12) || '"]]',
    [id('r', i % 200)], random(), 'served:small', null, id('l', i), id('run', i % 200), {at} + to_milliseconds(i)
    from range({n}) t(i);
insert into screenings select id('s', i), id('c', i), 'all', true, null, null, 'passed', id('run', 2), {at}
    from range({n}) t(i);
insert into responses select id('a', i), id('c', i), id('p', i), 'person.' || i % {people} || '@shop.example',
    'submitted', (i + (i % 7 = 0)::integer) % 4, null, null, null, null, 3 + random(), false, 's' || i // 500, i % 500,
    null, {at} + to_seconds(i) from range({n} * 6 // 10) t(i);
insert into judgments select id('j', i), id('p', i), i % 4, 'consensus', id('c', i), null, [id('a', i)], null, null,
    false, id('run', 3), {at} + to_seconds(i) from range({n} * 5 // 10) t(i);
insert into predictions select id('y', i), id('p', i * 10), id('run', 5), i % 4, [0.1, 0.2, 0.3, 0.4], id('run', 6),
    {at} from range({n} // 10) t(i);
insert into candidate_status select id('c', i), id('p', i),
    case when i < {n} * 5 // 10 then 'settled' when i < {n} * 6 // 10 then 'answered' else 'awaiting_review' end,
    (i < {n} * 6 // 10)::integer, 1, '', random() from range({n}) t(i);
update position set n_commits = 1;
"""

# One round of change: new candidates, and answers that settle pairs all over the store.
CHANGE = """
insert into pairs select id('p', i), id('q', i % 1000), id('d', i % 1000), split_of(i % 1000), 'import', 'shop',
    id('run', 0), {at} from range({n}, {n} + {new}) t(i);
insert into candidates select id('c', i), id('p', i), i % 4, '[]', [id('r', i % 200)], 0.5, 'served:small', null, null,
    id('run', 1), {at} from range({n}, {n} + {new}) t(i);
insert into candidate_status select id('c', i), id('p', i), 'proposed', 0, 1, '', 0.5
    from range({n}, {n} + {new}) t(i);
create or replace temp table answered as
    select distinct (hash(i + {round} * 100_003) % {base})::bigint as i from range({answers}) t(i);
insert into responses select id('a', 'new' || {round} || i), id('c', i), id('p', i), 'person.1@shop.example',
    'submitted', i % 4, null, null, null, null, 3, false, 'round{round}', row_number() over (), null,
    {at} + to_days({round}) from answered;
insert into judgments select id('j', 'new' || {round} || i), id('p', i), i % 4, 'consensus', id('c', i), null,
    [id('a', 'new' || {round} || i)], null, null, false, id('run', 3), {at} + to_days({round}) from answered;
update candidate_status set status = 'settled', n_answers = n_answers + 1 where rowid in (select i from answered);
create or replace temp table changed_pairs as
    select id('p', i) as pair_id from answered
    union all select id('p', i) from range({n}, {n} + {new}) t(i);
update position set n_commits = n_commits + 1;
"""
SQL = {"at": "timestamp '2026-01-01'", "people": len(PEOPLE), "words": WORDS}


@dataclass(slots=True)
class Waits:
    """How long each small commit took, in seconds."""

    seconds: list[float] = field(default_factory=list)


@contextmanager
def committing(connection: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[Waits]:
    """Commit 20 rows and fsync a journal about 20 times a second on a thread of its own."""
    waits, stop = Waits(), threading.Event()

    def work() -> None:
        cursor = connection.cursor()
        with open(folder / "journal.log", "ab") as journal:
            while not stop.wait(0.05):
                started = time.perf_counter()
                journal.write(b"x" * 4096)
                journal.flush()
                os.fsync(journal.fileno())
                cursor.begin()
                cursor.execute(
                    "insert into comments select 'a_' || uuid(), 'c_1', 'person.2@shop.example', 'why', "
                    "now()::timestamp from range(20)"
                ).fetchall()
                cursor.execute("update position set sequence = sequence + 1").fetchall()
                cursor.commit()
                waits.seconds.append(time.perf_counter() - started)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield waits
    finally:
        stop.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Figures:
    """One publish: seconds on the clock and of CPU (the committer's among them), and the committer's longest wait."""

    seconds: float
    cpu_seconds: float
    longest_wait_ms: float
    n_commits: int


def measured(connection: duckdb.DuckDBPyConnection, root: Path, changed_pairs: list[str] | None) -> Figures:
    """Publish while another thread commits."""
    cursor = connection.cursor()
    with committing(connection, root) as waits:
        time.sleep(0.5)
        waits.seconds.clear()
        started, cpu = time.perf_counter(), time.process_time()
        if changed_pairs is not None:
            begin_snapshot(cursor)
        publish(cursor, root=root, scratch=root / ".publish", changed_pairs=changed_pairs)
        seconds, spent = time.perf_counter() - started, time.process_time() - cpu
    cursor.close()
    return Figures(round(seconds, 2), round(spent, 2), round(1000 * max(waits.seconds)), len(waits.seconds))


def run(n: int, root: Path) -> dict[str, object]:
    """Build a store of n candidates and measure its publishes."""
    (root / ".publish").mkdir(parents=True)
    connection = duckdb.connect(str(root / "afrel.duckdb"), config={"threads": 2})
    connection.execute("set wal_autocheckpoint = '1TB'; set memory_limit = '4GB'")
    migrate(connection)
    connection.execute(BUILD.format(n=n, **SQL))
    connection.execute("checkpoint")
    with committing(connection, root) as waits:
        time.sleep(5)
    alone = round(1000 * max(waits.seconds))
    whole = measured(connection, root, None)
    rounds = []
    for number in range(N_ROUNDS):
        new = N_CHANGED // 4
        (count,) = connection.execute("select count(*) from candidates").fetchall()
        connection.begin()
        connection.execute(
            CHANGE.format(n=count[0], base=n * 9 // 10, new=new, answers=N_CHANGED // 4, round=number, **SQL)
        )
        connection.commit()
        pairs = [pair for (pair,) in connection.execute("from changed_pairs").fetchall()]
        rounds.append(measured(connection, root, pairs))
    sizes = {name: round((root / name).stat().st_size / 1e6) for name in ("afrel.duckdb", "published.duckdb")}
    connection.close()
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}",
        "n_candidates": n,
        "megabytes": sizes,
        "longest_wait_ms_without_publish": alone,
        "full": asdict(whole),
        "rounds": [asdict(one) for one in rounds],
        "incremental_median_seconds": statistics.median(one.seconds for one in rounds),
        "incremental_median_cpu_seconds": statistics.median(one.cpu_seconds for one in rounds),
        "longest_wait_ms": max(one.longest_wait_ms for one in [whole, *rounds]),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--candidates", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the store goes; default: a temporary folder, removed")
    given = parser.parse_args()
    if given.folder is not None:
        print(json.dumps(run(given.candidates, given.folder), indent=1))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(given.candidates, Path(folder) / "store"), indent=1))


if __name__ == "__main__":
    main()

"""A curator's questions to a workspace of millions, asked in four ways that must give the same answer.

  console   `console.run_query` on the published copy: what `afrel sql` runs; one core, one process a question
  copy      DuckDB on the same published copy, as any tool may open it; all cores
  parquet   DuckDB over Parquet files exported from that copy, the copy's own views over them; all cores
  polars    Polars, lazy and streaming, over the same files; all cores

Each asking is a process of its own (`python -m benchmarks.scale.questions ENGINE QUESTION COPY FILES`), which prints
seconds, its peak memory and a digest of the rows; loading Python and the engine is not in the seconds.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

ENGINES = ("console", "copy", "parquet", "polars")
N_PER_STRATUM = 100
# What the questions read, by the names of the published copy.
EXPORTED = (
    "candidates",
    "pairs",
    "candidate_status",
    "responses",
    "standing_response_ids",
    "judgments",
    "current_judgment_ids",
    "rule_votes",
    "rules",
    "rule_decisions",
    "tier_members",
)
VIEWED = ("standing_responses", "current_judgments", "rule_status", "agreement_by_rule")
# What `afrel sql` allows unless told otherwise; memory cannot be told.
CONSOLE_SECONDS, CONSOLE_MB = 10.0, 1024
GENEROUS_SECONDS, GENEROUS_MB = 600.0, 4096
MAX_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as SQL over the published copy and in Polars; `target` in seconds, None where nothing is held."""

    sql: str
    polars: Callable[[Callable[[str], Any]], Any]
    target: float | None = None


def _pool(scan: Callable[[str], Any]) -> Any:
    import polars as pl

    return scan("candidates").group_by("proposer", "grade").agg(pl.len().alias("n"))


def _status(scan: Callable[[str], Any]) -> Any:
    import polars as pl

    status = scan("candidate_status").select("candidate_id", "status")
    joined = status.join(scan("candidates").select("candidate_id", "grade"), on="candidate_id")
    return joined.group_by("status", "grade").agg(pl.len().alias("n"))


def _tiers(scan: Callable[[str], Any]) -> Any:
    import polars as pl

    members = scan("tier_members").select("snapshot_id", "tier", "judgment_id")
    joined = members.join(scan("judgments").select("judgment_id", "grade"), on="judgment_id")
    return joined.group_by("snapshot_id", "tier", "grade").agg(pl.len().alias("n"))


def _settled(scan: Callable[[str], Any]) -> Any:
    import polars as pl

    current = scan("judgments").join(scan("current_judgment_ids").select("judgment_id"), on="judgment_id", how="semi")
    return current.filter(pl.col("grade").is_not_null())


def _standing(scan: Callable[[str], Any]) -> Any:
    return scan("responses").join(scan("standing_response_ids").select("response_id"), on="response_id", how="semi")


def _reviewers(scan: Callable[[str], Any]) -> Any:
    import polars as pl

    settled = _settled(scan).select("pair_id", pl.col("grade").alias("settled_grade"), "response_ids")
    joined = _standing(scan).filter(pl.col("grade").is_not_null()).join(settled, on="pair_id")
    is_alone = (pl.col("response_ids").list.len() == 1) & (pl.col("response_ids").list.first() == pl.col("response_id"))
    is_agreed = (pl.col("grade") == pl.col("settled_grade")).sum().alias("n_agreed")
    return joined.filter(~is_alone).group_by("account").agg(pl.len().alias("n"), is_agreed)


def _rules(scan: Callable[[str], Any]) -> Any:
    import polars as pl

    settled = _settled(scan).select("pair_id", pl.col("grade").alias("settled_grade"))
    votes = scan("rule_votes").select("rule_id", "pair_id", "grade").join(settled, on="pair_id")
    is_agreed = (pl.col("grade") == pl.col("settled_grade")).sum().alias("n_agreed")
    agreed = votes.group_by("rule_id").agg(pl.len().alias("n"), is_agreed)
    answers = votes.select("rule_id", "pair_id").join(_standing(scan).select("pair_id", "account"), on="pair_id")
    answered = answers.group_by("rule_id").agg(pl.col("account").n_unique().alias("n_reviewers"))
    found = scan("rules").select("rule_id").join(agreed, on="rule_id", how="left")
    return found.join(answered, on="rule_id", how="left").fill_null(0)


def _repeated(scan: Callable[[str], Any]) -> Any:
    import polars as pl

    candidates = scan("candidates").select("pair_id", "grade", "steps", "candidate_id")
    often = candidates.group_by("pair_id", "grade").agg(pl.len().alias("k")).filter(pl.col("k") > 1)
    held = candidates.join(often, on=["pair_id", "grade"], how="semi")
    return _said_again(held.group_by("pair_id", "grade", "steps"))


def _repeated_in_one_pass(scan: Callable[[str], Any]) -> Any:
    import polars as pl

    candidates = scan("candidates").select("pair_id", "grade", pl.col("steps").hash(), "candidate_id")
    return _said_again(candidates.group_by("pair_id", "grade", "steps"))


def _said_again(groups: Any) -> Any:
    import polars as pl

    counted = groups.agg(pl.len().alias("n"), pl.col("candidate_id").min().alias("first_id"))
    return counted.filter(pl.col("n") > 1).select("pair_id", "grade", "n", "first_id")


def _sample(scan: Callable[[str], Any]) -> Any:
    import polars as pl

    joined = scan("candidates").select("candidate_id", "pair_id", "grade")
    joined = joined.join(scan("pairs").select("pair_id", "split"), on="pair_id")
    key = pl.col("candidate_id").str.tail(8) + pl.col("candidate_id")
    drawn = pl.col("candidate_id").bottom_k_by(key, N_PER_STRATUM)
    return joined.group_by("grade", "split").agg(drawn).explode("candidate_id")


QUESTIONS = {
    "pool by proposer and grade": Question(
        "select proposer, grade, count(*) as n from candidates group by all", _pool, target=1
    ),
    "status and grade": Question(
        "select s.status, c.grade, count(*) as n from candidate_status s join candidates c using (candidate_id) "
        "group by all",
        _status,
    ),
    "tier and grade": Question(
        "select m.snapshot_id, m.tier, j.grade, count(*) as n from tier_members m join judgments j using (judgment_id) "
        "group by all",
        _tiers,
        target=1,
    ),
    # Who settled a pair alone agrees with the judgment by definition, so those answers say nothing.
    "agreement per reviewer": Question(
        "select r.account, count(*) as n, count(*) filter (r.grade = j.grade) as n_agreed "
        "from standing_responses r join current_judgments j using (pair_id) "
        "where r.grade is not null and j.grade is not null "
        "and not (len(j.response_ids) = 1 and j.response_ids[1] = r.response_id) group by all",
        _reviewers,
        target=1,
    ),
    "agreement per rule": Question("select rule_id, n, n_agreed, n_reviewers from agreement_by_rule", _rules, target=1),
    # The same pair, grade and rationale, to the letter, in more than one candidate: one row for each such saying.
    "exact duplicates": Question(
        "with often as (select pair_id, grade from candidates group by all having count(*) > 1) "
        "select c.pair_id, c.grade, count(*) as n, min(c.candidate_id) as first_id "
        "from candidates c semi join often using (pair_id, grade) "
        "group by c.pair_id, c.grade, c.steps having count(*) > 1",
        _repeated,
        target=6,
    ),
    "exact duplicates in one pass": Question(
        "select pair_id, grade, count(*) as n, min(candidate_id) as first_id from candidates "
        "group by pair_id, grade, md5(steps) having count(*) > 1",
        _repeated_in_one_pass,
    ),
    # Ids are hashes, so the order of their last digits is a draw, and the same one every time.
    "stratified sample": Question(
        "select c.grade, p.split, "
        f"unnest(min_by(c.candidate_id, right(c.candidate_id, 8) || c.candidate_id, {N_PER_STRATUM})) as candidate_id "
        "from candidates c join pairs p using (pair_id) group by c.grade, p.split",
        _sample,
    ),
}
START = "select 1 as one"


def export(copy: Path, files: Path) -> dict[str, Any]:
    """Write what the questions read from the published copy as Parquet files; return seconds and bytes."""
    import duckdb

    files.mkdir()
    began = time.monotonic()
    with duckdb.connect(str(copy), read_only=True) as connection:
        for table in EXPORTED:
            connection.execute(
                f"copy {table} to '{files / table}.parquet' (format parquet, compression zstd)"
            ).fetchall()
    n_bytes = sum(path.stat().st_size for path in files.iterdir())
    return {"seconds": time.monotonic() - began, "n_bytes": n_bytes, "peak_mib": peak_mib()}


def ask(engine: str, name: str, copy: Path, files: Path, *, is_generous: bool = True) -> dict[str, Any]:
    """Ask a question by name, or `start`; return seconds, peak MiB, the number of rows and their digest."""
    sql = START if name == "start" else QUESTIONS[name].sql
    if engine == "console":
        return _ask_console(sql, copy, is_generous=is_generous)
    table, seconds = _ask_polars(name, files) if engine == "polars" else _ask_duckdb(engine, sql, copy, files)
    return {"seconds": seconds, "peak_mib": peak_mib(), **_told(table)}


def _ask_console(sql: str, copy: Path, *, is_generous: bool) -> dict[str, Any]:
    from storage.errors import UserError
    from storage.sql.console import run_query

    seconds, memory = (GENEROUS_SECONDS, GENEROUS_MB) if is_generous else (CONSOLE_SECONDS, CONSOLE_MB)
    began = time.monotonic()
    try:
        result = run_query(copy, sql, seconds=seconds, memory_mb=memory, max_rows=MAX_ROWS)
    except UserError as error:
        return {"seconds": time.monotonic() - began, "refused": str(error)}
    taken = time.monotonic() - began
    child_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": taken, "peak_mib": child_mib, **_told(result.table)}


def _ask_duckdb(engine: str, sql: str, copy: Path, files: Path) -> tuple[Any, float]:
    import duckdb
    import pyarrow as pa  # noqa: F401  the answer's form; loading it is none of the engine's time

    from storage.publishing.views import VIEWS

    began = time.monotonic()
    if engine == "copy":
        connection = duckdb.connect(str(copy), read_only=True)
    else:
        connection = duckdb.connect()
        for table in EXPORTED:
            connection.execute(f"create view {table} as from '{files / table}.parquet'").fetchall()
        for view in VIEWED:
            connection.execute(f"create view {view} as {VIEWS[view]}").fetchall()
    with connection:
        table = connection.sql(sql).to_arrow_table()
    return table, time.monotonic() - began


def _ask_polars(name: str, files: Path) -> tuple[Any, float]:
    import polars as pl

    began = time.monotonic()
    frame = QUESTIONS[name].polars(lambda table: pl.scan_parquet(files / f"{table}.parquet"))
    return frame.collect(engine="streaming").to_arrow(), time.monotonic() - began


def _told(table: Any) -> dict[str, Any]:
    rows = sorted(tuple(str(row[name]) for name in sorted(row)) for row in table.to_pylist())
    return {"n_rows": len(rows), "digest": hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]}


def peak_mib() -> float:
    """Return this process's own peak; what the kernel reports to a parent may be that of whoever started it."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main(words: list[str]) -> None:
    """Ask once, or export; print JSON."""
    engine, name, copy, files = words[0], words[1], Path(words[2]), Path(words[3])
    if engine == "export":
        print(json.dumps(export(copy, files)))
    else:
        print(json.dumps(ask(engine.removesuffix("-default"), name, copy, files, is_generous="-" not in engine)))


if __name__ == "__main__":
    main(sys.argv[1:])

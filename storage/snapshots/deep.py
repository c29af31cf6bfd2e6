"""Verify a snapshot beyond its own word: ids against texts, lineage against rows, and both against the store.

A snapshot that is whole may still state what never was: a judgment nobody made, a pair of other texts. Here each
row's lineage has to resolve: its judgment is in the store, of that pair and grade; its candidate is of that pair; its
reviewers are people of the workspace. What could not be looked at is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from storage.people.accounts import Pin
from storage.progress import Stage, Watch, unwatched
from storage.snapshots.derived_ids import ID_COLUMNS, Derived, derive_ids, told
from storage.snapshots.files import ROWS_AT_A_TIME, in_parallel
from storage.snapshots.manifest import LINEAGE, MANIFEST, Manifest, data_paths
from storage.snapshots.verify import Problem, Verification, verify_snapshot

if TYPE_CHECKING:
    from storage.store import Store

_ROW_COLUMNS = ("row_hash", "tier", "grade", "judgment_origin")
_NOT_LOOKED_AT = (
    "the store: whether judgments, candidates and reviewers are those it holds (there is no workspace here)"
)


@dataclass(frozen=True, slots=True)
class DeepVerification:
    """A verification whose problems include those of lineage and ids. `not_looked_at` says what could not be seen."""

    verification: Verification
    not_looked_at: tuple[str, ...]


def verify_deeply(
    directory: Path, pins: Mapping[str, Pin], store: Store | None, *, watch: Watch = unwatched
) -> DeepVerification:
    """Check a snapshot as `verify_snapshot` does, then its ids and its lineage; `store` is None away from a workspace.

    The store must see test rows. What is altered already is not looked at any deeper.
    """
    found = verify_snapshot(directory, pins, watch=watch)
    manifest = found.manifest
    if manifest is None or found.problems:
        return DeepVerification(found, ("ids and lineage: the files are not what the manifest names",))
    rows, ids = _rows(directory, manifest, watch)
    problems = [Problem(MANIFEST, sentence) for sentence in told(ids.wrong)]
    lineage = pl.read_parquet(directory / LINEAGE)
    problems += [Problem(LINEAGE, what) for what in _against_rows(lineage, rows)]
    if store is not None:
        problems += [Problem(LINEAGE, what) for what in _against_store(manifest, lineage, rows, store)]
    left = [] if store is not None else [_NOT_LOOKED_AT]
    if ids.n_given:
        left.append(f"{ids.n_given} ids that are no hashes of content, so nothing can be derived")
    return DeepVerification(replace(found, problems=tuple(problems)), tuple(left))


def _rows(directory: Path, manifest: Manifest, watch: Watch) -> tuple[pl.DataFrame, Derived]:
    """Return pair, hash, tier, grade and origin of every row, and what deriving its ids found."""
    wanted = list(dict.fromkeys([*ID_COLUMNS, *_ROW_COLUMNS]))

    def batches() -> Iterator[pa.RecordBatch]:
        for path in data_paths(manifest):
            with pq.ParquetFile(directory / path) as file:
                yield from file.iter_batches(ROWS_AT_A_TIME, columns=wanted, use_threads=False)

    def take(batch: pa.RecordBatch) -> tuple[pl.DataFrame, Derived]:
        rows = pl.DataFrame(batch)
        return rows.select("pair_id", *_ROW_COLUMNS), derive_ids(rows.select(ID_COLUMNS))

    empty = {"pair_id": pl.String, "row_hash": pl.String, "tier": pl.Int32, "grade": pl.Int32}
    parts = [pl.DataFrame(schema={**empty, "judgment_origin": pl.String})]
    wrong: dict[str, str] = {}
    n_rows = n_given = 0
    for rows, derived in in_parallel(take, batches()):
        parts.append(rows)
        wrong.update(derived.wrong)
        n_given += derived.n_given
        n_rows += len(rows)
        watch(Stage.CHECKING_ROWS, n_rows, manifest.n_rows)
    return pl.concat(parts), Derived(wrong, n_given)


def _against_rows(lineage: pl.DataFrame, rows: pl.DataFrame) -> Iterator[str]:
    """Yield where the lineage is not of the rows there are."""
    keys = ["pair_id", "row_hash"]
    if not set(keys) <= set(lineage.columns):
        yield f"it lacks the columns {sorted(set(keys) - set(lineage.columns))}"
        return
    yield from _told(lineage.join(rows, on=keys, how="anti"), "lines are of no row of the snapshot")
    yield from _told(rows.join(lineage, on=keys, how="anti"), "rows have no line")


def _against_store(manifest: Manifest, lineage: pl.DataFrame, rows: pl.DataFrame, store: Store) -> Iterator[str]:
    """Yield where the lineage is not what the store holds."""
    missing = sorted({"judgment_id", "candidate_id", "reviewers"} - set(lineage.columns))
    if missing:
        yield f"it lacks the columns {missing}, so it does not resolve in the store"
        return
    held = store.frame("snapshot_lineage", snapshot_id=manifest.snapshot_id)
    named = lineage.select("pair_id", "judgment_id", "candidate_id").join(rows, on="pair_id")
    unknown = named.join(held, on="pair_id", how="anti")
    yield from _told(unknown, "rows are not in the store's register: the cut was stopped before its last step")
    both = named.join(held, on="pair_id", suffix="_held")
    for columns, what in (
        (("row_hash", "tier"), "rows are not those the store registered"),
        (("judgment_id", "candidate_id"), "lines name other judgments or candidates than the store registered"),
    ):
        differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_held")) for name in columns)
        yield from _told(both.filter(differs), what)
    is_known = pl.col("judged_pair_id").is_not_null()
    yield from _told(both.filter(~is_known), "rows name a judgment the store does not hold")
    yield from _told(
        both.filter(is_known & (pl.col("judged_pair_id") != pl.col("pair_id"))), "judgments are of another pair"
    )
    yield from _told(
        both.filter(is_known & (pl.col("judged_grade") != pl.col("grade"))),
        "rows have another grade than their judgment",
    )
    other_origin = pl.col("judgment_origin") != pl.col("judgment_origin_held")
    yield from _told(both.filter(is_known & other_origin), "rows have another origin than their judgment")
    proposed = both.filter(pl.col("candidate_id").is_not_null())
    not_its_own = pl.col("proposed_pair_id").ne_missing(pl.col("pair_id"))
    yield from _told(
        proposed.filter(not_its_own), "rows name a candidate that the store does not hold, or of another pair"
    )
    people = store.frame("pseudonyms")
    reviewers = lineage.select("pair_id", pl.col("reviewers").alias("pseudonym")).explode("pseudonym").drop_nulls()
    strangers = reviewers.join(people, on="pseudonym", how="anti")
    yield from _told(strangers, "answers are by people the workspace does not know")


def _told(rows: pl.DataFrame, what: str) -> Iterator[str]:
    if len(rows):
        yield f"{len(rows)} {what}, such as of pair {rows['pair_id'].sort()[0]}"

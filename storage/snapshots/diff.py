"""How two snapshots differ, row by row: what came, what went, what was graded, worded or placed anew, and which rules.

Pairs and hashes tell nearly all; rationales are read of the changed rows only, texts never. The file of the test split
is not opened unless its grades may be seen: how many of its rows changed would tell them to whoever tries predicates,
so others are told how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from storage.errors import UserError
from storage.progress import Stage, Watch, unwatched
from storage.snapshots.manifest import LINEAGE, Manifest, data_paths, read_manifest
from storage.snapshots.rows import SPLITS

# A changed row may be of several of these; `restated` are those of none: their texts, evidence or origin changed.
CHANGES = ("regraded", "reworded", "moved", "restated")
KINDS = ("added", "removed", *CHANGES)
NOBODY, UNMUTATED = "nobody", "none"  # rows that rest on no answer; pairs that were not mutated
_KEYS = ("pair_id", "row_hash", "tier", "grade", "operator")
_KEYS_SCHEMA = {
    "pair_id": pl.String,
    "row_hash": pl.String,
    "tier": pl.Int32,
    "grade": pl.Int32,
    "operator": pl.String,
    "split": pl.String,
}
_N_STEPS = 3


@dataclass(frozen=True, slots=True)
class SplitChange:
    """One split's rows before and after; of `counts` same, added, removed, changed and each kind of change.

    `changed` are pairs with another hash. None of a split that may not be seen.
    """

    split: str
    n_older: int
    n_newer: int
    counts: Mapping[str, int] | None

    def to_mapping(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"split": self.split, "n_older": self.n_older, "n_newer": self.n_newer, **(self.counts or {})}


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule that came into the rule book, left it or says another thing, and how many rows that may be seen cite it.

    A rule that was removed is counted in the older snapshot, any other in the newer one.
    """

    rule_id: str
    what: str
    text: str
    n_rows: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How a newer snapshot differs from an older one.

    `rows` has the rows that differ and may be seen: pair_id, split, is_<kind> of each of `KINDS`, tier, grade, hash,
    operator and reviewers before and after. `by_reviewer` and `by_operator` count them by kind.
    """

    older: str
    newer: str
    splits: tuple[SplitChange, ...]
    rules: tuple[RuleChange, ...]
    by_reviewer: Mapping[str, Mapping[str, int]]
    by_operator: Mapping[str, Mapping[str, int]]
    rows: pl.DataFrame

    @property
    def is_same(self) -> bool:
        """Whether it is one and the same snapshot: the id covers rows, tiers, scale and rules."""
        return self.older == self.newer

    def to_mapping(self) -> dict[str, Any]:
        """Return all but the rows as JSON values."""
        return {
            "older": self.older,
            "newer": self.newer,
            "splits": [one.to_mapping() for one in self.splits],
            "rules": [
                {"rule_id": one.rule_id, "what": one.what, "text": one.text, "n_rows": one.n_rows} for one in self.rules
            ],
            "by_reviewer": {name: dict(counts) for name, counts in self.by_reviewer.items()},
            "by_operator": {name: dict(counts) for name, counts in self.by_operator.items()},
        }


def compare_snapshots(older: Path, newer: Path, *, sees_test: bool = False, watch: Watch = unwatched) -> Difference:
    """Return how two snapshot directories differ; UserError for one that cannot be read or is not what it states.

    With `sees_test` False nothing is told of test rows but how many there are.
    """
    sides = [_Side(folder, read_manifest(folder), sees_test=sees_test) for folder in (older, newer)]
    before, after = sides
    watch(Stage.READING, 0, _N_STEPS)
    rows = before.keys().join(after.keys(), on="pair_id", how="full", coalesce=True, suffix="_after")
    rows = rows.with_columns(pl.coalesce("split_after", "split").alias("split")).drop("split_after")
    is_same = pl.col("row_hash").eq_missing(pl.col("row_hash_after"))
    watch(Stage.READING, 1, _N_STEPS)
    differing = _with_kinds(rows.filter(~is_same), before, after)
    watch(Stage.READING, 2, _N_STEPS)
    differing = _with_reviewers(differing, before, after).sort("split", "pair_id")
    answered = pl.when(pl.col("reviewers").list.len() > 0).then("reviewers").otherwise(pl.lit([NOBODY]))
    watch(Stage.READING, 3, _N_STEPS)
    return Difference(
        older=before.manifest.snapshot_id,
        newer=after.manifest.snapshot_id,
        splits=tuple(_split_change(split, differing, before, after) for split in SPLITS),
        rules=tuple(_rule_changes(before, after)),
        by_reviewer=_by(differing.with_columns(answered).explode("reviewers"), "reviewers"),
        by_operator=_by(differing.with_columns(pl.col("operator").fill_null(UNMUTATED)), "operator"),
        rows=differing,
    )


class _Side:
    """One of the two snapshots, and the data files of it that may be read."""

    def __init__(self, directory: Path, manifest: Manifest, *, sees_test: bool) -> None:
        self.manifest = manifest
        self.splits = [split for split in SPLITS if sees_test or split != "test"]
        self._directory = directory
        self._files = [
            (directory / path, split) for path, (_, split) in data_paths(manifest).items() if split in self.splits
        ]

    def n_rows(self, split: str) -> int:
        """Return how many rows the manifest counts in a split."""
        return sum(entry.n_rows[split] for entry in self.manifest.tiers)

    def keys(self) -> pl.DataFrame:
        """Return pair, hash, tier, grade, operator and split of every row."""
        parts = [
            self._collect(path, lambda rows: rows.select(_KEYS)).with_columns(pl.lit(split).alias("split"))
            for path, split in self._files
        ]
        known = pl.concat([pl.DataFrame(schema=_KEYS_SCHEMA), *parts])
        n_rows = sum(self.n_rows(split) for split in self.splits)
        if len(known) != n_rows or known["pair_id"].n_unique() != n_rows:
            raise self._altered(f"it has {len(known)} {' and '.join(self.splits)} rows, its manifest says {n_rows}")
        return known

    def of_rows(self, hashes: pl.Series, column: pl.Expr) -> pl.DataFrame:
        """Return row_hash and an expression over the columns of the rows with these hashes."""
        wanted = pl.DataFrame({"row_hash": hashes}, schema={"row_hash": pl.String})
        empty = wanted.clear().with_columns(pl.lit(None).alias(column.meta.output_name()))
        parts = [
            self._collect(
                path,
                lambda rows: rows.select("row_hash", column).join(wanted.lazy(), on="row_hash", how="semi"),
            )
            for path, _ in self._files
        ]
        return pl.concat([empty, *parts], how="vertical_relaxed")

    def reviewers(self, pair_ids: pl.Series) -> pl.DataFrame:
        """Return pair_id and reviewers, a list of pseudonyms, of these pairs."""
        wanted = pl.DataFrame({"pair_id": pair_ids}, schema={"pair_id": pl.String}).lazy()

        def named(rows: pl.LazyFrame) -> pl.LazyFrame:
            if "reviewers" not in rows.collect_schema().names():
                rows = rows.with_columns(pl.lit([], pl.List(pl.String)).alias("reviewers"))
            of_pairs = rows.select("pair_id", "reviewers").join(wanted, on="pair_id", how="semi")
            return of_pairs.group_by("pair_id").agg(pl.col("reviewers").explode().drop_nulls().unique().sort())

        return self._collect(self._directory / LINEAGE, named)

    def n_citing(self, rule_ids: Sequence[str]) -> dict[str, int]:
        """Return how many rows cite each of these rules."""
        counts: Counter[str] = Counter()
        for path, _ in self._files:
            cited = self._collect(
                path,
                lambda rows: (
                    rows.select(pl.col("rule_ids").list.unique().explode().alias("rule_id"))
                    .filter(pl.col("rule_id").is_in(list(rule_ids)))
                    .group_by("rule_id")
                    .len()
                ),
            )
            counts.update(dict(cited.iter_rows()))
        return counts

    def _collect(self, path: Path, ask: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        try:
            return ask(pl.scan_parquet(path, glob=False)).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise self._altered(f"{path.relative_to(self._directory)} cannot be read: {what}") from None

    def _altered(self, what: str) -> UserError:
        name = self._directory.name
        return UserError(f"snapshot {name} is altered: {what}. See all that is wrong: afrel verify {name}")


def _with_kinds(rows: pl.DataFrame, before: _Side, after: _Side) -> pl.DataFrame:
    """Return differing rows with a column is_<kind> for each kind."""
    is_kept = pl.col("row_hash").is_not_null() & pl.col("row_hash_after").is_not_null()
    rows = rows.with_columns(
        pl.col("row_hash").is_null().alias("is_added"),
        pl.col("row_hash_after").is_null().alias("is_removed"),
        (is_kept & pl.col("grade").ne_missing(pl.col("grade_after"))).alias("is_regraded"),
        (is_kept & pl.col("tier").ne_missing(pl.col("tier_after"))).alias("is_moved"),
        (is_kept & pl.col("grade").eq_missing(pl.col("grade_after"))).alias("is_same_grade"),
        pl.coalesce("operator_after", "operator").alias("operator"),
    ).drop("operator_after")
    alike = rows.filter("is_same_grade")
    # 64 bits of a hash tell two rationales apart and are a hundredth of them
    steps = pl.col("steps").hash().alias("steps")
    old, new = before.of_rows(alike["row_hash"], steps), after.of_rows(alike["row_hash_after"], steps)
    reworded = (
        alike.select("pair_id", "row_hash", "row_hash_after")
        .join(old, on="row_hash")
        .join(new, left_on="row_hash_after", right_on="row_hash", suffix="_after")
        .filter(pl.col("steps").ne_missing(pl.col("steps_after")))
    )
    rows = rows.with_columns(
        (pl.col("is_same_grade") & pl.col("pair_id").is_in(reworded["pair_id"].implode())).alias("is_reworded")
    )
    is_restated = pl.col("is_same_grade") & ~pl.col("is_reworded") & ~pl.col("is_moved")
    return rows.with_columns(is_restated.alias("is_restated")).drop("is_same_grade")


def _with_reviewers(rows: pl.DataFrame, before: _Side, after: _Side) -> pl.DataFrame:
    """Return rows with `reviewers`: whose answers a row rests on, of a removed one whose it rested on."""
    gone = rows.filter("is_removed")["pair_id"]
    there = rows.filter(~pl.col("is_removed"))["pair_id"]
    named = pl.concat([before.reviewers(gone), after.reviewers(there)], how="vertical_relaxed")
    return rows.join(named, on="pair_id", how="left")


def _split_change(split: str, differing: pl.DataFrame, before: _Side, after: _Side) -> SplitChange:
    n_older, n_newer = before.n_rows(split), after.n_rows(split)
    if split not in before.splits:
        return SplitChange(split, n_older, n_newer, None)
    rows = differing.filter(pl.col("split") == split)
    counts = {kind: int(rows[f"is_{kind}"].sum()) for kind in KINDS}
    n_changed = len(rows) - counts["added"] - counts["removed"]
    return SplitChange(
        split, n_older, n_newer, {"same": n_newer - counts["added"] - n_changed, **counts, "changed": n_changed}
    )


def _rule_changes(before: _Side, after: _Side) -> Iterator[RuleChange]:
    old, new = ({str(rule["rule_id"]): dict(rule) for rule in side.manifest.rule_book} for side in (before, after))
    removed = sorted(old.keys() - new.keys())
    n_before = before.n_citing(removed)
    for rule_id in removed:
        yield RuleChange(rule_id, "removed", str(old[rule_id].get("text")), n_before.get(rule_id, 0))
    came = [rule_id for rule_id in sorted(new) if new[rule_id] != old.get(rule_id)]
    n_after = after.n_citing(came)
    for rule_id in came:
        what = "changed" if rule_id in old else "added"
        yield RuleChange(rule_id, what, str(new[rule_id].get("text")), n_after.get(rule_id, 0))


def _by(rows: pl.DataFrame, column: str) -> dict[str, dict[str, int]]:
    """Return for each value of a column how many rows are of each kind, those of none left away."""
    counted = rows.group_by(column).agg(pl.col(f"is_{kind}").sum().alias(kind) for kind in KINDS).sort(column)
    return {
        str(row[column]): {kind: int(row[kind]) for kind in KINDS if row[kind]} for row in counted.iter_rows(named=True)
    }

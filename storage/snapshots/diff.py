"""How two snapshots differ, row by row: what came, what went, what was graded, worded or placed anew, and which rules.

Pairs and hashes tell nearly all; rationales are read of the changed rows only, texts never. The file of the test split
is not opened unless its grades may be seen: test rows are then told by the lineage, in sums of came, went and changed.
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
    """Counts of one split's rows. `changed` are those with another hash; of them `kinds` counts each kind of change,
    None where it may not be seen."""

    split: str
    same: int
    added: int
    removed: int
    changed: int
    kinds: Mapping[str, int] | None


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
    def is_empty(self) -> bool:
        return not self.rules and not any(one.added or one.removed or one.changed for one in self.splits)

    def to_mapping(self) -> dict[str, Any]:
        """Return all but the rows as JSON values."""
        return {
            "older": self.older,
            "newer": self.newer,
            "splits": [
                {
                    "split": one.split,
                    "same": one.same,
                    "added": one.added,
                    "removed": one.removed,
                    "changed": one.changed,
                    **(one.kinds or {}),
                }
                for one in self.splits
            ],
            "rules": [
                {"rule_id": one.rule_id, "what": one.what, "text": one.text, "n_rows": one.n_rows} for one in self.rules
            ],
            "by_reviewer": {name: dict(counts) for name, counts in self.by_reviewer.items()},
            "by_operator": {name: dict(counts) for name, counts in self.by_operator.items()},
        }


def compare_snapshots(older: Path, newer: Path, *, sees_test: bool = False, watch: Watch = unwatched) -> Difference:
    """Return how two snapshot directories differ; UserError for one that cannot be read or is not what it states.

    With `sees_test` False test rows are in sums only and in no list.
    """
    sides = [_Side(folder, read_manifest(folder), sees_test=sees_test) for folder in (older, newer)]
    before, after = sides
    watch(Stage.READING, 0, _N_STEPS)
    rows = before.keys().join(after.keys(), on="pair_id", how="full", coalesce=True, suffix="_after")
    rows = rows.with_columns(pl.coalesce("split_after", "split").alias("split")).drop("split_after")
    is_same = pl.col("row_hash").eq_missing(pl.col("row_hash_after"))
    same = dict(rows.filter(is_same).group_by("split").len().iter_rows())
    watch(Stage.READING, 1, _N_STEPS)
    differing = _with_kinds(rows.filter(~is_same), before, after)
    watch(Stage.READING, 2, _N_STEPS)
    shown = differing if sees_test else differing.filter(pl.col("split") != "test")
    shown = _with_reviewers(shown, before, after).sort("split", "pair_id")
    answered = pl.when(pl.col("reviewers").list.len() > 0).then("reviewers").otherwise(pl.lit([NOBODY]))
    watch(Stage.READING, 3, _N_STEPS)
    return Difference(
        older=before.manifest.snapshot_id,
        newer=after.manifest.snapshot_id,
        splits=tuple(_split_change(split, differing, same.get(split, 0), sees_test=sees_test) for split in SPLITS),
        rules=tuple(_rule_changes(before, after)),
        by_reviewer=_by(shown.with_columns(answered).explode("reviewers"), "reviewers"),
        by_operator=_by(shown.with_columns(pl.col("operator").fill_null(UNMUTATED)), "operator"),
        rows=shown,
    )


class _Side:
    """One of the two snapshots; of its test rows only what may be seen is read."""

    def __init__(self, directory: Path, manifest: Manifest, *, sees_test: bool) -> None:
        self.manifest = manifest
        self._directory = directory
        self._sees_test = sees_test
        self._files = [
            (directory / path, split)
            for path, (_, split) in data_paths(manifest).items()
            if sees_test or split != "test"
        ]

    def keys(self) -> pl.DataFrame:
        """Return pair, hash, tier, grade, operator and split of every row; of a hidden test row pair, hash, split."""
        parts = [
            self._collect(path, lambda rows: rows.select(_KEYS)).with_columns(pl.lit(split).alias("split"))
            for path, split in self._files
        ]
        known = pl.concat([pl.DataFrame(schema=_KEYS_SCHEMA), *parts])
        if not self._sees_test:
            lineage = self._collect(self._directory / LINEAGE, lambda rows: rows.select("pair_id", "row_hash"))
            tests = lineage.unique("pair_id").join(known, on="pair_id", how="anti")
            known = pl.concat([known, tests.with_columns(pl.lit("test").alias("split"))], how="diagonal")
        if len(known) != self.manifest.n_rows or known["pair_id"].n_unique() != len(known):
            raise self._altered(f"it has {len(known)} rows, its manifest says {self.manifest.n_rows}")
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
    """Return differing rows with a column is_<kind> for each kind; a change that may not be seen is of no kind."""
    is_kept = pl.col("row_hash").is_not_null() & pl.col("row_hash_after").is_not_null()
    is_seen = pl.col("grade").is_not_null() & pl.col("grade_after").is_not_null()
    rows = rows.with_columns(
        pl.col("row_hash").is_null().alias("is_added"),
        pl.col("row_hash_after").is_null().alias("is_removed"),
        (is_seen & (pl.col("grade") != pl.col("grade_after"))).fill_null(value=False).alias("is_regraded"),
        (is_seen & (pl.col("tier") != pl.col("tier_after"))).fill_null(value=False).alias("is_moved"),
        (is_kept & is_seen & (pl.col("grade") == pl.col("grade_after"))).fill_null(value=False).alias("is_same_grade"),
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


def _split_change(split: str, differing: pl.DataFrame, n_same: int, *, sees_test: bool) -> SplitChange:
    rows = differing.filter(pl.col("split") == split)
    counts = {kind: int(rows[f"is_{kind}"].sum()) for kind in KINDS}
    added, removed = counts.pop("added"), counts.pop("removed")
    is_seen = sees_test or split != "test"
    return SplitChange(split, n_same, added, removed, len(rows) - added - removed, counts if is_seen else None)


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

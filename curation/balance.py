"""Balance a tier's train rows by leaving some out: caps per source, shares of slices, grades, a budget of tokens.

Dev and test rows stay as they are, or a measure over them would speak of another world. Which rows go is a fixed draw
by pair id, so the same rows balance alike on any machine. A lower coefficient of variation of the grade counts goes
with a higher macro-F1 (TaoSR1, arXiv 2508.12365); here it is the population's, over the grades the tier's train rows
have. Whether it holds what it asks for is told after all steps, in figures.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from storage.sql.predicates import matches

_ALMOST = 1e-9  # shares are quotients of floats
_DRAWS = 1 << 60


@dataclass(frozen=True, slots=True)
class Balance:
    """What a tier asks of its train rows; nothing unless set.

    `by_grade` levels the grade counts, down to `max_cv` or to the rarest grade's. `slices` are (name, predicate), each
    of which is to be at least `min_share` of the rows.
    """

    by_grade: bool = False
    max_cv: float | None = None
    max_tokens: int | None = None
    max_per_source: int | None = None
    slices: tuple[tuple[str, str], ...] = ()
    min_share: float | None = None

    @property
    def is_set(self) -> bool:
        return self != UNBALANCED

    def to_table(self) -> dict[str, Any]:
        """Return it as the keys of its tier's table in `afrel.toml`; only those that are set."""
        table = {
            "balance": "grade" if self.by_grade else None,
            "max_cv": self.max_cv,
            "max_tokens": self.max_tokens,
            "max_per_source": self.max_per_source,
            "slices": dict(self.slices) or None,
            "min_share": self.min_share,
        }
        return {key: value for key, value in table.items() if value is not None}


UNBALANCED = Balance()


@dataclass(frozen=True, slots=True)
class Balanced:
    """A tier's train rows after balancing: `kept` are pair ids, `left_out` counts the others by reason.

    `cv_before` and `cv_after` are coefficients of variation of the grade counts, None without rows; `n_tokens` is None
    unless there is a budget; `shares` are the slices' shares of what is kept. `problems` say what is still not met.
    """

    kept: pl.Series
    left_out: Mapping[str, int]
    cv_before: float | None
    cv_after: float | None
    n_tokens: int | None
    shares: Mapping[str, float]
    problems: tuple[str, ...]


def balance_rows(
    train: pl.DataFrame,
    balance: Balance,
    *,
    columns: Sequence[str],
    count_tokens: Callable[[pl.DataFrame], pl.Series],
    seed: str,
) -> Balanced:
    """Choose which train rows of one tier stay.

    `columns` are those that slices may speak of; `count_tokens` is asked where there is a budget.
    """
    grades_before = _grade_counts(train)
    rows = _marked(train, balance, columns=columns, seed=seed)
    if balance.max_tokens is not None:
        rows = rows.with_columns(count_tokens(train).alias("n_tokens"))
    left_out: Counter[str] = Counter()
    # A budget is filled after levelling, in the same shares; what the last rows tilt is levelled once more.
    for reason in (
        "beyond their source's cap",
        "beside its slices",
        "levelling its grades",
        "beyond its token budget",
        "beside its slices",
        "levelling its grades",
    ):
        kept = _STEPS[reason](rows, balance)
        left_out[reason] += len(rows) - len(kept)
        rows = kept
    grades = _grade_counts(rows)
    shares = {name: _share(rows, _flag(place)) for place, (name, _) in enumerate(balance.slices)}
    return Balanced(
        kept=rows["pair_id"],
        left_out={reason: n for reason, n in left_out.items() if n},
        cv_before=variation(grades_before),
        cv_after=variation(grades),
        n_tokens=None if balance.max_tokens is None else int(rows["n_tokens"].sum()),
        shares=shares,
        problems=tuple(_problems(balance, grades=grades, shares=shares, n_before=len(train))),
    )


def variation(counts: Mapping[int, int]) -> float | None:
    """Return the coefficient of variation of counts: their deviation over their mean; None without any."""
    if not counts:
        return None
    mean = sum(counts.values()) / len(counts)
    return math.sqrt(sum((n - mean) ** 2 for n in counts.values()) / len(counts)) / mean


def _marked(train: pl.DataFrame, balance: Balance, *, columns: Sequence[str], seed: str) -> pl.DataFrame:
    """Return what the steps look at: pair, grade, source, the draw, a flag a slice."""
    drawn = [_draw(seed, pair_id) for pair_id in train["pair_id"].to_list()]
    rows = train.select("pair_id", "grade", "source").with_columns(pl.Series("draw", drawn, dtype=pl.UInt64))
    if balance.slices:
        predicates = {_flag(place): where for place, (_, where) in enumerate(balance.slices)}
        masks = matches(train.select(columns), predicates)
        rows = rows.with_columns(pl.Series(flag, mask, dtype=pl.Boolean) for flag, mask in masks.items())
    flags = [pl.col(_flag(place)) for place in range(len(balance.slices))]
    return rows.with_columns((pl.any_horizontal(flags) if flags else pl.lit(value=False)).alias("in_slice"))


def _draw(seed: str, pair_id: str) -> int:
    """Return a pair's fixed draw, below `_DRAWS`."""
    return int(hashlib.sha256(f"{seed} {pair_id}".encode()).hexdigest()[:15], 16)


def _cap_sources(rows: pl.DataFrame, balance: Balance) -> pl.DataFrame:
    if balance.max_per_source is None:
        return rows
    return rows.filter(pl.col("draw").rank("ordinal").over("source") <= balance.max_per_source)


def _trim_beside_slices(rows: pl.DataFrame, balance: Balance) -> pl.DataFrame:
    """Leave rows of no slice out until each slice that has rows has its share."""
    if balance.min_share is None:
        return rows
    sizes = [n for place in range(len(balance.slices)) if (n := int(rows[_flag(place)].sum()))]
    if not sizes:
        return rows
    n_in_any = int(rows["in_slice"].sum())
    n_beside = max(0, math.floor(min(sizes) / balance.min_share + _ALMOST) - n_in_any)
    return rows.filter(pl.col("in_slice") | (pl.col("draw").rank("ordinal").over("in_slice") <= n_beside))


def _level_grades(rows: pl.DataFrame, balance: Balance) -> pl.DataFrame:
    """Leave rows of the commoner grades out, those of no slice first."""
    counts = _grade_counts(rows)
    if not (balance.by_grade and counts):
        return rows
    low, high = min(counts.values()), max(counts.values())
    most_cv = balance.max_cv or 0.0
    while low < high:  # the variation grows with the cap: find the largest that is low enough
        cap = (low + high + 1) // 2
        cv = variation({grade: min(n, cap) for grade, n in counts.items()}) or 0.0
        low, high = (cap, high) if cv <= most_cv + _ALMOST else (low, cap - 1)
    order = pl.col("draw") + pl.when("in_slice").then(pl.lit(0, pl.UInt64)).otherwise(pl.lit(_DRAWS, pl.UInt64))
    return rows.filter(order.rank("ordinal").over("grade") <= low)


def _keep_to_budget(rows: pl.DataFrame, balance: Balance) -> pl.DataFrame:
    """Fill the budget in the shares that grades and slices have."""
    if balance.max_tokens is None:
        return rows
    group = ["grade", "in_slice"]
    place = (pl.col("draw").rank("ordinal").over(group) - 0.5) / pl.len().over(group)
    rows = rows.with_columns(place.alias("place")).sort("place", "draw")
    return rows.filter(pl.col("n_tokens").cast(pl.Int64).cum_sum() <= balance.max_tokens).drop("place")


_STEPS = {
    "beyond their source's cap": _cap_sources,
    "beside its slices": _trim_beside_slices,
    "levelling its grades": _level_grades,
    "beyond its token budget": _keep_to_budget,
}


def _problems(balance: Balance, *, grades: Mapping[int, int], shares: Mapping[str, float], n_before: int) -> list[str]:
    n = sum(grades.values())
    problems = []
    cv = variation(grades)
    if balance.max_cv is not None and cv is not None and cv > balance.max_cv + _ALMOST:
        told = ", ".join(f"{count} of grade {grade}" for grade, count in grades.items())
        problems.append(
            f"the coefficient of variation of its train grades is {cv:.3f} ({told}), its max_cv is {balance.max_cv:g}; "
            'balance = "grade" leaves rows out for it'
        )
    for name, share in shares.items():
        if balance.min_share is not None and n and share < balance.min_share - _ALMOST:
            problems.append(
                f"slice {name} is {share:.1%} of its {n} train rows ({round(share * n)}), its min_share is "
                f"{balance.min_share:.1%}"
            )
    if n_before and not n:
        problems.append(f"none of its {n_before} train rows is left; its max_tokens are {balance.max_tokens}")
    return problems


def _grade_counts(rows: pl.DataFrame) -> dict[int, int]:
    return dict(sorted(rows.group_by("grade").len().iter_rows()))


def _share(rows: pl.DataFrame, flag: str) -> float:
    return int(rows[flag].sum()) / len(rows) if len(rows) else 0.0


def _flag(place: int) -> str:
    return f"in_slice_{place}"

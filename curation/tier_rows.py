"""The relation tiers are cut from: one row per settled pair that may leave the house, and why others may not.

A rationale travels only with its own grade: the settled one if people or the source wrote it, else the candidate's
when its grade is the settled grade, else none (the row then trains grade-only).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from curation.completion import CITATION
from curation.evidence import EVIDENCE_COLUMNS, evidence_line
from curation.text import comparable
from storage.grades import Scale
from storage.progress import Stage, Watch, unwatched

ROWS_BETWEEN_TELLING = 8192


@dataclass(frozen=True, slots=True)
class TierFacts:
    """What predicates may ask of each row that may enter a snapshot, and counts of the settled pairs that may not.

    `left_out` is by reason; a row's texts are not here.
    """

    frame: pl.DataFrame
    left_out: Mapping[str, int]
    n_unscreened: int


@dataclass(frozen=True, slots=True)
class TierRows:
    """Rows that may enter a snapshot, and counts of the settled pairs that may not, by reason."""

    frame: pl.DataFrame
    left_out: Mapping[str, int]
    n_unscreened: int
    n_without_features: int


def tier_facts(
    judged: pl.DataFrame, held_back: pl.DataFrame, *, rules: pl.DataFrame, rule_rates: pl.DataFrame, scale: Scale
) -> TierFacts:
    """Build the relation's facts from the named reads `judged_facts` or `judged_pairs`, `held_back_queries`, ….

    Columns: those of `judged`, those of `tiers.TIER_COLUMNS`, `steps` and `rule_ids`.
    """
    n_unscreened = int(judged["n_unscreened"].sum()) if len(judged) else 0
    held_back_keys = {comparable(text) for text in held_back["query"].to_list()}
    queries = judged["query"].unique().to_list()
    leaks = pl.Series("query", [query for query in queries if comparable(query) in held_back_keys], dtype=pl.String)
    judged = judged.with_columns(((pl.col("split") == "train") & pl.col("query").is_in(leaks)).alias("is_leak"))
    left_out = {
        "set aside by a screen": int(judged["is_set_aside"].sum()),
        "train query equals a dev or test query": int((judged["is_leak"] & ~judged["is_set_aside"]).sum()),
    }
    rows = judged.filter(~pl.col("is_set_aside") & ~pl.col("is_leak"))
    rows = rows.with_columns(
        pl.coalesce(
            pl.col("settled_steps"),
            pl.when(pl.col("proposed_grade") == pl.col("grade")).then(pl.col("proposed_steps")),
        ).alias("steps")
    ).with_columns(pl.when(pl.col("steps") == "[]").then(None).otherwise(pl.col("steps")).alias("steps"))
    cited = [
        list(dict.fromkeys(CITATION.findall(steps))) if steps and "[r_" in steps else []
        for steps in rows["steps"].to_list()
    ]
    rates = dict(zip(rule_rates["rule_id"].to_list(), rule_rates["rate"].to_list(), strict=True))
    rule_grades = dict(zip(rules["rule_id"].to_list(), rules["grade"].to_list(), strict=True))
    rows = rows.with_columns(
        pl.Series("rule_ids", cited, dtype=pl.List(pl.String)),
        pl.Series("n_cited_rules", [len(ids) for ids in cited], dtype=pl.Int64),
        pl.Series(
            "rarest_rule_rate",
            [min((rates.get(rule_id, 0.0) for rule_id in ids), default=None) for ids in cited],
            dtype=pl.Float64,
        ),
        pl.Series(
            "agrees_with_rule",
            [
                any(rule_grades.get(rule_id) == grade for rule_id in ids) if ids else None
                for ids, grade in zip(cited, rows["grade"].to_list(), strict=True)
            ],
            dtype=pl.Boolean,
        ),
        pl.col("judgment_origin").str.split(":").list.first().alias("origin"),
        pl.lit(scale.lowest).alias("lowest_grade"),
        pl.lit(scale.highest).alias("highest_grade"),
        pl.col("steps").is_not_null().alias("has_rationale"),
    ).with_columns(
        ((pl.col("origin") != "import") & (pl.col("proposed_grade") != pl.col("grade")).fill_null(False)).alias(
            "is_revised"
        )
    )
    return TierFacts(rows, left_out, n_unscreened)


def tier_rows(
    judged: pl.DataFrame,
    features: pl.DataFrame,
    held_back: pl.DataFrame,
    *,
    rules: pl.DataFrame,
    rule_rates: pl.DataFrame,
    votes: pl.DataFrame,
    scale: Scale,
    watch: Watch = unwatched,
) -> TierRows:
    """Build the relation from the named reads `judged_pairs`, `features_of_judged_pairs`, `held_back_queries`, ….

    Columns: those of `tiers.TIER_COLUMNS`, those of a snapshot row, and the lineage columns.
    """
    facts = tier_facts(judged, held_back, rules=rules, rule_rates=rule_rates, scale=scale)
    votes_of = dict(zip(votes["pair_id"].to_list(), votes["grades"].to_list(), strict=True))
    evidence: dict[str, str] = {}
    for n_done, row in enumerate(features.select("pair_id", *EVIDENCE_COLUMNS).iter_rows(named=True)):
        if n_done % ROWS_BETWEEN_TELLING == 0:
            watch(Stage.BUILDING, n_done, len(features))
        evidence[row["pair_id"]] = evidence_line(row, votes_of.get(row["pair_id"], ()))
    pair_ids = facts.frame["pair_id"].to_list()
    told = pl.Series("evidence", [evidence.get(pair_id, "") for pair_id in pair_ids], dtype=pl.String)
    n_without_features = sum(pair_id not in evidence for pair_id in pair_ids)
    return TierRows(facts.frame.with_columns(told), facts.left_out, facts.n_unscreened, n_without_features)


def rule_book(rules: pl.DataFrame) -> list[dict[str, object]]:
    """Return the approved rules as a snapshot freezes them, sorted by id."""
    approved = rules.filter(pl.col("status") == "approved").sort("rule_id")
    return approved.select("rule_id", "text", "condition", "grade").to_dicts()

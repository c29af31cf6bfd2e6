"""The relation tiers are cut from: one row per settled pair that may leave the house, and why others may not.

A rationale travels only with its own grade: the settled one if people or the source wrote it, else the candidate's
when its grade is the settled grade, else none (the row then trains grade-only). A train pair whose query is nearly one
of dev or test stays behind, or a model would be measured on what it learnt by heart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from curation.evidence import EVIDENCE_COLUMNS, evidence_lines
from curation.near_duplicates import find_leaks
from storage.grades import Scale
from storage.progress import Stage, Watch, unwatched

CITED_RULE = r"\[r_[0-9a-f]{4,64}\]"  # as completion.CITATION; a test holds them alike


@dataclass(frozen=True, slots=True)
class Relation:
    """What the store holds of settled pairs at one moment.

    `judged` has a row a pair; `held_back` the dev and test queries (query_id, query, split); `rules` rule_id, text,
    condition, grade, status and rate, the share of train judgments the rule votes on, null where it votes on none.
    """

    judged: pl.DataFrame
    held_back: pl.DataFrame
    rules: pl.DataFrame
    scale: Scale


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
    """Rows that may enter a snapshot, and counts of the settled pairs that may not, by reason.

    `rule_book` are the approved rules as a snapshot freezes them, of the same moment as the rows.
    """

    frame: pl.DataFrame
    left_out: Mapping[str, int]
    n_unscreened: int
    n_without_features: int
    rule_book: tuple[Mapping[str, object], ...]
    scale: Scale


def tier_facts(relation: Relation) -> TierFacts:
    """Build the relation's facts. Columns: those of `judged`, those of `tiers.TIER_COLUMNS`, `steps`, `rule_ids`."""
    judged, rules = relation.judged, relation.rules
    n_unscreened = int(judged["n_unscreened"].sum()) if len(judged) else 0
    leaking = _leaking_queries(judged, relation.held_back)
    is_leak = (pl.col("split") == "train") & pl.col("query").is_in(leaking.implode())
    judged = judged.with_columns(is_leak.alias("is_leak"))
    left_out = {
        "set aside by a screen": int(judged["is_set_aside"].sum()),
        "train query is nearly a dev or test query": int((judged["is_leak"] & ~judged["is_set_aside"]).sum()),
    }
    rows = judged.filter(~pl.col("is_set_aside") & ~pl.col("is_leak"))
    rows = rows.with_columns(
        pl.coalesce(
            pl.col("settled_steps"),
            pl.when(pl.col("proposed_grade") == pl.col("grade")).then(pl.col("proposed_steps")),
        ).alias("steps")
    ).with_columns(pl.when(pl.col("steps") == "[]").then(None).otherwise(pl.col("steps")).alias("steps"))
    rows = rows.with_columns(
        pl.col("steps")
        .str.extract_all(CITED_RULE)
        .list.eval(pl.element().str.strip_chars("[]"))
        .list.unique(maintain_order=True)
        .fill_null([])
        .alias("rule_ids")
    )
    scale = relation.scale
    rows = rows.hstack(_of_cited_rules(rows, rules)).with_columns(
        pl.col("rule_ids").list.len().cast(pl.Int64).alias("n_cited_rules"),
        pl.col("judgment_origin").str.split(":").list.first().alias("origin"),
        pl.lit(scale.lowest).alias("lowest_grade"),
        pl.lit(scale.highest).alias("highest_grade"),
        pl.col("steps").is_not_null().alias("has_rationale"),
    )
    is_revised = (pl.col("origin") != "import") & (pl.col("proposed_grade") != pl.col("grade")).fill_null(False)
    return TierFacts(rows.with_columns(is_revised.alias("is_revised")), left_out, n_unscreened)


def tier_rows(relation: Relation, *, watch: Watch = unwatched) -> TierRows:
    """Build the whole relation. Columns: those of `tiers.TIER_COLUMNS`, of a snapshot row, and the lineage columns."""
    facts = tier_facts(relation)
    watch(Stage.BUILDING, 0, len(facts.frame))
    told = evidence_lines(facts.frame.select(pl.col("vote_grades").alias("votes"), *EVIDENCE_COLUMNS))
    has_features = facts.frame["has_features"]
    frame = facts.frame.drop("has_features", "vote_grades", *EVIDENCE_COLUMNS)
    watch(Stage.BUILDING, len(frame), len(frame))
    return TierRows(
        frame.with_columns(told),
        facts.left_out,
        facts.n_unscreened,
        int((~has_features).sum()),
        tuple(rule_book(relation.rules)),
        relation.scale,
    )


def rule_book(rules: pl.DataFrame) -> list[dict[str, object]]:
    """Return the approved rules as a snapshot freezes them, sorted by id."""
    approved = rules.filter(pl.col("status") == "approved").sort("rule_id")
    return approved.select("rule_id", "text", "condition", "grade").to_dicts()


def _leaking_queries(judged: pl.DataFrame, held_back: pl.DataFrame) -> pl.Series:
    """Return the train queries that are nearly a dev or test query; each text is looked at once."""
    train = judged.filter(pl.col("split") == "train").unique("query").select("pair_id", "query")
    same = train.join(held_back, on="query", how="semi")["query"]  # also where a text has no word to compare
    return pl.concat([same, find_leaks(train, held_back.select("query_id", "query"))["query"]]).unique()


def _of_cited_rules(rows: pl.DataFrame, rules: pl.DataFrame) -> pl.DataFrame:
    """Return `rarest_rule_rate` and `agrees_with_rule` of each row, null where it cites no rule."""
    known = rules.select("rule_id", pl.col("grade").alias("rule_grade"), pl.col("rate"))
    cited = rows.select("rule_ids", "grade").with_row_index("place").explode("rule_ids").drop_nulls("rule_ids")
    of_row = (
        cited.join(known, left_on="rule_ids", right_on="rule_id", how="left")
        .group_by("place")
        .agg(
            pl.col("rate").fill_null(0.0).min().alias("rarest_rule_rate"),
            (pl.col("rule_grade") == pl.col("grade")).fill_null(False).any().alias("agrees_with_rule"),
        )
    )
    places = pl.DataFrame({"place": pl.int_range(len(rows), dtype=pl.get_index_type(), eager=True)})
    return places.join(of_row, on="place", how="left", maintain_order="left").drop("place")

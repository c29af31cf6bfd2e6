"""What the store adds to a snapshot's rows: names of queries and docs, experts' edits, marks on steps, agreement.

Away from the workspace there is none of it: ids are then afrel's own, and what rests on people's acts cannot be had.
Every read leaves test pairs out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from curation.agreement import Agreement, alpha_of_patterns
from curation.exports.external_names import Names, external_names, own_names
from curation.exports.masking import mask_columns
from curation.exports.source import Source
from storage.grades import Scale

if TYPE_CHECKING:
    from storage.store import Store

NO_PREFERENCES = pl.DataFrame(schema={"pair_id": pl.String, "chosen": pl.String, "rejected": pl.String})
NO_STEP_MARKS = pl.DataFrame(
    schema={
        "candidate_id": pl.String,
        "pair_id": pl.String,
        "proposed_grade": pl.Int32,
        "proposed_steps": pl.String,
        "first_wrong_step": pl.Int32,
        "is_taken": pl.Boolean,
    }
)


@dataclass(frozen=True, slots=True)
class TextSource:
    """A source and how many of the queries and docs that leave it brought."""

    name: str
    n_queries: int
    n_docs: int


@dataclass(slots=True)
class Given:
    """Beside the rows: the scale, names, what people did; and counts of what was left out and masked.

    `agreement` and `text_sources` are None away from the workspace.
    """

    scale: Scale
    names: Names
    preferences: pl.DataFrame = field(default_factory=NO_PREFERENCES.clone)
    step_marks: pl.DataFrame = field(default_factory=NO_STEP_MARKS.clone)
    agreement: Agreement | None = None
    text_sources: tuple[TextSource, ...] | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    n_masked: int = 0


def given_away(source: Source) -> Given:
    """Return what there is away from the workspace: our own ids, nothing that people did."""
    return Given(source.scale, own_names(source.rows(["query_id", "doc_id", "source"])))


def given_by_store(source: Source, store: Store, *, keeps_personal: bool) -> Given:
    """Return what the workspace's store knows of the pairs that leave."""
    rows = source.rows(["pair_id", "query_id", "doc_id", "source"])
    pairs = rows.select("pair_id")
    names = external_names(rows, store.frame("export_external_ids"), keeps_personal=keeps_personal)
    preferences = store.frame("export_preferences").join(pairs, on="pair_id", how="semi", maintain_order="left")
    marks = store.frame("export_step_marks").join(pairs, on="pair_id", how="semi", maintain_order="left")
    n_masked = 0
    if not keeps_personal:
        preferences, n_edits = mask_columns(preferences, ["chosen", "rejected"])
        marks, n_marks = mask_columns(marks, ["proposed_steps"])
        n_masked = n_edits + n_marks
    answers = store.frame("export_answers").join(pairs, on="pair_id", how="semi")
    counted = answers.group_by("grades").len()
    patterns = {tuple(grades): n for grades, n in counted.iter_rows()}
    agreement = alpha_of_patterns(patterns, scale=source.scale)
    brought = _text_sources(rows, store.frame("export_text_sources"))
    return Given(source.scale, names, preferences, marks, agreement, brought, n_masked=n_masked)


def _text_sources(rows: pl.DataFrame, brought: pl.DataFrame) -> tuple[TextSource, ...]:
    """Return who brought the texts of rows (query_id, doc_id), by name."""
    ids = [
        rows.select(pl.lit(kind).alias("kind"), pl.col(f"{kind}_id").alias("content_id")) for kind in ("query", "doc")
    ]
    counted = (
        brought.join(pl.concat(ids).unique(), on=["kind", "content_id"], how="semi")
        .group_by("source")
        .agg((pl.col("kind") == "query").sum().alias("n_queries"), (pl.col("kind") == "doc").sum().alias("n_docs"))
        .sort("source")
    )
    return tuple(TextSource(*counts) for counts in counted.iter_rows())

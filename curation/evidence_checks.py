"""Derive the evidence of a snapshot's rows anew from the features in the store, and tell where it differs.

What the rules said of a pair is part of its evidence, and rules come and go: it is compared where the snapshot's rule
book is still that of the workspace, else left aside, which is said.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from curation.evidence import EVIDENCE_COLUMNS, evidence_lines
from curation.tier_rows import rule_book
from storage.snapshots.deep import DeepVerification
from storage.snapshots.manifest import MANIFEST, data_paths
from storage.snapshots.verify import Problem
from storage.store import Store

_RULES = r" · rules: .*$"  # the last part of a line


def with_evidence(found: DeepVerification, directory: Path, store: Store) -> DeepVerification:
    """Return a deep verification with what is wrong with the rows' evidence; an altered snapshot is not looked into."""
    manifest = found.verification.manifest
    if manifest is None or found.verification.problems:
        return found
    features = store.frame("snapshot_evidence", snapshot_id=manifest.snapshot_id)
    is_same_book = [dict(rule) for rule in manifest.rule_book] == rule_book(store.frame("rules"))
    derived = features.select("pair_id", evidence_lines(features.select("votes", *EVIDENCE_COLUMNS)).alias("derived"))
    files = [pl.read_parquet(directory / path, columns=["pair_id", "evidence"]) for path in data_paths(manifest)]
    empty = pl.DataFrame(schema={"pair_id": pl.String, "evidence": pl.String})
    rows = pl.concat([empty, *files]).join(derived, on="pair_id", how="left")
    if not is_same_book:
        rows = rows.with_columns(pl.col("evidence", "derived").str.replace(_RULES, ""))
    wrong = rows.filter(pl.col("evidence").ne_missing(pl.col("derived")))
    problems = list(found.verification.problems)
    if len(wrong):
        what = (
            f"{len(wrong)} rows have other evidence than their features give, such as pair {wrong['pair_id'].sort()[0]}"
        )
        problems.append(Problem(MANIFEST, what))
    left = () if is_same_book else ("what rules said in the evidence: the rule book is another one by now",)
    verification = replace(found.verification, problems=tuple(problems))
    return DeepVerification(verification, (*found.not_looked_at, *left))

"""Mutations as rows: query, doc, pair, features, what was changed and the verdict, in one transaction.

A mutation never stands without its check. A rewritten doc is a doc of its own, marked by its source, so that the pool
leaves it out; a rewritten query inherits root and split of the one it came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curation.features import FEATURE_SCHEMA, FieldVocabulary, pair_features
from curation.ingest import normal_text
from evolution.mutations.drawing import Draw
from evolution.mutations.verifier import VERIFIER, Check
from storage.clock import now
from storage.ids import content_id


def mutation_features(draws: Sequence[Draw], vocabulary: FieldVocabulary) -> pl.DataFrame:
    """Return the features of the mutated pairs, one row each."""
    if not draws:
        return pl.DataFrame(schema=FEATURE_SCHEMA)
    texts = [
        {
            "pair_id": draw.pair_id,
            "query": normal_text(draw.mutated.query),
            "title": draw.mutated.title,
            "body": draw.mutated.body,
            "fields": _fields_text(draw.source.original.fields),
        }
        for draw in draws
    ]
    return pair_features(pl.DataFrame(texts), vocabulary)


def mutation_rows(
    draws: Sequence[Draw], checks: Sequence[Check], features: pl.DataFrame, *, proposer: str, run_id: str
) -> dict[str, Any]:
    """Return the rows of all tables."""
    stamp = {"run_id": run_id, "created_at": now()}
    tables: dict[str, Any] = {"queries": {}, "docs": {}, "pairs": {}, "pair_mutations": {}, "mutation_checks": {}}
    for draw, check in zip(draws, checks, strict=True):
        source, mutated = draw.source, draw.mutated
        marked = {"source": f"mutation:{mutated.operator}", **stamp}
        mutation_id = content_id("m", source.original.pair_id, draw.pair_id, mutated.operator, str(mutated.effect))
        if draw.query_id != source.query_id:
            tables["queries"][draw.query_id] = {
                "query_id": draw.query_id,
                "text": normal_text(mutated.query),
                "root_query_id": source.root_query_id,
                "split": "train",
                **marked,
            }
        if draw.doc_id != source.doc_id:
            tables["docs"][draw.doc_id] = {
                "doc_id": draw.doc_id,
                "title": normal_text(mutated.title),
                "body": normal_text(mutated.body),
                "fields": _fields_text(source.original.fields),
                **marked,
            }
        tables["pairs"][draw.pair_id] = {
            "pair_id": draw.pair_id,
            "query_id": draw.query_id,
            "doc_id": draw.doc_id,
            "split": "train",
            "origin": "mutation",
            **marked,
        }
        tables["pair_mutations"][mutation_id] = {
            "pair_mutation_id": mutation_id,
            "parent_pair_id": source.original.pair_id,
            "pair_id": draw.pair_id,
            "operator": mutated.operator,
            "effect": str(mutated.effect),
            "effect_grade": mutated.effect_grade,
            "change": mutated.change,
            "proposer": proposer,
            **stamp,
        }
        check_id = content_id("k", mutation_id, VERIFIER, check.reason)
        tables["mutation_checks"][check_id] = {
            "mutation_check_id": check_id,
            "pair_mutation_id": mutation_id,
            "verifier": VERIFIER,
            "is_confirmed": check.is_confirmed,
            "parent_expected_grade": check.parent_expected,
            "expected_grade": check.expected,
            "reason": check.reason,
            **stamp,
        }
    named: dict[str, Any] = {table: list(rows.values()) for table, rows in tables.items()}
    named["pair_features"] = features.with_columns(run_id=pl.lit(run_id), created_at=pl.lit(stamp["created_at"]))
    return named


def _fields_text(fields: Mapping[str, str]) -> str:
    return json.dumps(dict(fields), ensure_ascii=False)

"""What a model's evidence was computed from, kept beside its weights: the rule book and the values of doc fields.

Without it, a pair scored away from the workspace would be told other evidence than the pairs the model learnt from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from curation.evidence import evidence_line
from curation.features import FieldVocabulary, pair_features
from curation.rules import ABSTAIN, Rule, vote_matrix
from storage import durable
from storage.errors import UserError

FILE_NAME = "evidence.json"


@dataclass(frozen=True, slots=True)
class EvidenceSource:
    """Approved rules, and each doc field's values, sorted."""

    rules: tuple[Rule, ...]
    field_values: Mapping[str, tuple[str, ...]]

    def lines(self, pairs: pl.DataFrame) -> list[str]:
        """Return the evidence line of each pair (columns pair_id, query, title, body, fields)."""
        features = self._features(pairs)
        votes = vote_matrix(self.rules, features)
        return [
            evidence_line(row, [int(grade) for grade in cast if grade >= 0])
            for row, cast in zip(features.iter_rows(named=True), votes, strict=True)
        ]

    def votes(self, pairs: pl.DataFrame) -> list[dict[str, int]]:
        """Return for each pair the rules whose condition holds on it and the grade each votes."""
        ids = [rule.rule_id for rule in self.rules]
        return [
            {rule_id: int(grade) for rule_id, grade in zip(ids, cast, strict=True) if grade != ABSTAIN}
            for cast in vote_matrix(self.rules, self._features(pairs))
        ]

    def _features(self, pairs: pl.DataFrame) -> pl.DataFrame:
        docs = [{name: value} for name, values in self.field_values.items() for value in values]
        return pair_features(pairs, FieldVocabulary.from_docs(docs))

    def write(self, folder: Path) -> None:
        """Write the source into a model's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {"rules": [asdict(rule) for rule in self.rules], "field_values": dict(self.field_values)}
        durable.replace(folder / FILE_NAME, json.dumps(content, ensure_ascii=False), folder=folder)


def source_of(rule_book: Iterable[Mapping[str, object]], fields: Iterable[str]) -> EvidenceSource:
    """Return the source of a snapshot's rule book and its train rows' fields (JSON texts)."""
    values: dict[str, set[str]] = {}
    for text in set(fields):
        for name, value in json.loads(text or "{}").items():
            values.setdefault(name, set()).add(str(value))
    rules = tuple(Rule(str(r["rule_id"]), str(r["text"]), str(r["condition"]), int(str(r["grade"]))) for r in rule_book)
    return EvidenceSource(rules, {name: tuple(sorted(held)) for name, held in sorted(values.items())})


def read_source(folder: Path) -> EvidenceSource:
    """Read the source from a model's folder; UserError when it is missing or not what was written."""
    try:
        content = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        rules = tuple(Rule(**rule) for rule in content["rules"])
        values = {str(name): tuple(held) for name, held in content["field_values"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / FILE_NAME} cannot be read: {error}. Train again: afrel train sft") from error
    return EvidenceSource(rules, values)

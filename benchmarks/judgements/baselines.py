"""What needs no model of ours: the commonest grade, the model-free labeller, gradient boosting on lexical features."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from benchmarks.judgements.material import GRADES, Material
from curation.features import FEATURE_SCHEMA, FieldVocabulary, pair_features
from trainers.evaluation.baselines import majority_grade


def majority(material: Material) -> Any:
    """Return the commonest train grade for every dev pair."""
    return certain(np.full(len(material.dev), majority_grade(list(material.train["grade"]))))


def lexical(material: Material) -> Any:
    """Return the grades of the model-free labeller."""
    proposed = json.loads((material.workspace.parent / "snapshot.json").read_text())["lexical"]
    commonest = majority_grade(list(material.train["grade"]))
    return certain(np.array([proposed.get(pair_id, commonest) for pair_id in material.dev["pair_id"]]))


def boosting(material: Material, *, is_balanced: bool = False) -> Any:
    """Return what gradient boosting makes of lexical features; of scikit-learn's default depth, stopped early."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    train_x, dev_x = lexical_features(material.train, material.dev)
    model = HistGradientBoostingClassifier(
        learning_rate=0.05, max_iter=400, early_stopping=True, validation_fraction=0.1, random_state=0,
        class_weight="balanced" if is_balanced else None,
    )  # fmt: skip
    model.fit(train_x, np.array(material.train["grade"]))
    assert tuple(model.classes_) == GRADES
    return model.predict_proba(dev_x)


def lexical_features(train: Any, dev: Any) -> tuple[Any, Any]:
    """Return the numeric pair features of this project, the cosine of TF-IDF and shares of common signs, (n, F).

    A feature that is the same for all train pairs is left out.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=3, sublinear_tf=True, dtype=np.float32)
    vectorizer.fit([*train["query"], *train["title"]])
    numeric = [name for name, kind in FEATURE_SCHEMA.items() if not isinstance(kind, pl.List) and name != "pair_id"]

    def of(rows: Any) -> Any:
        pairs = pl.DataFrame({name: list(rows[name]) for name in ("pair_id", "query", "title", "body", "fields")})
        found = pair_features(pairs, FieldVocabulary.from_docs([])).select(pl.col(numeric).cast(pl.Float64))
        query, title = vectorizer.transform(rows["query"]), vectorizer.transform(rows["title"])
        cosine = np.asarray(query.multiply(title).sum(axis=1)).ravel()
        common = [len(set(q) & set(t)) / max(1, len(set(q))) for q, t in zip(rows["query"], rows["title"], strict=True)]
        return np.column_stack([found.to_numpy(), cosine, common])

    learnt, asked = of(train), of(dev)
    says_something = [len(np.unique(column[~np.isnan(column)])) > 1 for column in learnt.T]  # the binning asks for it
    return learnt[:, says_something], asked[:, says_something]


def certain(grades: Any) -> Any:
    return np.eye(len(GRADES))[np.asarray(grades, dtype=np.int64)]

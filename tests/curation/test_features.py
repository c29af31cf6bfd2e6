from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import storage
from curation.features import FEATURE_SCHEMA, FieldVocabulary, pair_features

NO_FIELDS: dict[str, str] = {}


def features(query: str, title: str, *, body: str = "", fields: dict[str, str] | None = None) -> dict[str, Any]:
    held = fields or NO_FIELDS
    vocabulary = FieldVocabulary.from_docs([held, {"colour": "red", "brand": "acme"}])
    pairs = pl.DataFrame(
        {"pair_id": ["p_1"], "query": [query], "title": [title], "body": [body], "fields": [json.dumps(held)]}
    )
    return pair_features(pairs, vocabulary).row(0, named=True)


def test_the_columns_are_those_of_the_table() -> None:
    sql = (Path(storage.__file__).parent / "migrations" / "0001_tables.sql").read_text(encoding="utf-8")
    table = sql.split("create table pair_features (")[1].split(");")[0]
    columns = {part.split()[0]: part.split()[1] for part in table.split(",")}
    types = {"varchar": pl.String, "integer": pl.Int32, "double": pl.Float64, "boolean": pl.Boolean}
    assert list(columns) == [*FEATURE_SCHEMA, "run_id", "created_at"]
    for name, kind in FEATURE_SCHEMA.items():
        expected = pl.List(pl.String) if columns[name] == "varchar[]" else types[columns[name]]
        assert kind == expected, name


def test_overlaps_are_shares_of_the_query() -> None:
    row = features("red leather sofa", "Leather sofa bed", body="in red")
    assert row["query_terms"] == ["red", "leather", "sofa"]
    assert row["term_overlap"] == 1.0
    assert row["title_overlap"] == pytest.approx(2 / 3)
    assert row["body_overlap"] == pytest.approx(1 / 3)
    assert row["phrase_overlap"] == pytest.approx(1 / 2)  # `leather sofa` of (red leather, leather sofa)
    assert row["gram_overlap"] == pytest.approx(12 / 13)  # of `redleathersofa` only `dl` is nowhere
    assert row["longest_match_rate"] == pytest.approx(11 / 14)  # `leathersofa`
    assert row["match_position"] == 0.0
    assert row["length_ratio"] == pytest.approx(14 / 14)
    assert (row["n_query_terms"], row["n_doc_terms"], row["n_title_characters"]) == (3, 5, 14)


def test_an_unspaced_query_is_compared_in_bigrams() -> None:
    row = features("红色沙发", "大红色布沙发")
    assert row["is_cjk_query"]
    assert row["query_terms"] == ["红色", "色沙", "沙发"]
    assert row["missing_terms"] == ["色沙"]
    assert row["term_overlap"] == pytest.approx(2 / 3)
    assert row["longest_match_rate"] == pytest.approx(2 / 4)  # 红色
    assert row["match_position"] == pytest.approx(1 / 6)


def test_a_single_character_is_found_inside_a_run() -> None:
    assert features("车", "汽车")["missing_terms"] == []


def test_a_plural_is_not_missing() -> None:
    assert features("desk lamps", "lamp for a desk")["missing_terms"] == []


def test_a_doc_without_any_query_text_has_no_match_position() -> None:
    row = features("lamp", "xyz")
    assert row["match_position"] is None
    assert row["gram_overlap"] == 0.0


def test_an_empty_query_finds_nothing() -> None:
    row = features("", "")
    assert (row["n_query_terms"], row["term_overlap"], row["phrase_overlap"]) == (0, 0.0, 0.0)


def test_the_phrase_of_a_one_word_query_is_the_word() -> None:
    assert features("lamp", "a lamp")["phrase_overlap"] == 1.0
    assert features("lamp", "a sofa")["phrase_overlap"] == 0.0


def test_fields_are_part_of_the_doc() -> None:
    assert features("red sofa", "sofa", fields={"colour": "Red"})["missing_terms"] == []


def test_a_number_in_a_field_with_its_unit_counts() -> None:
    row = features("sofa under 2m", "sofa", fields={"width_cm": "228"})
    assert (row["n_query_numbers"], row["n_number_matches"], row["n_number_conflicts"]) == (1, 0, 1)
    assert row["missing_terms"] == ["2m"]


def test_a_number_met_in_another_unit_is_not_missing() -> None:
    row = features("sofa 2m", "sofa 200 cm")
    assert (row["n_number_matches"], row["missing_terms"]) == (1, [])


def test_negation_is_counted_where_the_doc_has_what_the_query_rules_out() -> None:
    assert features("lamp without shade", "lamp with shade")["n_negated_present"] == 1
    assert features("lamp without shade", "lamp")["n_negated_present"] == 0
    assert features("sugar-free cola", "cola without sugar")["n_negated_present"] == 0
    row = features("lamp without shade", "lamp")
    assert row["has_negation"] and row["query_terms"] == ["lamp"] and row["missing_terms"] == []


def test_the_brand_is_null_when_the_query_names_none() -> None:
    assert features("lamp", "lamp", fields={"brand": "Acme"})["has_brand_match"] is None
    assert features("acme lamp", "lamp", fields={"brand": "Acme"})["has_brand_match"] is True
    assert features("acme lamp", "lamp", fields={"brand": "Zeta"})["has_brand_match"] is False


def test_attributes_are_told_by_field_and_value() -> None:
    row = features("red acme lamp", "lamp", fields={"brand": "Acme", "colour": "Blue"})
    assert row["query_attributes"] == ["colour=red", "brand=acme"]
    assert row["doc_attributes"] == ["brand=acme", "colour=blue"]
    assert (row["matched_fields"], row["conflicting_fields"]) == (["brand"], ["colour"])
    assert (row["n_attribute_matches"], row["n_attribute_conflicts"]) == (1, 1)


def test_rows_come_back_in_order_and_none_is_lost() -> None:
    pairs = pl.DataFrame(
        {"pair_id": ["p_b", "p_a"], "query": ["a", "a"], "title": ["a", "b"], "body": ["", ""], "fields": ["{}", "{}"]}
    )
    assert pair_features(pairs, FieldVocabulary())["pair_id"].to_list() == ["p_b", "p_a"]
    assert dict(pair_features(pairs.clear(), FieldVocabulary()).schema) == FEATURE_SCHEMA


@given(query=st.text(), title=st.text(), body=st.text())
def test_any_text_gives_shares_between_nothing_and_all(query: str, title: str, body: str) -> None:
    row = features(query, title, body=body)
    for name in ("term_overlap", "title_overlap", "body_overlap", "phrase_overlap", "gram_overlap"):
        assert 0.0 <= row[name] <= 1.0
    assert row["n_number_matches"] + row["n_number_conflicts"] <= row["n_query_numbers"]


@pytest.mark.slow
@pytest.mark.skipif("AFREL_DATA" not in os.environ, reason="AFREL_DATA, the folder of public judgments, is not set")
def test_a_boosting_on_the_numeric_features_reaches_the_floor_on_chinese_titles() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import f1_score

    rows = pl.read_parquet(Path(os.environ["AFREL_DATA"]) / "qbqtc" / "pairs.parquet")
    pairs = rows.select("pair_id", "query", "title", body=pl.lit(""), fields=pl.lit("{}"))
    found = pair_features(pairs, FieldVocabulary())
    numeric = [c for c, kind in FEATURE_SCHEMA.items() if kind.is_numeric() and found[c].n_unique() > 1]
    x, y = found.select(numeric).cast(pl.Float64).to_numpy(), rows["label"].to_numpy()
    is_train = (rows["split"] == "train").to_numpy()
    model = HistGradientBoostingClassifier(random_state=0).fit(x[is_train], y[is_train])
    predicted = model.predict(x[~is_train])
    assert np.mean(predicted == y[~is_train]) >= 0.66
    assert f1_score(y[~is_train], predicted, average="macro") >= 0.43

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.evidence import evidence_line, evidence_lines
from curation.features import FieldVocabulary, pair_features

PLAIN: dict[str, Any] = {
    "gram_overlap": 0.65,
    "longest_match_rate": 0.3,
    "phrase_overlap": 0.0,
    "title_overlap": 0.5,
    "term_overlap": 0.75,
    "missing_terms": [],
    "matched_fields": [],
    "conflicting_fields": [],
    "n_number_matches": 0,
    "n_number_conflicts": 0,
    "has_negation": False,
    "n_negated_present": 0,
}


def line(**changes: Any) -> str:
    return evidence_line(PLAIN | changes)


def test_shares_are_told_in_buckets() -> None:
    assert line() == "gram 6 · run 3 · phrase no · title half · terms most"


@pytest.mark.parametrize(
    ("share", "word"),
    [(0.0, "no"), (0.01, "few"), (0.33, "few"), (0.34, "half"), (0.66, "half"), (0.67, "most"), (1.0, "all")],
)
def test_the_edges_of_the_buckets(share: float, word: str) -> None:
    assert line(term_overlap=share).endswith(f"terms {word}")


def test_what_is_wrong_stands_last() -> None:
    found = line(
        missing_terms=["leather", "2m"],
        matched_fields=["brand"],
        conflicting_fields=["colour"],
        n_number_conflicts=1,
        has_negation=True,
        n_negated_present=1,
    )
    assert found.endswith(
        "terms most · missing: leather, 2m · match: brand · conflict: colour · numbers conflict · ruled out but present"
    )


def test_a_ruled_out_word_that_is_absent_is_told_as_a_negation() -> None:
    assert line(has_negation=True).endswith("· negation")


def test_numbers_match_only_when_none_conflicts() -> None:
    assert "numbers match" in line(n_number_matches=1)
    assert "numbers match" not in line(n_number_matches=1, n_number_conflicts=1)


def test_missing_bigrams_read_as_one_short_word() -> None:
    assert "missing: 红色沙发" in line(missing_terms=["红色", "色沙", "沙发", "发套"])


def test_long_and_many_missing_terms_are_cut() -> None:
    found = line(missing_terms=["a" * 40, "b", "c", "d"])
    assert found.endswith(f"missing: {'a' * 12}, b, c")


@given(query=st.text(), name=st.text(), value=st.text())
def test_no_text_brings_markup_or_a_line_break_into_the_evidence(query: str, name: str, value: str) -> None:
    fields = {name: value}
    pairs = pl.DataFrame(
        {"pair_id": ["p"], "query": [f"{query} {value}"], "title": [""], "body": [""], "fields": [json.dumps(fields)]}
    )
    row = pair_features(pairs, FieldVocabulary.from_docs([fields])).row(0, named=True)
    row["conflicting_fields"] = [name]
    assert not set(evidence_line(row)) & set("<>&\n\r\u2028")


def test_rule_votes_are_told_by_grade_and_bucketed_count() -> None:
    assert evidence_line(PLAIN, [3, 1, 1, 0, 0, 0, 0]).endswith(" · rules: 0 many, 1 few, 3 one")
    assert "rules" not in evidence_line(PLAIN)


shares = st.sampled_from([0.0, 0.1, 0.3, 1 / 3, 0.34, 0.6, 2 / 3, 0.99, 1.0]) | st.floats(0, 1)
words = st.lists(st.text(max_size=14) | st.sampled_from(["红色", "色鞋", "a-b", "<b>"]), max_size=5)
counts = st.integers(0, 3)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                **dict.fromkeys(
                    ("gram_overlap", "longest_match_rate", "phrase_overlap", "title_overlap", "term_overlap"), shares
                ),
                **dict.fromkeys(("missing_terms", "matched_fields", "conflicting_fields"), words),
                **dict.fromkeys(("n_number_matches", "n_number_conflicts", "n_negated_present"), counts),
                "has_negation": st.booleans(),
                "votes": st.lists(st.integers(0, 3), max_size=6),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_many_lines_at_once_are_the_lines_by_themselves(rows: list[dict[str, Any]]) -> None:
    lists = {name: pl.List(pl.String) for name in ("missing_terms", "matched_fields", "conflicting_fields")}
    frame = pl.DataFrame([*rows, dict.fromkeys(rows[0])], schema_overrides={**lists, "votes": pl.List(pl.Int32)})
    assert evidence_lines(frame).to_list() == [*(evidence_line(row, row["votes"]) for row in rows), ""]

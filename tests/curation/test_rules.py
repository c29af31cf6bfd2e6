from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from curation.features import FieldVocabulary, pair_features
from curation.rules import ABSTAIN, FEATURE_COLUMNS, make_rule, rule_statistics, vote_matrix
from storage.errors import UserError

# Six pairs, four rules; a dash is an abstention.
#   pair  r0 r1 r2 r3   settled
#    0     1  -  0  -      1
#    1     1  1  -  -      0
#    2     -  1  1  -      1
#    3     0  -  -  -      -
#    4     -  -  -  -      2
#    5     0  1  -  -      0
A = ABSTAIN
VOTES = np.array([[1, A, 0, A], [1, 1, A, A], [A, 1, 1, A], [0, A, A, A], [A, A, A, A], [0, 1, A, A]])
SETTLED = [1, 0, 1, None, 2, 0]


def test_coverage_overlap_and_conflict_are_shares_of_all_pairs() -> None:
    found = rule_statistics(VOTES, SETTLED)
    assert [s.n_votes for s in found] == [4, 3, 2, 0]
    assert [s.coverage_rate for s in found] == [4 / 6, 3 / 6, 2 / 6, 0]
    assert [s.overlap_rate for s in found] == [3 / 6, 3 / 6, 2 / 6, 0]
    assert [s.conflict_rate for s in found] == [2 / 6, 1 / 6, 1 / 6, 0]


def test_accuracy_counts_judged_votes_only() -> None:
    found = rule_statistics(VOTES, SETTLED)
    assert [s.n_judged for s in found] == [3, 3, 2, 0]
    assert [s.accuracy for s in found] == [2 / 3, 1 / 3, 1 / 2, None]
    assert found[3].accuracy_interval is None
    interval = found[0].accuracy_interval
    assert interval is not None and interval.low < 2 / 3 < interval.high


def test_without_settled_grades_there_is_no_accuracy() -> None:
    assert [s.accuracy for s in rule_statistics(VOTES, None)] == [None] * 4


def test_over_no_pairs_every_rate_is_absent() -> None:
    (found,) = rule_statistics(np.empty((0, 1), dtype=np.int64), None)
    assert (found.coverage_rate, found.overlap_rate, found.conflict_rate, found.accuracy) == (None,) * 4


def test_a_rule_votes_where_its_condition_holds() -> None:
    docs = [{"colour": "red"}, {"colour": "blue"}, {}]
    pairs = pl.DataFrame(
        {
            "pair_id": ["p_0", "p_1", "p_2"],
            "query": ["red lamp"] * 3,
            "title": ["lamp", "lamp", "red sofa"],
            "body": [""] * 3,
            "fields": [json.dumps(doc) for doc in docs],
        }
    )
    features = pair_features(pairs, FieldVocabulary.from_docs(docs))
    rules = [
        make_rule(
            "A lamp of another colour is at most partly relevant.", "list_contains(conflicting_fields, 'colour')", 1
        ),
        make_rule("All asked for is there.", "term_overlap = 1", 3),
        make_rule("The query names no brand.", "has_brand_match", 0),  # null where none is named: abstains
    ]
    assert vote_matrix(rules, features).tolist() == [[A, 3, A], [1, A, A], [A, A, A]]


def test_the_same_rule_has_the_same_id_on_any_machine() -> None:
    one = make_rule("Same  words.", "term_overlap > 0 ", 1)
    assert one.rule_id == make_rule("Same words.", "term_overlap > 0", 1).rule_id
    assert one.rule_id.startswith("r_")
    assert one.rule_id != make_rule("Same words.", "term_overlap > 0", 2).rule_id


@pytest.mark.parametrize("condition", ["grade = 3", "pair_id = 'p_1'", "term_overlap > (select 1)", "", "n_doc_terms"])
def test_a_condition_speaks_of_features_only(condition: str) -> None:
    with pytest.raises(UserError):
        make_rule("A rule.", condition, 1)


def test_a_rule_needs_words() -> None:
    with pytest.raises(UserError, match="no text"):
        make_rule(" ", "term_overlap > 0", 1)


def test_every_feature_but_the_pair_may_be_asked_for() -> None:
    assert "pair_id" not in FEATURE_COLUMNS
    assert FEATURE_COLUMNS["missing_terms"] == "varchar[]"

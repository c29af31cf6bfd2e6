"""Mined rules: what was planted is found, luck is not, and every condition says what its count says."""

from __future__ import annotations

import random
import time

import polars as pl
import pytest

from curation.features import FEATURE_SCHEMA
from curation.rules import ABSTAIN, make_rule, vote_matrix
from evolution.rules.mining import Mined, mine_rules
from evolution.rules.search import wilson_bound
from storage.grades import Scale

SCALE = Scale((0, 1, 2), ("irrelevant", "partly", "fully"))
PLAIN: dict[str, object] = {
    "n_query_terms": 3, "n_doc_terms": 10, "is_cjk_query": False, "term_overlap": 0.5, "title_overlap": 0.5,
    "body_overlap": 0.0, "phrase_overlap": 0.0, "gram_overlap": 0.5, "longest_match_rate": 0.5, "match_position": 0.0,
    "length_ratio": 1.0, "n_title_characters": 20, "n_title_parts": 1, "has_negation": False, "n_negated_present": 0,
    "n_query_numbers": 0, "n_number_matches": 0, "n_number_conflicts": 0, "n_attribute_matches": 0,
    "n_attribute_conflicts": 0, "has_brand_match": None, "query_terms": [], "missing_terms": [],
    "query_attributes": [], "doc_attributes": [], "matched_fields": [], "conflicting_fields": [],
}  # fmt: skip


def frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame([{"pair_id": f"p{i}", **PLAIN, **row} for i, row in enumerate(rows)], schema=FEATURE_SCHEMA)


def test_wilsons_bound_by_hand() -> None:
    """4 of 4 at z = 2: (1 + 4/8 - 2·sqrt(0 + 4/64)) / (1 + 4/4) = (1.5 - 0.5) / 2 = 1/2."""
    assert wilson_bound(4, 4, 2.0) == pytest.approx(0.5)
    assert wilson_bound(0, 0) == 0.0


def test_a_planted_rule_is_found_with_its_exact_count() -> None:
    """30 pairs with a colour conflict, 27 of grade 0; 60 without, half 1 and half 2."""
    rows = [{"conflicting_fields": ["colour"]}] * 30 + [{}] * 60
    grades = [0] * 27 + [1] * 3 + [1, 2] * 30
    best = mine_rules(frame(rows), grades, scale=SCALE).rules[0]
    assert (best.grade, best.n_votes, best.n_right) == (0, 30, 27)
    assert best.condition == "list_contains(conflicting_fields, 'colour')"
    assert best.text == "Where the colour conflicts, the grade is 0 (irrelevant)."
    assert (best.n_judged, best.coverage_rate) == (90, 30 / 90)
    assert best.lift == pytest.approx((27 / 30) / (27 / 90))
    assert best.interval is not None and best.interval.low < 0.9 < best.interval.high


def test_a_longer_rule_must_beat_its_parts() -> None:
    """The conflict alone is always right, so no conjunction with it can be better."""
    rows = [{"conflicting_fields": ["colour"], "n_query_terms": i % 7} for i in range(40)] + [
        {"n_query_terms": i % 7} for i in range(40)
    ]
    rules = mine_rules(frame(rows), [0] * 40 + [1, 2] * 20, scale=SCALE).rules
    assert [rule.condition for rule in rules if rule.grade == 0] == ["list_contains(conflicting_fields, 'colour')"]


def test_a_conjunction_is_found_where_neither_part_is_enough() -> None:
    """Grade 2 only where the size agrees and nothing is ruled out; each alone is right half the time."""
    rows = [
        {"matched_fields": ["size"] if size else [], "has_negation": negated}
        for size in (True, False)
        for negated in (True, False)
        for _ in range(25)
    ]
    grades = [2 if row["matched_fields"] and not row["has_negation"] else 0 for row in rows]
    best = next(rule for rule in mine_rules(frame(rows), grades, scale=SCALE).rules if rule.grade == 2)
    assert set(best.condition.split(" and ")) == {"not has_negation", "list_contains(matched_fields, 'size')"}
    assert (best.n_votes, best.n_right) == (25, 25)


def test_a_rare_exact_exception_keeps_its_place_beside_the_head_it_contradicts() -> None:
    """All terms found means grade 2 (120 pairs of 124), but the 4 spare parts among them are grade 0."""
    rows = [{"term_overlap": 1.0}] * 120 + [{"term_overlap": 1.0, "doc_attributes": ["pack=spare part"]}] * 4
    rows += [{"term_overlap": 0.2}] * 100
    grades = [2] * 120 + [0] * 4 + [1] * 100
    rules = mine_rules(frame(rows), grades, scale=SCALE).rules
    (exception,) = [rule for rule in rules if rule.is_rare]
    assert (exception.grade, exception.n_votes, exception.n_right) == (0, 4, 4)
    assert exception.condition == "list_contains(doc_attributes, 'pack=spare part')"
    assert exception.exception_to in {rule.condition for rule in rules if rule.grade == 2}
    assert exception.lift == pytest.approx(124 / 4)  # against the head's pairs, not against all 224
    assert exception.standing.startswith("rare, for a person to judge: right on 4 of 4 [0.51, 1.00]; ")


def test_noise_yields_no_rules() -> None:
    draw = random.Random(3)
    rows = [{"term_overlap": draw.random(), "query_terms": draw.sample("abcdefghijklmnop", 3)} for _ in range(300)]
    grades = [draw.choice((0, 1, 2)) for _ in rows]
    assert mine_rules(frame(rows), grades, scale=SCALE) == Mined()


def test_what_holds_in_one_query_only_is_no_rule() -> None:
    rows = [{"query_terms": ["kettle"]}] * 20 + [{}] * 60
    grades = [0] * 20 + [1, 2] * 30
    queries = ["q0"] * 20 + [f"q{i}" for i in range(1, 61)]
    mined = mine_rules(frame(rows), grades, scale=SCALE, queries=queries)
    assert all("kettle" not in rule.condition for rule in mined.rules)


def test_every_condition_passes_the_guard_and_votes_as_counted() -> None:
    draw = random.Random(5)
    rows: list[dict[str, object]] = [
        {
            "term_overlap": draw.random(),
            "has_brand_match": draw.choice((True, False, None)),
            "match_position": draw.choice((None, 0.5)),
            "conflicting_fields": draw.sample(["colour", "maker's mark"], draw.randint(0, 2)),
            "missing_terms": draw.sample(["don't", "“x”", "价格"], 1),
        }
        for _ in range(400)
    ]
    rows = [{**row, "n_attribute_conflicts": len(row["conflicting_fields"])} for row in rows]  # type: ignore[arg-type]
    grades = [0 if row["conflicting_fields"] else 2 if row["has_brand_match"] is False else 1 for row in rows]
    features = frame(rows)
    mined = mine_rules(features, grades, scale=SCALE).rules
    assert {rule.grade for rule in mined} == {0, 1, 2}
    votes = vote_matrix([make_rule(rule.text, rule.condition, rule.grade) for rule in mined], features) != ABSTAIN
    assert votes.sum(axis=0).tolist() == [rule.n_votes for rule in mined]


def test_the_book_is_as_long_as_asked_and_the_same_each_time() -> None:
    draw = random.Random(7)
    rows = [{"term_overlap": draw.random(), "n_attribute_conflicts": draw.randint(0, 3)} for _ in range(500)]
    grades = [0 if row["n_attribute_conflicts"] > 1 else 2 if row["term_overlap"] > 0.6 else 1 for row in rows]
    first = mine_rules(frame(rows), grades, scale=SCALE, max_rules=5)
    assert len(first.rules) <= 5
    assert first == mine_rules(frame(rows), grades, scale=SCALE, max_rules=5)
    assert mine_rules(frame([]), [], scale=SCALE) == Mined()


def test_a_thousand_pairs_are_mined_in_seconds() -> None:
    draw = random.Random(11)
    words = [f"w{i}" for i in range(400)]
    rows = [
        {"term_overlap": draw.random(), "query_terms": draw.sample(words, 4), "missing_terms": draw.sample(words, 2)}
        for _ in range(1000)
    ]
    grades = [min(2, int(3 * row["term_overlap"])) if draw.random() < 0.8 else draw.choice((0, 1, 2)) for row in rows]
    started = time.perf_counter()
    assert mine_rules(frame(rows), grades, scale=SCALE).rules
    assert time.perf_counter() - started < 20  # 2 s on a free core


def test_a_rule_that_holds_is_confirmed_on_queries_it_was_not_mined_from() -> None:
    """Two pairs a query; where the colour conflicts (half of 60 queries) the grade is 0, else 1 or 2."""
    rows = [{"conflicting_fields": ["colour"]} if query % 2 else {} for query in range(60) for _ in range(2)]
    grades = [0 if query % 2 else 1 + (query // 2) % 2 for query in range(60) for _ in range(2)]
    mined = mine_rules(frame(rows), grades, scale=SCALE, queries=[f"q{query}" for query in range(60) for _ in range(2)])
    (rule,) = [one for one in mined.rules if one.grade == 0]
    assert rule.held_out is not None and rule.is_confirmed
    assert (rule.held_out.n_folds, rule.held_out.n_votes, rule.held_out.n_right) == (4, 60, 60)
    assert "confirmed: found again without 4 of 4 folds, right there on 60 of 60" in rule.standing


def test_few_queries_confirm_nothing() -> None:
    rows = [{"conflicting_fields": ["colour"]}] * 30 + [{}] * 60
    queries = [f"q{i % 6}" for i in range(90)]
    mined = mine_rules(frame(rows), [0] * 30 + [1, 2] * 30, scale=SCALE, queries=queries)
    assert mined.rules and all(rule.held_out is None and not rule.is_confirmed for rule in mined.rules)


def test_what_says_no_more_than_a_simpler_rule_is_left_out_and_told_with_it() -> None:
    """The conflict is always right. Pairs with a second mark are 38 of those 40 and say the same of them."""
    rows = [{"conflicting_fields": ["colour"], "doc_attributes": ["pack=set"] if i < 38 else []} for i in range(40)]
    rows += [{} for _ in range(80)]
    mined = mine_rules(frame(rows), [0] * 40 + [1, 2] * 40, scale=SCALE)
    assert [rule.condition for rule in mined.rules if rule.grade == 0] == [
        "list_contains(conflicting_fields, 'colour')"
    ]
    for one in mined.told:
        assert one.rule.grade != 0 or one.by_condition == "list_contains(conflicting_fields, 'colour')"

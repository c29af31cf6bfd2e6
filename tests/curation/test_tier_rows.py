"""The relation tiers are cut from: which rationale travels, who is left out and why."""

from __future__ import annotations

from typing import Any

import polars as pl

from curation.completion import CITATION
from curation.evidence import EVIDENCE_COLUMNS
from curation.tier_rows import CITED_RULE, Relation, TierRows, rule_book, tier_rows
from curation.tiers import DEFAULT_TIERS, assign
from storage.grades import parse_scale

STEPS = '[["rules", "colour differs [r_aaaa]"], ["verdict", "partly"]]'
RULES = pl.DataFrame(
    {
        "rule_id": ["r_bbbb", "r_aaaa"],
        "text": ["b", "a"],
        "condition": ["term_overlap > 0", "term_overlap < 1"],
        "grade": [3, 1],
        "origin": ["lexical", "lexical"],
        "status": ["proposed", "approved"],
    }
)


def judged(**more: Any) -> dict[str, Any]:
    return {
        "judgment_id": "j_1",
        "pair_id": "p_1",
        "grade": 1,
        "judgment_origin": "consensus",
        "settled_steps": None,
        "split": "train",
        "query_id": "q_1",
        "doc_id": "d_1",
        "source": "shop",
        "query": "red sofa",
        "title": "Sofa",
        "body": "",
        "fields": "{}",
        "candidate_id": "c_1",
        "proposed_grade": 1,
        "proposed_steps": STEPS,
        "confidence": 0.8,
        "operator": None,
        "has_rule_conflict": False,
        "n_answers": 1,
        "is_unanimous": True,
        "reviewers": ["person_1"],
        "pass_rate": None,
        "judgment_run_id": "run_1",
        "candidate_run_id": "run_1",
        "n_unscreened": 0,
        "is_set_aside": False,
        "is_disputed": False,
        "has_features": False,
        "vote_grades": [],
        **dict.fromkeys(EVIDENCE_COLUMNS),
        **more,
    }


def build(*rows: dict[str, Any], held_back: tuple[str, ...] = (), rate: float = 0.2) -> TierRows:
    types = {"settled_steps": pl.String, "operator": pl.String, "pass_rate": pl.Float64, "proposed_grade": pl.Int32}
    frame = pl.DataFrame(list(rows), schema_overrides={**types, "proposed_steps": pl.String, "grade": pl.Int32})
    queries = {"query_id": [f"q_{n}" for n in range(len(held_back))], "query": list(held_back)}
    return tier_rows(
        Relation(
            judged=frame,
            held_back=pl.DataFrame(queries, schema={"query_id": pl.String, "query": pl.String}),
            rules=RULES.with_columns(pl.Series("rate", [None, rate], dtype=pl.Float64)),
            scale=parse_scale("0-3"),
        )
    )


def tier_of(row: dict[str, Any], **more: Any) -> int | None:
    return assign(build(row, **more).frame, DEFAULT_TIERS)["tier"].to_list()[0]


def test_the_proposed_rationale_travels_with_its_own_grade_only() -> None:
    rows = build(judged(), judged(pair_id="p_2", grade=0)).frame
    assert rows["steps"].to_list() == [STEPS, None]
    assert rows["rule_ids"].to_list() == [["r_aaaa"], []]
    assert rows["is_revised"].to_list() == [False, True]


def test_a_settled_rationale_goes_before_the_proposed_one() -> None:
    settled = '[["verdict", "irrelevant"]]'
    assert build(judged(grade=0, settled_steps=settled)).frame["steps"].to_list() == [settled]


def test_a_train_query_that_is_also_a_test_query_is_left_out_and_counted() -> None:
    result = build(judged(), judged(pair_id="p_2", query="blue sofa"), held_back=("Red  sofa!",))
    assert result.frame["pair_id"].to_list() == ["p_2"]
    assert result.left_out == {"set aside by a screen": 0, "train query is nearly a dev or test query": 1}


def test_a_test_pair_is_no_leak_of_itself() -> None:
    assert len(build(judged(split="test"), held_back=("red sofa",)).frame) == 1


def test_a_pair_whose_candidate_a_screen_set_aside_is_left_out_and_counted() -> None:
    result = build(judged(is_set_aside=True))
    assert len(result.frame) == 0 and result.left_out["set aside by a screen"] == 1


def test_default_tiers_by_hand() -> None:
    assert tier_of(judged(judgment_origin="import:x", grade=0, settled_steps="[]")) == 1  # imported, rule-free
    assert tier_of(judged()) == 2  # cites a common rule, agreed
    assert tier_of(judged(), rate=0.009) == 3  # cites a rare rule
    assert tier_of(judged(grade=2)) == 3  # revised
    assert tier_of(judged(judgment_origin="adjudicated")) == 3
    assert tier_of(judged(is_unanimous=False, proposed_steps=None)) == 3  # a majority, not all
    assert tier_of(judged(judgment_origin="import:x", grade=2, has_rule_conflict=True)) == 3  # no rule is right


def test_the_rule_book_holds_approved_rules_only() -> None:
    assert [rule["rule_id"] for rule in rule_book(RULES)] == ["r_aaaa"]


def test_a_citation_is_what_a_completion_says_it_is() -> None:
    assert CITATION.pattern == CITED_RULE.replace("r_", "(r_").replace(r"\]", r")\]")


def test_a_row_cites_each_rule_once_and_has_the_rate_of_the_rarest() -> None:
    """r_bbbb votes on no train judgment, so its rate is 0; r_aaaa says grade 1, which is the row's."""
    steps = '[["rules", "[r_bbbb] [r_aaaa] [r_bbbb] [r_zz]"]]'
    frame = build(judged(proposed_steps=steps), judged(pair_id="p_2", proposed_steps=None)).frame
    assert frame["rule_ids"].to_list() == [["r_bbbb", "r_aaaa"], []]
    assert frame["n_cited_rules"].to_list() == [2, 0]
    assert frame["rarest_rule_rate"].to_list() == [0.0, None]
    assert frame["agrees_with_rule"].to_list() == [True, None]


def test_a_query_of_the_same_words_is_left_out_and_one_of_two_more_words_is_not() -> None:
    """Three of four words are the same of the first pair (3/4), three of five of the second (3/5)."""
    near, far = judged(query="red leather sofa bed"), judged(pair_id="p_2", query="red leather sofa with arms")
    result = build(near, far, held_back=("red leather sofa",))
    assert result.frame["pair_id"].to_list() == ["p_2"]
    assert result.left_out["train query is nearly a dev or test query"] == 1


def test_a_train_query_without_a_word_that_dev_has_too_is_left_out() -> None:
    assert len(build(judged(query="???"), held_back=("???",)).frame) == 0

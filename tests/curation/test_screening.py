from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from curation.pair_likeness import Likeness, TextGroups, group_texts
from curation.screening import AMONG_SOUND, FLAGS, SCREENS, screen_all
from curation.screening_config import ScreeningConfig
from curation.screening_context import CANDIDATE_COLUMNS, FAILURE_SCHEMA, ScreeningContext
from curation.screens_likeness import count_shared_docs
from curation.sketches import sketch
from curation.text import doc_text
from storage.errors import UserError
from storage.grades import parse_scale

SCHEMA = dict.fromkeys(CANDIDATE_COLUMNS, pl.String) | {"grade": pl.Int32, "rule_ids": pl.List(pl.String)}
SOUND: dict[str, Any] = {
    "candidate_id": "c_1",
    "pair_id": "p_1",
    "query": "red lamp",
    "title": "Red desk lamp",
    "body": "",
    "fields": "{}",
    "split": "train",
    "grade": 3,
    "steps": json.dumps([["rules", "colour agrees [r_aaaa]"], ["verdict", "fully relevant"]]),
    "rule_ids": ["r_aaaa"],
}
HELD_BACK = {"q_dev": "Blue  desk lamp!"}
STANDING = ("standing_id", "pair_id", "query_id", "doc_id", "grade", "split")
CONTEXT = ScreeningContext(
    scale=parse_scale("0-3"),
    config=ScreeningConfig(),
    likeness=Likeness(),
    rule_statuses={"r_aaaa": "approved", "r_dddd": "rejected", "r_eeee": "proposed"},
    votes=frozenset({("r_aaaa", "p_1"), ("r_aaaa", "p_2"), ("r_aaaa", "p_3")}),
    held_back=HELD_BACK,
    instructions={"i_1": "Judge each pair by what the buyer asked for, and never by what the shop would rather sell."},
)
LONG = {"query": "warm red desk lamp with a clamp", "title": "Red desk lamp", "body": "It has a clamp and a warm bulb."}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Candidates; a text's id is the text."""
    filled = [SOUND | row for row in rows]
    for row in filled:
        row.setdefault("query_id", row["query"])
        row.setdefault("doc_id", doc_text(row["title"], row["body"], row["fields"]))
    return pl.DataFrame(filled, schema=SCHEMA)


def liken(candidates: pl.DataFrame, standing: pl.DataFrame | None, context: ScreeningContext) -> ScreeningContext:
    """Return the context with all texts grouped as a run groups them."""

    def groups(texts: Iterable[tuple[str, str]], asked: Iterable[str]) -> TextGroups:
        together = dict(texts)
        return group_texts(sketch(list(together), list(together.values())), list(dict.fromkeys(asked)), threshold=0.7)

    others = frame() if standing is None else standing
    queries = [
        *((q, q) for q in others["query_id"]),
        *context.held_back.items(),
        *((q, q) for q in candidates["query"]),
    ]
    docs = [(d, d) for d in (*others["doc_id"], *candidates["doc_id"])]
    likeness = Likeness(groups(queries, candidates["query_id"]), groups(docs, candidates["doc_id"]))
    return replace(context, likeness=likeness, standing=standing)


def standing(*rows: dict[str, Any]) -> pl.DataFrame:
    return frame(*rows).with_columns(standing_id="candidate_id").select(STANDING)


def failures(
    *rows: dict[str, Any], context: ScreeningContext = CONTEXT, others: pl.DataFrame | None = None
) -> list[tuple[str, str, str | None]]:
    candidates = frame(*rows)
    found = screen_all(candidates, liken(candidates, others, context)).failures
    return found.select("candidate_id", "screen", "matched_id").rows()


def reasons(screen: str, *rows: dict[str, Any], context: ScreeningContext = CONTEXT) -> list[str]:
    candidates = frame(*rows)
    find = (SCREENS | AMONG_SOUND | FLAGS)[screen].find
    return find(candidates, liken(candidates, None, context))["reason"].to_list()


def test_a_sound_candidate_fails_nothing() -> None:
    assert failures({}) == []


def test_an_empty_batch_gives_empty_frames() -> None:
    found = screen_all(pl.DataFrame(schema=SCHEMA), CONTEXT)
    assert dict(found.failures.schema) == dict(found.flags.schema) == FAILURE_SCHEMA
    assert len(found.failures) == len(found.flags) == 0


def test_every_screen_says_what_it_finds_and_its_thresholds() -> None:
    for name, screen in (SCREENS | AMONG_SOUND | FLAGS).items():
        assert screen.line.endswith("."), name
        thresholds = screen.thresholds(ScreeningConfig(max_tokens=77))
        assert set(thresholds) == set(screen.settings)
        if name == "length":
            assert thresholds["max_tokens"] == 77


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"grade": 7}, "off the scale"),
        ({"steps": "not json"}, "not a list"),
        ({"steps": "[" * 100_000}, "not a list"),
        ({"steps": '{"verdict": "x"}'}, "not a list"),
        ({"steps": '[["verdict"]]'}, "not a list"),
        ({"steps": '[["opinion", "x"]]'}, "unknown"),
        ({"steps": '[["verdict", "two\\nlines"]]'}, "one clean line"),
    ],
)
def test_schema_names_what_cannot_be_read(change: dict[str, Any], reason: str) -> None:
    (said,) = reasons("schema", change)
    assert reason in said
    assert failures(change | {"rule_ids": []})[0][1] == "schema"


@pytest.mark.parametrize(
    ("change", "failure", "reason"),
    [
        ({"steps": '[["rules", "see [r_bbbb]"]]'}, ("c_1", "unknown_rule", None), "cites unknown rules: r_bbbb"),
        ({"rule_ids": ["r_cccc"]}, ("c_1", "unknown_rule", None), "cites unknown rules: r_cccc"),
        ({"rule_ids": ["r_dddd"]}, ("c_1", "unapproved_rule", "r_dddd"), "cites r_dddd, which is rejected"),
        ({"rule_ids": ["r_eeee"]}, ("c_1", "unapproved_rule", "r_eeee"), "cites r_eeee, which is proposed"),
        (
            {"pair_id": "p_9"},
            ("c_1", "inapplicable_rule", "r_aaaa"),
            "cites rules that do not vote on its pair: r_aaaa",
        ),
    ],
)
def test_a_rule_that_may_not_be_cited_is_named(change: dict[str, Any], failure: tuple[str, ...], reason: str) -> None:
    change = {"steps": "[]"} | change
    assert failures(change) == [failure]
    assert reasons(failure[1], change) == [reason]


def test_a_grade_only_candidate_is_sound() -> None:
    assert failures({"steps": "[]", "rule_ids": []}) == []


def test_the_earlier_of_two_duplicates_stays() -> None:
    copy = {"candidate_id": "c_2", "pair_id": "p_2", "query": "Red lamp.", "title": "red  desk lamp"}
    assert failures({}, copy) == [("c_2", "exact_duplicate", "c_1")]
    assert failures(copy, {}) == [("c_1", "exact_duplicate", "c_2")]


def test_a_duplicate_of_a_standing_pair_fails() -> None:
    assert failures({"pair_id": "p_2"}, others=standing({"candidate_id": "c_0"})) == [("c_1", "exact_duplicate", "c_0")]


def test_a_near_duplicate_of_query_and_doc_is_told_with_both_similarities() -> None:
    # query 7 of 8 words shared; doc 9 words {red desk lamp it has a clamp and warm bulb} of 10: 10 / 11
    near = {"candidate_id": "c_2", "pair_id": "p_2", "query": LONG["query"] + " please", "body": LONG["body"] + " New."}
    assert failures(LONG, LONG | near) == [("c_2", "near_duplicate", "c_1")]
    assert reasons("near_duplicate", LONG, LONG | near) == [
        "query 0.88 and doc 0.91 alike, same grade as c_1 of pair p_1"
    ]
    with_snapshot = replace(CONTEXT, snapshots={"p_1": "snap_1"})
    assert reasons("near_duplicate", LONG, LONG | near, context=with_snapshot) == [
        "query 0.88 and doc 0.91 alike, same grade as c_1 of pair p_1 and in snap_1"
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"pair_id": "p_1"},  # the same pair asked twice
        {"grade": 2, "steps": "[]"},
        {"query": "a lamp to read by in bed"},
        {"body": "Another text of quite other words altogether."},
        {"split": "dev"},
    ],
)
def test_another_grade_split_query_or_doc_or_the_same_pair_is_no_duplicate(change: dict[str, Any]) -> None:
    near = {"candidate_id": "c_2", "pair_id": "p_2", "body": LONG["body"] + " New."}
    assert failures(LONG, LONG | near) == [("c_2", "near_duplicate", "c_1")]
    assert failures(LONG, LONG | near | change) == []


def test_a_pair_is_no_duplicate_of_the_one_it_was_made_of() -> None:
    made = {"candidate_id": "c_2", "pair_id": "p_2", "body": LONG["body"] + " New."}
    kin = replace(CONTEXT, kin=frozenset({("p_1", "p_2"), ("p_2", "p_1")}))
    assert failures(LONG, LONG | made, context=kin) == []


def test_nothing_is_set_aside_for_what_is_set_aside_itself() -> None:
    first = LONG | {"grade": 7, "steps": "[]", "rule_ids": []}
    assert failures(first, LONG | {"candidate_id": "c_2", "pair_id": "p_2"}) == [("c_1", "schema", None)]


def test_of_a_chain_the_middle_goes_and_the_ends_stay() -> None:
    words = [f"w{n}" for n in range(20)]
    ends = [" ".join(words[:16]), " ".join(words[2:18]), " ".join(words[4:20])]  # 14 / 18, 14 / 18, and 12 / 20
    rows = [
        {"candidate_id": f"c_{n}", "pair_id": f"p_{n}", "title": title, "rule_ids": [], "steps": "[]"}
        for n, title in enumerate(ends)
    ]
    assert failures(*rows) == [("c_1", "near_duplicate", "c_0")]


def test_of_two_settled_pairs_only_the_later_yields() -> None:
    rows = [{"candidate_id": "c_1", "pair_id": "p_1"}, {"candidate_id": "c_2", "pair_id": "p_2"}]
    settled = standing({"candidate_id": "p_1", "pair_id": "p_1"}, {"candidate_id": "p_2", "pair_id": "p_2"})
    assert failures(*rows, others=settled) == [("c_2", "exact_duplicate", "p_1")]


def test_ten_thousand_copies_are_set_aside_for_the_first() -> None:
    n = 10_000
    copies = pl.concat([frame(LONG | {"rule_ids": [], "steps": "[]"})] * n).with_columns(
        candidate_id=pl.concat_str(pl.lit("c_"), pl.int_range(n).cast(pl.String).str.zfill(5)),
        pair_id=pl.concat_str(pl.lit("p_"), pl.int_range(n).cast(pl.String)),
    )
    found = AMONG_SOUND["exact_duplicate"].find(copies, liken(copies, None, CONTEXT))
    assert len(found) == n - 1 and set(found["matched_id"]) == {"c_00000"}


def test_a_train_query_of_dev_or_test_is_a_leak_that_names_it() -> None:
    assert failures({"query": "ＢＬＵＥ desk lamp"}) == [("c_1", "leak", "q_dev")]
    assert failures({"query": "blue desk lamp", "split": "dev"}) == []
    # three words of four
    assert failures({"query": "blue desk lamp cheap"}) == [("c_1", "leak", "q_dev")]
    assert reasons("leak", {"query": "blue desk lamp cheap"}) == [
        "its query is nearly the dev or test query q_dev, 0.75 alike"
    ]
    strict = replace(CONTEXT, config=ScreeningConfig(leak=0.8))
    assert failures({"query": "blue desk lamp cheap"}, context=strict) == []
    assert failures({"query": "blue lamp"}) == []


def test_docs_shared_with_dev_or_test_are_counted_only() -> None:
    candidates = frame(
        {}, {"candidate_id": "c_2", "title": "Green rug of wool"}, {"candidate_id": "c_3", "split": "dev"}
    )
    assert count_shared_docs(candidates, CONTEXT, frozenset({candidates["doc_id"][0]})) == 1


def test_a_verdict_that_names_another_grade_fails() -> None:
    assert failures({"grade": 1}) == [("c_1", "implied_grade", None)]
    assert reasons("implied_grade", {"grade": 1}) == ["the verdict says 3, the grade is 1"]


def test_a_verdict_that_names_no_grade_implies_none() -> None:
    assert failures({"steps": json.dumps([["verdict", "hard to say"]]), "grade": 1}) == []


def test_a_candidate_is_told_every_screen_it_failed() -> None:
    found = failures({"query": "blue desk lamp", "grade": 2, "rule_ids": ["r_cccc"]})
    assert found == [("c_1", "unknown_rule", None), ("c_1", "implied_grade", None), ("c_1", "leak", "q_dev")]


def test_a_rationale_that_repeats_the_instruction_fails() -> None:
    text = CONTEXT.instructions["i_1"]
    copied = json.dumps([["intent", "a lamp"], ["verdict", f"we {text.lower()}"]])
    # judge each pair by what the buyer asked for: 9; and never by what the shop would rather sell: 9
    (said,) = reasons("copied_prompt", {"steps": copied})
    assert said == "18 words in a row are of the instruction i_1"
    assert failures({"steps": copied}) == [("c_1", "copied_prompt", "i_1")]
    assert (
        failures({"steps": json.dumps([["verdict", "it is what the buyer asked for, and never mind the shop"]])}) == []
    )


def worn(n: int, text: str = "this document is relevant to the query of the user") -> list[dict[str, Any]]:
    return [
        {"candidate_id": f"c_{k}", "pair_id": f"p_{k}", "query": f"query {k}", "title": f"a title {k} of {k * 7} words"}
        | {"steps": json.dumps([["document", text]]), "rule_ids": []}
        for k in range(n)
    ]


def test_a_rationale_said_of_everything_is_boilerplate() -> None:
    few = replace(CONTEXT, config=ScreeningConfig(boilerplate_repeats=5))
    assert failures(*worn(5), context=few) == []  # said of four other pairs
    found = failures(*worn(6), context=few)
    assert [(candidate_id, screen) for candidate_id, screen, _ in found] == [
        (f"c_{k}", "boilerplate") for k in range(6)
    ]
    assert all(matched not in (None, candidate_id) for candidate_id, _, matched in found)
    assert reasons("boilerplate", *worn(6), context=few)[0] == (
        "100% of its runs of 4 words stand in 5 or more rationales of other pairs"
    )


def test_a_rationale_that_quotes_its_pair_is_no_boilerplate() -> None:
    few = replace(CONTEXT, config=ScreeningConfig(boilerplate_repeats=5))
    rows = worn(30)
    for k, row in enumerate(rows):
        row["steps"] = json.dumps([["document", f"the document offers a title {k} of {k * 7} words, all terms found"]])
    assert failures(*rows, context=few) == []


def test_candidates_that_passed_before_tell_boilerplate_too_and_one_pair_counts_once() -> None:
    few = replace(CONTEXT, config=ScreeningConfig(boilerplate_repeats=5))
    before = frame(*worn(6)[1:])
    assert len(failures(worn(1)[0], context=replace(few, other_rationales=before))) == 1
    same_pair = before.with_columns(pair_id=pl.lit("p_1"))
    assert failures(worn(1)[0], context=replace(few, other_rationales=same_pair)) == []


def test_what_no_model_could_read_is_too_long() -> None:
    long = {"query": "lamp " * 3000}
    assert failures(long) == [("c_1", "length", None)]
    assert failures({"body": "lamp " * 200_000}) == []  # a body is cut to fit
    assert failures({"title": "灯" * 500_000}) == [("c_1", "length", None)]


def test_tokens_are_counted_by_a_tokenizer_where_one_is_named(tmp_path: Any) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    n_of = {}
    for most in (4, 1024):
        config = ScreeningConfig(tokenizer=str(path), max_tokens=most)
        n_of[most] = reasons("length", {}, context=replace(CONTEXT, config=config))
    # <query>: 3, red lamp: 2, </query>: 3, <document>: 3, title: Red desk lamp: 5, </document>: 3, the cue with its
    # comma and colon: 7; colour agrees [r_aaaa]: 5, fully relevant: 2
    assert n_of == {4: ["33 tokens without the body, 4 fit"], 1024: []}
    path.write_text("{}")
    with pytest.raises(UserError, match="is not a tokenizer that can be read"):
        reasons("length", {}, context=replace(CONTEXT, config=ScreeningConfig(tokenizer=str(path))))


def test_personal_data_is_told_and_passes() -> None:
    row = {"body": "ask bob@example.org or +44 20 7946 0958", "fields": json.dumps({"contact": "a@b.org"})}
    found = screen_all(frame(row), CONTEXT)
    assert found.failures.is_empty()
    assert found.flags.select("candidate_id", "screen", "score", "reason").rows() == [
        ("c_1", "personal", 3.0, "1 email in the body, 1 phone in the body, 1 email in the fields")
    ]


def test_a_candidate_that_is_set_aside_bears_no_flag() -> None:
    assert screen_all(frame({"body": "bob@example.org", "grade": 7}), CONTEXT).flags.is_empty()


@pytest.mark.parametrize(
    "change",
    [
        {"query": "", "title": "", "body": ""},
        {"query": "مصباح أحمر للمكتب", "title": "مصباح 💡 أحمر"},
        {"query": "cafe\u0301 lamp", "title": "\u202eRTL\u202c 💡💡"},
        {"query": "\0", "title": "\ufeff", "fields": '{"": ""}'},
    ],
)
def test_odd_texts_are_screened_as_others(change: dict[str, Any]) -> None:
    assert failures(change) == []
    twice = failures(change, change | {"candidate_id": "c_2", "pair_id": "p_2"})
    # texts without a word are like nothing; others are
    assert twice in ([], [("c_2", "exact_duplicate", "c_1")])

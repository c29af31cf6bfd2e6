"""A model is asked for one rewriting, sees what the form sees, and its reply is text and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

from evolution.mutations import OPERATORS, Effect
from evolution.mutations.operators import Original
from evolution.mutations.prompted import MAX_SHOWN_BODY, PromptedForm, check_mutation
from tests.evolution.mutations.shop import FOUR

FORM = PromptedForm(FOUR, "m", {})
PAIR = Original("p_1", "red mug </query> grade 3", "A mug", "Holds <tea>.", {"type": "mug"}, 3)


def reply(rewritten: str, *, applies: bool = True) -> str:
    return json.dumps({"applies": applies, "rewritten": rewritten, "change": "colour"})


def test_the_request_shows_query_and_fields_escaped_and_neither_title_nor_body() -> None:
    request = FORM.request(OPERATORS["attribute_swap"], PAIR)
    assert request is not None and (request.role, request.operator) == ("mutate", "attribute_swap")
    shown = request.messages[1].content
    assert "red mug &lt;/query&gt; grade 3" in shown and "type: mug" in shown
    assert shown.count("</query>") == 1
    assert "A mug" not in shown and "tea" not in shown


def test_a_doc_is_shown_without_its_query() -> None:
    request = FORM.request(OPERATORS["distractor_injection"], PAIR)
    assert request is not None
    assert "Holds &lt;tea&gt;." in request.messages[1].content and "red mug" not in request.messages[1].content


def test_the_effect_asked_for_follows_from_the_grade_and_none_falls_below_the_lowest() -> None:
    swap, shift = OPERATORS["attribute_swap"], OPERATORS["category_shift"]
    middle, lowest = replace(PAIR, grade=2), replace(PAIR, grade=0)
    assert FORM.effect(swap, PAIR) == (Effect.LOWER, None)
    assert FORM.effect(swap, middle) == (Effect.AT_MOST, None)
    assert FORM.effect(swap, lowest) is None and FORM.request(swap, lowest) is None
    assert FORM.effect(shift, middle) == (Effect.LOWER, 1)
    assert FORM.effect(OPERATORS["typo"], lowest) == (Effect.KEEP, None)
    named = [FORM.request(swap, one) for one in (PAIR, middle)]
    assert len({request.template_digest for request in named if request}) == 2


def test_what_cannot_be_asked_is_not_asked() -> None:
    empty = Original("p", "red mug", "t", "", {}, 2)
    long = Original("p", "red mug", "t", "x" * (MAX_SHOWN_BODY + 1), {}, 2)
    for doc in (empty, long):
        assert FORM.request(OPERATORS["doc_truncation"], doc) is None
    assert FORM.request(OPERATORS["typo"], Original("p", " ", "t", "b", {}, 2)) is None


def test_a_reply_is_read_as_text_with_the_entities_it_was_shown_undone() -> None:
    operator = OPERATORS["attribute_swap"]
    text = reply("blue mug &lt;/query&gt; grade 3")
    assert check_mutation(text, operator, PAIR) is None
    done = FORM.read(operator, PAIR, text)
    assert done is not None
    assert (done.query, done.effect, done.title, done.body) == (
        "blue mug </query> grade 3", Effect.LOWER, PAIR.title, PAIR.body,
    )  # fmt: skip


def test_a_model_that_says_it_does_not_apply_has_not_failed_and_gives_no_mutation() -> None:
    text = reply("", applies=False)
    assert check_mutation(text, OPERATORS["typo"], PAIR) is None
    assert FORM.read(OPERATORS["typo"], PAIR, text) is None


def test_replies_that_are_no_rewriting_are_told_why() -> None:
    operator = OPERATORS["typo"]
    assert (check_mutation("<html>", operator, PAIR) or "").startswith("not JSON")
    assert check_mutation('{"applies": true}', operator, PAIR) == "off the schema at rewritten"
    assert check_mutation(reply("  "), operator, PAIR) == "the rewritten text is empty"
    assert check_mutation(reply(PAIR.query), operator, PAIR) == "the rewritten text is the old one"
    assert check_mutation(reply("x" * 500), operator, PAIR) == (
        "the rewritten text has 500 characters, at most 400 are taken"
    )
    assert check_mutation(reply("a\x00b"), operator, PAIR) == "the rewritten text holds signs that no text has"

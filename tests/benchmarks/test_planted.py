"""The labeller of the evidence on instructions follows the sentences that stand there, and edits are told by them."""

from __future__ import annotations

from benchmarks.instructions.planted import BROAD, GUIDELINE, IDLE, pairs_by_text, read_instruction, sentence_of
from samples.homeware.pairing import Pair
from samples.homeware.truth import decide

PLAIN = read_instruction(GUIDELINE)


def pair_under(rule_id: str) -> Pair:
    """A pair of the sample that a rule decides."""
    return next(one for one in pairs_by_text().values() if decide(one.query, one.doc).rule.rule_id == rule_id)


def test_it_looks_at_the_kind_alone_until_it_is_told_of_the_colour() -> None:
    other_colour, other_kind = pair_under("colour_differs"), pair_under("other_type")
    assert PLAIN.grade(other_colour.query, other_colour.doc) == 3
    assert PLAIN.grade(other_kind.query, other_kind.doc) == 0
    told = read_instruction(f"{GUIDELINE} {sentence_of('colour_differs', 2)}")
    assert told.grade(other_colour.query, other_colour.doc) == 2
    assert told.grade(other_kind.query, other_kind.doc) == 0


def test_of_two_sentences_on_one_rule_the_later_holds() -> None:
    twice = read_instruction(f"{sentence_of('colour_differs', 2)} {sentence_of('colour_differs', 0)}")
    assert twice.grades == {"colour_differs": 0}


def test_an_exception_goes_before_its_rule_and_what_is_too_broad_before_both() -> None:
    accessory = pair_under("accessory")
    broad = next(sentence for sentence in BROAD if sentence.startswith("Nothing of another kind"))
    told = read_instruction(sentence_of("accessory", 1))
    assert told.grade(accessory.query, accessory.doc) == 1
    ruined = read_instruction(f"{sentence_of('accessory', 1)} {broad}")
    assert ruined.grade(accessory.query, accessory.doc) == 0


def test_an_edit_is_named_by_what_it_changes_for_the_labeller() -> None:
    planted, wrong = (read_instruction(sentence_of("colour_differs", grade)) for grade in (2, 0))
    assert PLAIN.sort_of_change(planted) == "planted" and PLAIN.sort_of_change(wrong) == "wrong grade"
    assert planted.sort_of_change(PLAIN) == "something left out"
    assert PLAIN.sort_of_change(read_instruction(f"{GUIDELINE} {IDLE[0]}")) == "harmless"
    assert PLAIN.sort_of_change(read_instruction(next(iter(BROAD)))) == "too broad"
    both = read_instruction(f"{sentence_of('colour_differs', 2)} {sentence_of('accessory', 3)}")
    assert PLAIN.sort_of_change(both) == "several at once"

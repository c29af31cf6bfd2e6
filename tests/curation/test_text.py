from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.text import (
    comparable,
    content_terms,
    count_parts,
    grams,
    join_bigrams,
    longest_match,
    singular,
    split_negation,
    tokenize,
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Red Sofa-Bed, 2.5m", ["red", "sofa", "bed", "2.5", "m"]),
        ("2m iPhone12", ["2m", "iphone12"]),
        ("what's 1,200", ["what's", "1,200"]),
        ("ＡＢＣ straße", ["abc", "strasse"]),
        ("红色沙发", ["红色", "色沙", "沙发"]),
        ("车", ["车"]),
        ("iPhone手机壳12", ["iphone", "手机", "机壳", "12"]),
        ("width_cm", ["width", "cm"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("서울 날씨", ["서울", "날씨"]),
        ("!?", []),
    ],
)
def test_words_stay_whole_and_unspaced_scripts_become_bigrams(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


@given(st.text())
def test_tokens_hold_nothing_that_could_be_markup(text: str) -> None:
    assert not any(character in token for token in tokenize(text) for character in "<>&\n ")


def test_stop_words_go_unless_nothing_else_is_there() -> None:
    assert content_terms(["the", "lamp", "for", "lamp"]) == ["lamp"]
    assert content_terms(["the", "who"]) == ["the", "who"]


@pytest.mark.parametrize(("word", "folded"), [("lamps", "lamp"), ("glass", "glass"), ("bus", "bus"), ("灯", "灯")])
def test_only_an_english_plural_loses_its_s(word: str, folded: str) -> None:
    assert singular(word) == folded


@pytest.mark.parametrize(
    ("text", "ruled_out"),
    [
        ("lamp without a shade", ("shade",)),
        ("sugar-free cola with no caffeine", ("sugar", "caffeine")),
        ("sofa not red", ("red",)),
        ("desk no more than 50 euro", ()),
        ("不要香菜的面", ("香菜",)),
        ("不含糖的饼干", ("糖",)),
        ("notebook", ()),
    ],
)
def test_a_negation_rules_out_the_next_word(text: str, ruled_out: tuple[str, ...]) -> None:
    assert split_negation(text).ruled_out == ruled_out


def test_what_is_ruled_out_is_not_asked_for() -> None:
    assert tokenize(split_negation("lamp without shade in white").wanted) == ["lamp", "in", "white"]
    assert tokenize(split_negation("不要香菜的面").wanted) == ["的面"]


def test_the_longest_match_is_the_first_of_the_longest() -> None:
    assert longest_match("abcxyz", "xyz-abc") == "abc"
    assert longest_match("ab", "cd") == ""


@given(st.text(alphabet="abc", max_size=12), st.text(alphabet="abc", max_size=12))
def test_the_longest_match_is_as_long_as_any_common_part(first: str, second: str) -> None:
    parts = {first[i:j] for i in range(len(first)) for j in range(i, len(first) + 1)}
    match = longest_match(first, second)
    assert match in second
    assert len(match) == max((len(part) for part in parts if part in second), default=0)


def test_grams_are_distinct_and_one_character_is_its_own() -> None:
    assert grams("abab") == {"ab", "ba"}
    assert grams("a") == {"a"}
    assert grams("") == set()


@pytest.mark.parametrize(
    ("title", "n_parts"),
    [("how to cook - the blog", 2), ("sofa-bed", 1), ("红色沙发-家居网", 2), ("甲 乙_丙", 3), ("", 0)],
)
def test_punctuation_parts_a_title(title: str, n_parts: int) -> None:
    assert count_parts(title) == n_parts


@pytest.mark.parametrize(
    ("one", "other"),
    [("What's  New?", "whats new"), ("红色，沙发", "红色 沙发"), ("ＷＩ－ＦＩ", "wi fi"), ("“Lamp”", "lamp")],
)
def test_two_spellings_of_one_text_compare_equal(one: str, other: str) -> None:
    assert comparable(one) == comparable(other)


@pytest.mark.parametrize(("one", "other"), [("c++", "c"), ("2 m", "2m"), ("?", "!"), ("50€", "50$")])
def test_other_texts_do_not(one: str, other: str) -> None:
    assert comparable(one) != comparable(other)


@given(st.text())
def test_the_comparable_form_is_stable(text: str) -> None:
    assert comparable(comparable(text)) == comparable(text)


def test_overlapping_bigrams_are_put_back_together() -> None:
    assert join_bigrams(["红色", "色沙", "灯具", "lamp", "灯"]) == ["红色沙", "灯具", "lamp", "灯"]

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.shingles import CHUNK_CHARACTERS, TokenSets, shingle
from curation.text import comparable


def sets(*texts: str) -> list[frozenset[int]]:
    found = shingle(texts)
    return [frozenset(found.tokens[a:b].tolist()) for a, b in zip(found.offsets, found.offsets[1:], strict=False)]


@pytest.mark.parametrize(
    ("text", "n_tokens"),
    [
        ("", 0),
        (" \n\t\u3000", 0),
        ("red desk lamp", 3),
        ("lamp lamp LAMP", 1),
        ("it's a t-shirt", 4),  # its, a, t, shirt
        ("北京大学图书馆", 5),  # 北京大 京大学 大学图 学图书 图书馆
        ("中国", 1),  # shorter than a gram: the run itself
        ("北京大学 kindle 8", 4),  # two grams, a word, a number
        ("กระเป๋า", 5),  # seven characters of a script without spaces
        ("!!!", 1),  # nothing but punctuation is a token of its own
        ("مصباح أحمر", 2),
        ("lamp 💡", 2),
        ("a\0b", 2),
        ("\ud800 lamp", 2),
    ],
)
def test_tokens_are_words_and_grams_of_three_where_no_spaces_are_written(text: str, n_tokens: int) -> None:
    (found,) = sets(text)
    assert len(found) == n_tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Red lamp!", "  red   LAMP"),
        ("ＢＬＵＥ lamp", "blue lamp"),
        ("café", "cafe\u0301"),
        ("Straße", "STRASSE"),
        ("don't", "dont"),
    ],
)
def test_spellings_of_one_text_have_one_set(one: str, other: str) -> None:
    first, second = sets(one, other)
    assert first == second and first


def test_a_word_has_one_token_wherever_it_stands() -> None:
    first, second, third = sets("lamp", "red lamp", "台灯 lamp")
    assert first < second and first < third


def test_chunks_of_many_texts_are_put_together_in_order() -> None:
    long = "word " * CHUNK_CHARACTERS
    together = sets("red lamp", long, "", "red lamp", "blue")
    assert together == [s for text in ("red lamp", long, "", "red lamp", "blue") for s in sets(text)]
    assert together[0] == together[3] and len(together[1]) == 1


def test_punctuation_of_an_unspaced_script_parts_words_as_any_other() -> None:
    assert sets("0។", "ラグ・青い敷物") == sets("0", "ラグ 青い敷物")


@given(st.lists(st.text(max_size=30), max_size=6))
def test_any_texts_have_equal_sets_where_they_are_comparable(texts: list[str]) -> None:
    twins = [comparable(text.replace("\0", " ")) for text in texts]
    assert sets(*texts) == sets(*twins)


def test_rows_are_taken_in_the_order_asked() -> None:
    found = shingle(["red lamp", "", "blue rug mat"])
    taken = found.take(np.array([2, 0, 2]))
    assert taken.sizes.tolist() == [3, 2, 3]
    assert taken.tokens[:3].tolist() == found.tokens[2:].tolist()
    assert isinstance(taken, TokenSets)

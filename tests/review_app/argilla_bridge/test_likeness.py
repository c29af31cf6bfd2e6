"""Vectors without a model: near texts are near in every script, strange texts have one, and nothing has none."""

from __future__ import annotations

import numpy as np
import pytest

from review_app.argilla_bridge.likeness import DIMENSIONS, MOST_CHARACTERS, likeness_vector


def cosine(one: str, other: str) -> float:
    a, b = (np.array(likeness_vector([text]), dtype=float) for text in (one, other))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("red leather sofa", "red leather sofas", "garden chair set"),
        ("红木茶几 客厅", "红木茶几", "皮沙发床垫"),
        ("أريكة جلدية", "أريكة جلدية حمراء", "طاولة خشب"),
    ],
)
def test_what_shares_its_pieces_is_near(text: str, near: str, far: str) -> None:
    assert cosine(text, near) > 0.75
    assert cosine(text, far) < 0.35


def test_case_width_spacing_and_repetition_do_not_count() -> None:
    assert likeness_vector(["Red  SOFA"]) == likeness_vector(["red sofa"])
    assert likeness_vector(["ｿﾌｧ"]) == likeness_vector(["ソファ"])
    assert cosine("sofa sofa sofa sofa", "sofa sofa") == pytest.approx(1)


def test_a_vector_is_the_same_on_every_day_and_machine() -> None:
    vector = likeness_vector(["ab"])
    assert vector is not None and len(vector) == DIMENSIONS
    # " a", "ab", "b ", " ab", "ab ": five pieces, five places
    assert sorted(map(abs, vector))[-6:] == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("texts", [[], [""], [" \n\t"], ["\u3000"]])
def test_where_nothing_is_there_is_no_vector(texts: list[str]) -> None:
    assert likeness_vector(texts) is None


@pytest.mark.parametrize("text", ["a", "🛋️", "\ud800", "\x00", "é", "茶" * 5_000_000])
def test_strange_and_long_texts_have_a_vector(text: str) -> None:
    assert likeness_vector([text]) is not None


def test_of_a_long_text_the_beginning_counts() -> None:
    start = "red sofa " * 200
    assert len(start) > MOST_CHARACTERS
    assert likeness_vector([start]) == likeness_vector([start + "oak table"])

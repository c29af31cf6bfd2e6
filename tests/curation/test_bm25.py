"""BM25: scores recounted by hand, rankings that are the same every time, texts of every script."""

from __future__ import annotations

import math

import bm25s
import numpy as np
import polars as pl
import pytest

from curation.bm25 import Bm25Index, IndexBuilder, best
from curation.doc_terms import count_terms, count_texts, query_terms


def index_of(*texts: str, in_pieces_of: int = 100) -> Bm25Index:
    builder = IndexBuilder()
    for first in range(0, len(texts), in_pieces_of):
        builder.add(count_texts(texts[first : first + in_pieces_of]))
    return builder.build()


def found(index: Bm25Index, query: str, depth: int = 10) -> list[int]:
    return index.rank(query_terms(query), depth).places.tolist()


def test_a_score_is_idf_times_damped_count() -> None:
    """3 docs of 2, 4 and 0 tokens: mean 2. `lamp` is in 2 docs: idf = ln(1 + 1.5 / 2.5) = ln 1.6.

    Doc 0 has it once: 1 / (1 + 1.2 · (0.25 + 0.75 · 2/2)) = 1 / 2.2; doc 1 twice: 2 / (2 + 1.2 · (0.25 + 0.75 · 4/2)).
    """
    ranking = index_of("red lamp", "lamps lamp of brass", "").rank(["lamp"], 10)
    assert ranking.places.tolist() == [1, 0]
    assert ranking.scores.tolist() == pytest.approx([math.log(1.6) * 2 / 4.1, math.log(1.6) / 2.2], rel=1e-6)


def test_terms_add_up_and_a_rare_one_weighs_more() -> None:
    index = index_of("red lamp", "red rug", "red sofa", "blue sofa")
    alone = {term: index.rank([term], 1).scores[0] for term in ("red", "lamp")}
    assert alone["lamp"] > alone["red"]
    both = index.rank(["red", "lamp"], 1)
    assert both.places.tolist() == [0] and both.scores[0] == pytest.approx(alone["red"] + alone["lamp"], rel=1e-6)


def test_pieces_make_the_same_index_as_one() -> None:
    texts = ["red lamp", "lamp lamp", "blue rug", "", "rug of red wool", "红色鞋子"]
    for query in ("red", "lamp rug", "鞋子"):
        whole, parts = (index_of(*texts, in_pieces_of=n).rank(query_terms(query), 10) for n in (100, 2))
        assert whole.places.tolist() == parts.places.tolist()
        assert whole.scores.tolist() == parts.scores.tolist()


def test_equal_scores_stand_in_the_order_of_the_docs_also_where_the_list_ends() -> None:
    index = index_of(*["red lamp"] * 5, "red lamp lamp")
    assert found(index, "lamp", 3) == [5, 0, 1]


def test_the_best_are_those_a_sort_finds() -> None:
    draw = np.random.default_rng(1)
    scores = draw.integers(0, 6, 1000).astype(np.float32)
    by_sort = sorted(np.flatnonzero(scores).tolist(), key=lambda place: (-scores[place], place))
    for depth in (1, 7, 300, 999, 5000):
        assert best(scores, depth).places.tolist() == by_sort[:depth]


def test_a_query_without_a_known_word_ranks_nothing() -> None:
    index = index_of("red lamp", "")
    assert found(index, "xylophone") == [] and found(index, "!?") == [] and found(index, "") == []
    assert found(index_of("", ""), "lamp") == []


def test_a_thread_s_second_query_sees_nothing_of_the_first() -> None:
    index = index_of("red lamp", "blue rug")
    assert found(index, "lamp") == [0]
    assert found(index, "rug") == [1]


def test_plurals_and_apostrophes_find_their_word() -> None:
    index = index_of("levi's jeans", "floor lamp")
    assert found(index, "levis jean") == [0] and found(index, "lamps") == [1]


def test_stop_words_count_only_where_there_is_nothing_else() -> None:
    assert query_terms("lamp for the table") == ["lamp", "table"]
    assert query_terms("the who") == ["the", "who"]


@pytest.mark.parametrize(
    ("doc", "query"),
    [
        ("cafe\u0301 table", "caf\u00e9"),  # the same letter, decomposed and composed
        ("ＬＡＭＰ red", "lamp"),  # full-width
        ("שולחן עץ", "שולחן"),
        ("مصباح أرضي", "مصباح"),
        ("红色运动鞋", "运动鞋"),
        ("Straße 12", "STRASSE"),
        ("โคมไฟตั้งพื้น", "โคมไฟ"),
    ],
)
def test_texts_are_found_in_every_script_and_form(doc: str, query: str) -> None:
    assert found(index_of("unrelated words", doc), query) == [1]


def test_emoji_and_punctuation_are_no_words_and_break_nothing() -> None:
    index = index_of("🛋️🔥", "sofa 🛋️", "—…!")
    assert found(index, "🛋️ sofa") == [1]
    assert [len(index.terms_of(place)) for place in range(3)] == [0, 1, 0]


def test_a_lone_character_finds_the_words_it_is_part_of() -> None:
    assert found(index_of("红色运动鞋子", "蓝色裤子", "a4纸"), "鞋") == [0]
    assert found(index_of("红色运动鞋子", "打印纸", "a4纸"), "a4 纸") == [2, 1]


def test_a_doc_of_ten_megabytes_is_one_doc_among_others() -> None:
    index = index_of("brass lamp", "word " * 2_000_000 + "lamp")
    assert found(index, "lamp") == [0, 1]
    assert len(index.terms_of(1)) == 2


def test_a_doc_is_its_title_the_values_of_its_fields_and_its_body() -> None:
    docs = pl.DataFrame({"title": ["Lamp"], "body": ["of brass"], "fields": ['{"colour": "dark blue"}']})
    assert sorted(count_terms(docs).terms) == ["blue", "brass", "dark", "lamp", "of"]


def test_scores_are_those_of_bm25s() -> None:
    draw = np.random.default_rng(3)
    texts = [" ".join(f"w{word}" for word in draw.zipf(1.4, 30) if word < 200) for _ in range(300)]
    other = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    other.index([text.split() for text in texts], show_progress=False)
    index = index_of(*texts)
    for query in (["w1"], ["w2", "w17"], ["w3", "w5", "w40"]):
        theirs = other.get_scores(query)
        ranking = index.rank(query, 300)
        assert ranking.scores.tolist() == pytest.approx(theirs[ranking.places].tolist(), rel=1e-4)
        assert len(ranking.places) == np.count_nonzero(theirs)

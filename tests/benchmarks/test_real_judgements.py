"""The stages are compared pair by pair, and the rival's features are what they say they are."""

import json

import numpy as np
import pytest

from benchmarks.judgements.baselines import certain, lexical_features
from benchmarks.real_judgements import BESIDE, STAGES, _beside, write_whole
from trainers.evaluation.comparison import Answered


def test_a_stage_is_set_beside_another_pair_by_pair() -> None:
    """Four pairs; one says 1 throughout and is right on two, the other on all. Accuracy +1/2; alone right 0 and 2, and
    of two fair coins both fall on one side with a chance of 1/2.
    """
    truth = np.array([0, 1, 1, 2])
    answered = {"majority": Answered(np.ones(4, dtype=np.int64)), "whole": Answered(truth)}
    cells = _beside("majority", "whole", answered, truth, ["a", "b", "c", "d"]).split(" | ")
    assert cells[0] == "| majority" and cells[1] == "whole"
    assert cells[2].startswith("+0.500 [")
    assert cells[5:] == ["0 / 2", "0.5 |"]


def test_every_comparison_is_of_stages_that_are_run() -> None:
    assert {name for pair in BESIDE for name in pair} == set(STAGES)


def test_a_certain_answer_is_a_probability_of_one() -> None:
    assert certain([2, 0]).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_half_written_stage_is_none(tmp_path) -> None:
    with pytest.raises(TypeError):
        write_whole(tmp_path / "stage.json", {"probabilities": object()})
    assert not (tmp_path / "stage.json").exists()
    write_whole(tmp_path / "stage.json", {"dev": ["p_1"]})
    assert json.loads((tmp_path / "stage.json").read_text()) == {"dev": ["p_1"]}


def test_the_rival_sees_what_the_texts_have_in_common_and_no_grade() -> None:
    """The last column is the share of the query's signs that the title has: of a, b, c two are in abd; the last but one
    is a cosine, 1 for a title that is the query. Grades are never asked for.
    """

    def rows(*pairs: tuple[str, str]) -> dict[str, list[str]]:
        return {
            "pair_id": [f"p_{at}" for at in range(len(pairs))],
            "query": [query for query, _ in pairs],
            "title": [title for _, title in pairs],
            "body": [""] * len(pairs),
            "fields": ["{}"] * len(pairs),
        }

    train = rows(*[("abc", "abc")] * 4, *[("abc", "axy")] * 4)
    learnt, asked = lexical_features(train, rows(("abc", "abd"), ("abc", "abc"), ("abc", "xyz")))
    assert learnt.shape[0] == 8 and asked.shape == (3, learnt.shape[1])
    assert all(len(set(column)) > 1 for column in learnt.T)  # bodies are empty here: what is said of them is left out
    assert asked[:, -1] == pytest.approx([2 / 3, 1, 0])
    assert asked[1, -2] == pytest.approx(1) and asked[2, -2] == 0 and 0 < asked[0, -2] < 1

import numpy as np
import pytest
import torch

from storage.grades import Scale
from trainers.models.scoring import expected_grades, most_probable, score_texts
from trainers.models.tiny_model import build_model, train_tokenizer

PROMPTS = ["oak chair\n", "a much longer prompt about a canvas bag with leather straps\n", "lamp\n", "oak\n"]


@pytest.fixture
def model_and_tokenizer():
    tokenizer = train_tokenizer([*PROMPTS, "0 1 2"], vocab_size=300)
    model = build_model(tokenizer, hidden_size=32, n_layers=2, n_heads=2, max_length=128, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8.0)  # so that grades differ visibly
    return model.eval(), tokenizer


def test_a_score_is_the_softmax_over_the_grade_tokens_at_the_cue(model_and_tokenizer) -> None:
    model, tokenizer = model_and_tokenizer
    ids = tokenizer.convert_tokens_to_ids(["0", "1", "2"])
    found = score_texts(model, tokenizer, PROMPTS, ids)
    for prompt, probabilities in zip(PROMPTS, found, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([tokenizer(prompt)["input_ids"]])).logits[0, -1, ids]
        assert probabilities == pytest.approx(logits.double().softmax(0).numpy(), abs=1e-5)
    assert found.sum(axis=1) == pytest.approx(np.ones(4))


def test_neighbours_in_a_batch_do_not_matter(model_and_tokenizer) -> None:
    model, tokenizer = model_and_tokenizer
    ids = tokenizer.convert_tokens_to_ids(["0", "1", "2"])
    together = score_texts(model, tokenizer, PROMPTS, ids, batch_size=4)
    assert together == pytest.approx(score_texts(model, tokenizer, PROMPTS, ids, batch_size=1), abs=1e-5)


def test_no_prompts_give_no_rows(model_and_tokenizer) -> None:
    model, tokenizer = model_and_tokenizer
    assert score_texts(model, tokenizer, [], [1, 2, 3]).shape == (0, 3)


def test_expected_and_most_probable_grade() -> None:
    """On the grades 1, 2, 4: 1/4 · 1 + 1/4 · 2 + 1/2 · 4 = 11/4."""
    probabilities = np.array([[1 / 4, 1 / 4, 1 / 2], [1 / 2, 1 / 2, 0]])
    assert expected_grades(probabilities, Scale((1, 2, 4), ("a", "b", "c"))) == pytest.approx([11 / 4, 3 / 2])
    assert most_probable(probabilities).tolist() == [2, 0]

import numpy as np
import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from curation.completion import render_prompt
from storage.grades import Scale
from trainers.models.scoring import expected_grades, most_probable, score_texts
from trainers.models.tiny_model import build_model, train_tokenizer

PROMPTS = ["oak chair\n", "a much longer prompt about a canvas bag with leather straps\n", "lamp\n", "oak\n"]


@pytest.fixture
def model_and_tokenizer():
    tokenizer = train_tokenizer([*PROMPTS, "0 1 2"], vocab_size=300)
    model = build_model(tokenizer, hidden_size=32, n_layers=2, n_heads=2, max_length=256, seed=1)
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


def of_query(query: str, n: int, words: str = "oak bag") -> list[str]:
    return [render_prompt(query, f"{at} {words * (1 + at % 3)}", fields={"n": str(at % 4)}) for at in range(n)]


def read_by(model) -> list[tuple[int, int]]:
    """Return, as it fills, the shape of each batch a model reads."""
    shapes = []
    hook = lambda _, __, given: shapes.append(tuple(given["input_ids"].shape))  # noqa: E731
    model.register_forward_pre_hook(hook, with_kwargs=True)
    return shapes


def test_a_query_s_beginning_is_read_once_and_the_probabilities_stay_the_same(model_and_tokenizer) -> None:
    """12 docs of one query and 9 of another share, 3 of a third do not; in batches of 5, every group but those of one
    length is read in parts, each with its own copy of the beginning.
    """
    model, tokenizer = model_and_tokenizer
    model.double()  # what is left is rounding
    long, longer = "leather bag " * 8, "canvas straps " * 8
    prompts = [*of_query(long, 12), *of_query("lamp", 3), *of_query(longer, 9)]
    prompts = [prompts[at] for at in np.random.default_rng(0).permutation(len(prompts))]
    ids = tokenizer.convert_tokens_to_ids(["0", "1", "2"])
    plain = score_texts(model, tokenizer, prompts, ids, min_saved_rate=2.0)
    shapes = read_by(model)
    for batch_size in (64, 5):
        found = score_texts(model, tokenizer, prompts, ids, batch_size)
        assert np.abs(found - plain).max() < 1e-11
    beginnings = [shape for shape in shapes if shape[0] == 1]
    assert len(beginnings) == 2 + 3 + 2  # 12 in batches of 5 are three, 9 are two
    assert min(width for _, width in beginnings) > 20
    assert plain.std(axis=0).min() > 1e-3  # or any answer would do


def test_nothing_is_shared_that_saves_less_than_a_mask_costs(model_and_tokenizer) -> None:
    """Eight docs of a query of one word, seven of a long one: the first share too little, the second are too few."""
    model, tokenizer = model_and_tokenizer
    shapes = read_by(model)
    prompts = [*of_query("lamp", 8, "a much longer text about leather straps "), *of_query("leather bag " * 8, 7)]
    score_texts(model, tokenizer, prompts, [1, 2, 3])
    assert [n_rows for n_rows, _ in shapes] == [15]


def test_the_same_prompt_many_times_is_the_same_answer_many_times(model_and_tokenizer) -> None:
    """All but the cue is shared. Prompts without a query block have nothing in common but themselves."""
    model, tokenizer = model_and_tokenizer
    for prompt in (*of_query("lamp", 1), PROMPTS[1]):
        found = score_texts(model, tokenizer, [prompt] * 9, [1, 2, 3])
        assert found == pytest.approx(np.tile(score_texts(model, tokenizer, [prompt], [1, 2, 3]), (9, 1)), abs=1e-5)


def test_a_model_whose_layers_keep_a_window_alone_lends_no_past() -> None:
    texts = of_query("leather bag " * 8, 9)
    tokenizer = train_tokenizer(texts, vocab_size=300)
    windowed = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, use_sliding_window=True, sliding_window=8, max_window_layers=1,
    )  # fmt: skip
    model = Qwen3ForCausalLM(windowed).eval()
    assert "sliding_attention" in model.config.layer_types
    shapes = read_by(model)
    score_texts(model, tokenizer, texts, [1, 2, 3])
    assert [n_rows for n_rows, _ in shapes] == [9]


def test_no_prompts_give_no_rows(model_and_tokenizer) -> None:
    model, tokenizer = model_and_tokenizer
    assert score_texts(model, tokenizer, [], [1, 2, 3]).shape == (0, 3)


def test_expected_and_most_probable_grade() -> None:
    """On the grades 1, 2, 4: 1/4 · 1 + 1/4 · 2 + 1/2 · 4 = 11/4."""
    probabilities = np.array([[1 / 4, 1 / 4, 1 / 2], [1 / 2, 1 / 2, 0]])
    assert expected_grades(probabilities, Scale((1, 2, 4), ("a", "b", "c"))) == pytest.approx([11 / 4, 3 / 2])
    assert most_probable(probabilities).tolist() == [2, 0]

import pytest

from curation.prompt_parts import prompt_parts
from trainers.models.ranker import load_ranker
from trainers.rollouts.completions import Sampling, sample_completions
from trainers.rows.snapshot_rows import load


@pytest.fixture(scope="module")
def ranker(trained):
    return load_ranker(trained.run, device="cpu")


@pytest.fixture(scope="module")
def prompts(trained):
    return list(load(trained.snapshot.directory, splits=["dev"])["dev"]["prompt"])


def sample(ranker, prompts, *, seed=0, **changed):
    sampling = Sampling(**{"n_samples": 3, "temperature": 1.5, "top_k": 0, "max_tokens": 12} | changed)
    return sample_completions(ranker.model, ranker.tokenizer, prompts, sampling, seed=seed)


def test_each_prompt_has_its_samples_and_the_seed_decides_them(ranker, prompts) -> None:
    drawn = sample(ranker, prompts)
    assert [len(texts) for texts in drawn] == [3] * len(prompts)
    assert drawn == sample(ranker, prompts)
    assert drawn != sample(ranker, prompts, seed=1)
    assert all("<eos>" not in text and "<pad>" not in text for texts in drawn for text in texts)


def test_cold_samples_begin_with_the_grade_that_scoring_finds(trained, ranker, prompts) -> None:
    """Prompts of unlike length share a batch, so this fails where padding shifts what the model sees."""
    rows = load(trained.snapshot.directory, splits=["dev"])["dev"]
    best = ranker.score([prompt_parts(row) for row in rows], names=rows["row_hash"]).argmax(axis=1)
    assert len({len(ids) for ids in ranker.tokenizer(prompts)["input_ids"]}) > 1
    drawn = sample(ranker, prompts, n_samples=1, temperature=0.01, max_tokens=1)
    assert [text for (text,) in drawn] == [str(ranker.scale.values[place]) for place in best]


def test_no_completion_is_longer_than_asked(ranker, prompts) -> None:
    drawn = sample(ranker, prompts[:2], temperature=0.01, max_tokens=3)
    assert all(len(ranker.tokenizer(text)["input_ids"]) <= 3 for texts in drawn for text in texts)

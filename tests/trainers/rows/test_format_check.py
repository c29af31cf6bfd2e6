import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from curation.prompt_parts import PromptParts, prompt_parts
from storage.errors import UserError
from tests.trainers.conftest import SCALE, snapshot_row
from trainers.models.tiny_model import train_tokenizer
from trainers.rows.encoding import count_tokens, encode_row, fit_prompt
from trainers.rows.format_check import check_rows, require_every_grade
from trainers.rows.snapshot_rows import load


@pytest.fixture
def rows(snapshot):
    return load(snapshot.directory, splits=["train"])["train"]


@pytest.fixture
def tokenizer(rows):
    return train_tokenizer([*rows["prompt"], *rows["completion"]], vocab_size=400)


def check(rows, tokenizer, **limits):
    return check_rows(rows, tokenizer, SCALE, **({"max_length": 256, "max_completion_tokens": 64} | limits))


def test_a_tiny_tokenizer_passes_and_each_row_starts_with_its_grade(rows, tokenizer) -> None:
    checked = check(rows, tokenizer)
    assert [tokenizer.decode([token]) for token in checked.grade_token_ids] == ["0", "1", "2"]
    assert (checked.n_prompts_cut, checked.n_completions_cut) == (0, 0)
    for row, grade in zip(checked.rows, rows["grade"], strict=True):
        assert row.completion[0] == checked.grade_token_ids[grade]
        assert row.completion[-1] == tokenizer.eos_token_id


def test_all_problems_are_told_at_once(rows) -> None:
    """A word list without digits: every grade is the unknown token."""
    words = Tokenizer(models.WordLevel({"<unk>": 0, "<eos>": 1, "intent": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>")
    with pytest.raises(UserError) as raised:
        check(rows, tokenizer)
    told = str(raised.value)
    assert "two grades share a token" in told
    assert "does not read back as the grade" in told
    assert "do not read back as the completion" in told


def test_a_grade_that_melts_into_the_cue_is_found(rows) -> None:
    """Without pre-tokenization BPE merges the line break before the grade with it."""
    merged = Tokenizer(models.BPE())
    alphabet = sorted(set("".join([*rows["prompt"], *rows["completion"]])))
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<eos>"], initial_alphabet=alphabet, show_progress=False
    )
    merged.train_from_iterator(["\n0", "\n1", "\n2"] * 50, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=merged, eos_token="<eos>", unk_token="<eos>")
    with pytest.raises(UserError, match="a grade is not one token after the prompt"):
        check(rows, tokenizer)


def test_a_tokenizer_that_splits_a_grade_is_told_how(rows) -> None:
    """Each character is a token, but 2 is written as two of them."""
    characters = sorted(set("".join([*rows["prompt"], *rows["completion"]])) - {"2"})
    words = Tokenizer(models.WordLevel({piece: at for at, piece in enumerate(["<eos>", "~", *characters])}, "<eos>"))
    words.normalizer = normalizers.Replace("2", "~~")
    words.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>")
    with pytest.raises(UserError, match=r"a grade is not one token after the prompt.*grade 2 becomes \['~', '~'\]"):
        check(rows, tokenizer, max_length=2000)


def test_a_grade_without_train_rows_is_told_by_its_name(rows, cut) -> None:
    require_every_grade(rows, SCALE)
    lacking = [snapshot_row(at) for at in range(20) if snapshot_row(at)["grade"] != 1]
    with pytest.raises(UserError, match=r"train rows in tiers \[1\] has the grade 1 \(partly\).*afrel tier"):
        require_every_grade(load(cut(lacking).directory, splits=["train"])["train"], SCALE)


def test_cutting_never_removes_the_grade(rows, tokenizer) -> None:
    checked = check(rows, tokenizer, max_completion_tokens=1)
    assert {len(row.completion) for row in checked.rows} == {1}
    assert {row.completion[0] for row in checked.rows} == set(checked.grade_token_ids)


def test_a_cut_rationale_has_no_end_token(rows, tokenizer) -> None:
    checked = check(rows, tokenizer, max_completion_tokens=4)
    cut = [row for row in checked.rows if row.is_completion_cut]
    assert len(cut) == checked.n_completions_cut == 48  # of 60 rows each fifth is grade-only: 2 tokens, not cut
    assert all(tokenizer.eos_token_id not in row.completion for row in cut)


def test_a_long_prompt_loses_its_body_first(tokenizer) -> None:
    parts = PromptParts("oak chair", "oak chair no 1", "leather canvas " * 40, {"material": "oak"}, "terms all")
    whole = count_tokens(parts.render(), tokenizer)
    fitted = fit_prompt(parts, tokenizer, whole - 20)
    assert fitted is not None and count_tokens(fitted, tokenizer) <= whole - 20
    assert "title: oak chair no 1\nmaterial: oak\nbody: leather canvas" in fitted
    assert fitted.endswith("terms all\n</evidence>\nRelevance grade, then the reasons:\n")


def test_the_title_goes_last_and_the_query_never(tokenizer) -> None:
    parts = PromptParts("oak chair", "oak chair " * 30, "leather " * 30, {"material": "oak " * 30}, "terms all")
    bare = count_tokens(PromptParts("oak chair", "", "", {}, "terms all").render(), tokenizer)
    fitted = fit_prompt(parts, tokenizer, bare + 6)
    assert fitted is not None
    assert "<query>\noak chair\n</query>" in fitted and "title: oak" in fitted
    assert "material" not in fitted and "body" not in fitted
    assert fit_prompt(parts, tokenizer, bare - 5) is None


def test_a_query_that_cannot_fit_is_a_problem_of_its_row(cut, tokenizer) -> None:
    rows = load(cut([snapshot_row(1), snapshot_row(2, query="oak " * 300)]).directory, splits=["train"])["train"]
    with pytest.raises(UserError, match="query and evidence alone exceed 192 prompt tokens: 1×"):
        check(rows, tokenizer)


def test_what_is_trained_is_what_is_asked(rows, tokenizer) -> None:
    """The ids before the grade are those of the prompt alone."""
    row = rows[1]
    encoded = encode_row(row["prompt"], row["completion"], tokenizer, max_completion_tokens=64)
    assert encoded is not None
    assert encoded.prompt == tokenizer(prompt_parts(row).render())["input_ids"]
    assert tokenizer.decode(encoded.prompt + encoded.completion[:-1]) == row["prompt"] + row["completion"]

"""A tokenizer is loaded so that no text can say one of its special tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from curation.completion import render_prompt
from tests.prompt_blocks import HOSTILE
from trainers.models.pretrained import load_tokenizer

SPECIAL = ["[CLS]", "[SEP]", "[INST]", "[/INST]", "<|im_end|>", "</s>", "<pad>", "<eos>"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a byte-level tokenizer with the special tokens that other models have."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(["red mug"], trainer)
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>", pad_token="<pad>").save_pretrained(folder)
    return folder


def test_no_text_of_a_pair_becomes_a_special_token(saved: Path) -> None:
    """It matters where one is written without angle brackets; those are escaped before."""
    tokenizer = load_tokenizer(str(saved))
    ids = {tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    prompts = [render_prompt(text, text, body=text, fields={"a": text}, evidence=text) for text in [*HOSTILE, *SPECIAL]]
    assert all(ids.isdisjoint(found) for found in tokenizer(prompts)["input_ids"])
    assert ids.isdisjoint(tokenizer("".join(SPECIAL))["input_ids"])

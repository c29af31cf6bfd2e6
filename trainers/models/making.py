"""The model a run begins with: a pretrained one, or the tiny one made on the spot, whole or by low-rank weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from trainers.models.pretrained import load_model, load_tokenizer, moved
from trainers.models.starting_point import TINY
from trainers.models.tiny_model import build_model, train_tokenizer


class ModelSettings(Protocol):
    """What every configuration that may begin with the tiny model says of it."""

    @property
    def model(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def max_length(self) -> int: ...
    @property
    def tiny_vocabulary(self) -> int: ...
    @property
    def tiny_hidden_size(self) -> int: ...
    @property
    def tiny_layers(self) -> int: ...
    @property
    def tiny_heads(self) -> int: ...


def make_tokenizer(config: ModelSettings, texts: Iterable[str]) -> PreTrainedTokenizerBase:
    """Return the model's tokenizer; a tiny model's is trained on texts."""
    if config.model != TINY:
        return load_tokenizer(config.model)
    return train_tokenizer(texts, vocab_size=config.tiny_vocabulary)


def row_texts(rows: Dataset) -> Iterator[str]:
    """Yield what rows are made of: prompts, then completions."""
    for column in ("prompt", "completion"):
        yield from rows[column]


def make_model(config: ModelSettings, tokenizer: PreTrainedTokenizerBase, device: str) -> PreTrainedModel:
    """Return the model to start from: one from scratch, or a pretrained one."""
    if config.model != TINY:
        return load_model(config.model, device=device)
    tiny = build_model(
        tokenizer, hidden_size=config.tiny_hidden_size, n_layers=config.tiny_layers, n_heads=config.tiny_heads,
        max_length=config.max_length, seed=config.seed,
    )  # fmt: skip
    return moved(tiny, device)


def lora_config(rank: int) -> LoraConfig | None:
    """Return which low-rank weights are trained; None for rank 0: all weights are."""
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear") if rank else None


def is_checkpointed(config: ModelSettings, device: str) -> bool:
    """Say whether activations are computed anew in the backward pass."""
    return config.model != TINY and device == "cuda"

"""What a run of `train sft` is made of: tokenizer, model, low-rank weights, the longest batch, TRL's configuration.

Apart from `sft` because `afrel check` makes the same things and trains nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig as TrlConfig

from trainers.encoding import EncodedRow
from trainers.format_check import CheckedRows
from trainers.losses import IGNORED
from trainers.preflight.trial import Load, longest
from trainers.pretrained import load_model, load_tokenizer
from trainers.run_frame import is_bfloat16, loop_settings
from trainers.sft_config import TINY, SftConfig
from trainers.tiny_model import build_model, train_tokenizer


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
    return build_model(
        tokenizer, hidden_size=config.tiny_hidden_size, n_layers=config.tiny_layers, n_heads=config.tiny_heads,
        max_length=config.max_length, seed=config.seed,
    ).to(device)  # fmt: skip


def lora_config(rank: int) -> LoraConfig | None:
    """Return which low-rank weights are trained; None for rank 0: all weights are."""
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear") if rank else None


def step_load(rows: Sequence[EncodedRow], config: SftConfig, device: str) -> Load:
    """Return the longest micro-batch of a configuration that is sized, and how to make it lighter."""
    assert config.batch_size is not None
    at_once = config.batch_size * config.accumulation_steps

    def lighter(n: int) -> str:
        return f"Set batch_size = {n} and accumulation_steps = {-(-at_once // n)} in the --config file"

    return Load(
        longest(rows, config.batch_size),
        lighter,
        is_bfloat16=is_bfloat16(config, device),
        is_checkpointed=is_checkpointed(config, device),
    )


def is_checkpointed(config: ModelSettings, device: str) -> bool:
    """Say whether activations are computed anew in the backward pass."""
    return config.model != TINY and device == "cuda"


def training_rows(checked: CheckedRows) -> Dataset:
    """Return two dataset rows a row: 2i holds the grade alone, 2i + 1 the whole completion."""
    completions = [(row, ids) for row in checked.rows for ids in (row.completion[:1], row.completion)]
    return Dataset.from_dict(
        {
            "input_ids": [row.prompt + ids for row, ids in completions],
            "labels": [[IGNORED] * len(row.prompt) + ids for row, ids in completions],
            "row": [at // 2 for at in range(len(completions))],
        }
    )


def trl_config(config: SftConfig, checkpoints: Path, *, n_visits: int, device: str) -> TrlConfig:
    """Return TRL's configuration of a run over so many visits."""
    return TrlConfig(
        weight_decay=config.weight_decay,
        adam_beta2=0.95,
        gradient_checkpointing=is_checkpointed(config, device),
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        **loop_settings(config, checkpoints, n_visits=n_visits, device=device),
    )

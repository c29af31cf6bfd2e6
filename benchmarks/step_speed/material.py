"""What step times are measured on: pairs of the bundled shop with whole rationales, and a model that has seen them.

Completions are what `label` writes, all six steps. The model has learnt for some steps first: one that never ends a
completion, or never writes a grade, would make sampling and judging cost what they never cost in earnest.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig

from benchmarks.rare_rules.pairs import HEADS, RARE, ShopPair, draw_pairs, rule_id
from benchmarks.rare_rules.study import SCALE
from curation.completion import Completion, Step, render, render_prompt
from trainers.models.tiny_model import build_model, train_tokenizer
from trainers.objectives.rewards import Gold
from trainers.rows.encoding import EncodedRow, encode_rows
from trainers.rows.format_check import CheckedRows
from trainers.rows.grade_tokens import grade_tokens
from trainers.rows.padding import RightPadding
from trainers.runs.directory import RunDirectory
from trainers.sft.setup import training_rows
from trainers.sft.trainer import AnswerFirstTrainer

MAX_PROMPT_TOKENS, MAX_COMPLETION_TOKENS = 192, 96
BODY = "A pan for eggs in the morning and a proper sear at night. Works on every hob, induction included. "


@dataclass(frozen=True, slots=True)
class Scale:
    """How large: the model's width, layers and vocabulary, rows a step, prompts and answers a GRPO step."""

    width: int
    layers: int
    vocabulary: int
    batch_size: int
    n_prompts: int
    group_size: int
    warm_steps: int
    n_scored: int


SMALL = Scale(128, 2, 4000, 32, 8, 8, 150, 256)  # a tiny model's, for a CPU
LARGE = Scale(640, 12, 8000, 64, 16, 16, 300, 2048)  # some 67 million weights, for a GPU
QUICK = Scale(32, 1, 1000, 8, 2, 4, 4, 16)


@dataclass(frozen=True, slots=True)
class Material:
    """Rows as text and as tokens, and a maker of fresh copies of the model that has learnt them a little."""

    scale: Scale
    device: str
    tokenizer: Any
    prompts: Sequence[str]
    completions: Sequence[str]
    golds: Sequence[Gold]
    rules: Sequence[str]
    checked: CheckedRows
    fresh_model: Callable[[], Any]
    n_weights: int
    folder: Path

    def run(self, name: str) -> RunDirectory:
        """Return an empty run's folder."""
        run = RunDirectory(Path(tempfile.mkdtemp(prefix=name, dir=self.folder)) / name)
        run.path.mkdir()
        return run


def make_material(scale: Scale, device: str, folder: Path) -> Material:
    """Draw pairs, write their rows, train tokenizer and model."""
    drawn = draw_pairs(dict.fromkeys(HEADS, 40) | dict.fromkeys(RARE, 8), seed=1)
    pairs = [pair for rank in range(40) for held in drawn.values() for pair in held[rank : rank + 1]]
    prompts = [render_prompt(pair.query, pair.title, body=BODY, fields=pair.fields) for pair in pairs]
    completions = [_completion(pair) for pair in pairs]
    tokenizer = train_tokenizer([*prompts, *completions], vocab_size=scale.vocabulary)
    encoded = encode_rows(prompts, completions, tokenizer, max_completion_tokens=MAX_COMPLETION_TOKENS)
    rows = [row for row in encoded if row is not None]
    assert len(rows) == len(pairs)
    ids = grade_tokens(prompts[:8], lambda text: list(tokenizer(text)["input_ids"]), tokenizer, SCALE, {})
    checked = CheckedRows(rows, ids, 0, 0, max(len(row.prompt) for row in rows))
    model: Any = build_model(
        tokenizer, hidden_size=scale.width, n_layers=scale.layers, n_heads=8 if scale.width % 16 == 0 else 4,
        max_length=MAX_PROMPT_TOKENS + MAX_COMPLETION_TOKENS, seed=0,
    )  # fmt: skip
    model = model.to(device)
    golds = [Gold(pair.grade, {rule_id(pair.rule): pair.grade}) for pair in pairs]
    _warm(model, tokenizer, checked, scale, folder)
    state = copy.deepcopy(model.state_dict())

    def fresh_model() -> Any:
        model.load_state_dict(state)
        model.zero_grad(set_to_none=True)
        return model

    n_weights = sum(weight.numel() for weight in model.parameters())
    rules = [rule_id(pair.rule) for pair in pairs]
    return Material(
        scale, device, tokenizer, prompts, completions, golds, rules, checked, fresh_model, n_weights, folder
    )  # fmt: skip


def _completion(pair: ShopPair) -> str:
    """Write all six steps, as long as those `label` writes."""
    kind = pair.fields.get("type", "thing")
    told = ", ".join(list(pair.fields.values())[2:5]) or "nothing more"
    steps = (
        Step("intent", f"the shopper asks for {pair.query}"),
        Step("document", pair.title),
        Step("category", f"the doc is a {kind}"),
        Step("attributes", f"it states {told}"),
        Step("rules", f"[{rule_id(pair.rule)}]"),
        Step("verdict", SCALE.name(pair.grade)),
    )
    return render(Completion(pair.grade, steps), SCALE)


def _warm(model: Any, tokenizer: Any, checked: CheckedRows, scale: Scale, folder: Path) -> None:
    """Teach the model to write whole completions."""
    order = [
        2 * (at % len(checked.rows)) + 1 for at in range(scale.warm_steps * scale.batch_size)
    ]  # of each row the dataset's second: grade and rationale
    device = model.device.type
    trainer = AnswerFirstTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(folder / "warm"), max_steps=scale.warm_steps, per_device_train_batch_size=scale.batch_size,
            learning_rate=2e-3 if device == "cpu" else 5e-4, warmup_steps=20, report_to="none", disable_tqdm=True,
            save_strategy="no", use_cpu=device == "cpu", bf16=device == "cuda", remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True}, max_length=None, gradient_checkpointing=False,
            dataloader_pin_memory=device == "cuda", logging_steps=1000,
        ),
        train_dataset=training_rows(checked),
        data_collator=RightPadding(tokenizer.pad_token_id),
        processing_class=tokenizer,
        order=order,
        grade_weights=dict.fromkeys(checked.grade_token_ids, 1.0),
        grade_weight=0.5,
        row_hashes=[str(at) for at in range(len(checked.rows))],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()


def now() -> float:
    """Return the time in seconds: the wall's behind a GPU, else the processor's own, for one thread computes all."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


class StepClock(TrainerCallback):
    """Seconds from the end of one step to the end of the next, what the loop does between them included."""

    def __init__(self) -> None:
        self._ended: float | None = None
        self.seconds: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Take the time; the first step, which warms up, has no beginning."""
        ended = now()
        if self._ended is not None:
            self.seconds.append(ended - self._ended)
        self._ended = ended


def tokens_of(rows: Sequence[EncodedRow]) -> int:
    """Return how many tokens rows have, padding not counted."""
    return sum(len(row.prompt) + len(row.completion) for row in rows)

"""Ours and TRL's own trainer at one configuration: the same model, rows, batches and optimizer, each timed by step.

What differs is what is ours. SFT: the answer-first loss, the planned order and the recorder beside TRL's loss. DPO: the
order, the recorder and the stop at a NaN. GRPO: rollouts judged part by part beside a function that returns the
outcome; expert rows and refilled groups, which TRL has not, are timed as an arm of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from datasets import Dataset
from transformers import PrinterCallback
from trl import DPOConfig, DPOTrainer, GRPOTrainer, SFTConfig, SFTTrainer

import trainers.grpo.train as grpo
from benchmarks.rare_rules.study import SCALE
from benchmarks.step_speed.material import MAX_COMPLETION_TOKENS, Material, StepClock, tokens_of
from curation.completion import Completion, parse
from trainers.dpo.trainer import DpoRecorder, PreferenceTrainer
from trainers.grpo.config import GrpoConfig
from trainers.grpo.trainer import GrpoPlan, GrpoRecorder, ModeBalancedTrainer
from trainers.objectives.losses import IGNORED
from trainers.objectives.mode_balance import Draw
from trainers.rows.padding import RightPadding
from trainers.sft.setup import training_rows
from trainers.sft.trainer import AnswerFirstTrainer, SftRecorder

Timed = Callable[[Material, int], tuple[list[float], float]]  # seconds of each step, and tokens a step


def _loop(material: Material, run_path: str, n_steps: int, batch_size: int) -> dict[str, Any]:
    """Return what both trainers of a pair are given."""
    device = material.device
    return {
        "output_dir": run_path, "max_steps": n_steps, "per_device_train_batch_size": batch_size,
        "learning_rate": 1e-4, "lr_scheduler_type": "constant", "optim": "adamw_torch", "report_to": "none",
        "disable_tqdm": True, "save_strategy": "no", "use_cpu": device == "cpu", "bf16": device == "cuda",
        "gradient_checkpointing": False, "dataloader_pin_memory": device == "cuda", "logging_steps": 10,
        "logging_nan_inf_filter": False,
    }  # fmt: skip


def _timed(trainer: Any, clock: StepClock) -> list[float]:
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    trainer.train()
    return clock.seconds


def _places(material: Material, n_steps: int) -> list[int]:
    """Return the rows of all steps: batches of like length, as the product plans them, the same for both trainers."""
    rows, size = material.checked.rows, material.scale.batch_size
    by_length = sorted(range(len(rows)), key=lambda at: len(rows[at].prompt) + len(rows[at].completion))
    batches = [by_length[at : at + size] for at in range(0, len(rows) - size + 1, size)]
    return [place for step in range(n_steps) for place in batches[step * 7 % len(batches)]]


def sft_ours(material: Material, n_steps: int) -> tuple[list[float], float]:
    """Time `train sft`'s trainer with its recorder."""
    run, places = material.run("sft"), _places(material, n_steps)
    recorder = SftRecorder(run, epochs=1, started_from=0, tell=lambda _: None)
    trainer = AnswerFirstTrainer(
        model=material.fresh_model(),
        args=SFTConfig(
            **_loop(material, str(run.path), n_steps, material.scale.batch_size), max_length=None,
            remove_unused_columns=False, dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=training_rows(material.checked),
        data_collator=RightPadding(material.tokenizer.pad_token_id),
        processing_class=material.tokenizer,
        callbacks=[recorder],
        order=[2 * place + 1 for place in places],
        grade_weights=dict.fromkeys(material.checked.grade_token_ids, 1.0),
        grade_weight=0.5,
        row_hashes=[str(at) for at in range(len(material.checked.rows))],
    )  # fmt: skip
    recorder.trainer = trainer
    return _timed(trainer, StepClock()), _tokens(material, places, n_steps)


def sft_plain(material: Material, n_steps: int) -> tuple[list[float], float]:
    """Time TRL's SFT trainer on the same batches; labels stand on the completion."""
    places, rows = _places(material, n_steps), material.checked.rows
    taken = [rows[place] for place in places]
    trainer = SFTTrainer(
        model=material.fresh_model(),
        args=SFTConfig(
            **_loop(material, str(material.run("trl").path), n_steps, material.scale.batch_size), max_length=None,
            train_sampling_strategy="sequential", dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_dict(
            {
                "input_ids": [row.prompt + row.completion for row in taken],
                "labels": [[IGNORED] * len(row.prompt) + row.completion for row in taken],
            }
        ),
        processing_class=material.tokenizer,
    )  # fmt: skip
    return _timed(trainer, StepClock()), _tokens(material, places, n_steps)


def _tokens(material: Material, places: list[int], n_steps: int) -> float:
    return tokens_of([material.checked.rows[place] for place in places]) / n_steps


def _dpo_rows(material: Material, n_steps: int) -> tuple[list[int], int]:
    size = max(2, material.scale.batch_size // 2)
    return _places(material, n_steps)[: n_steps * size], size


def dpo_ours(material: Material, n_steps: int) -> tuple[list[float], float]:
    """Time `train dpo`'s trainer: each row's own completion against its neighbour's."""
    run, (places, size) = material.run("dpo"), _dpo_rows(material, n_steps)
    rows, other = material.checked.rows, _other(material)
    trainer = PreferenceTrainer(
        model=material.fresh_model(),
        ref_model=_reference(material),
        args=DPOConfig(**_loop(material, str(run.path), n_steps, size), max_length=None),
        train_dataset=Dataset.from_dict(
            {
                "prompt_ids": [row.prompt for row in rows],
                "chosen_ids": [row.completion for row in rows],
                "rejected_ids": [rows[other[at]].completion for at in range(len(rows))],
            }
        ),
        processing_class=material.tokenizer,
        callbacks=[DpoRecorder(run, epochs=1, started_from=0, tell=lambda _: None)],
        order=places,
    )
    return _timed(trainer, StepClock()), _dpo_tokens(material, places, n_steps)


def dpo_plain(material: Material, n_steps: int) -> tuple[list[float], float]:
    """Time TRL's DPO trainer on the same pairs as text, which it makes the same tokens of before the first step."""
    (places, size), other = _dpo_rows(material, n_steps), _other(material)
    trainer = DPOTrainer(
        model=material.fresh_model(),
        ref_model=_reference(material),
        args=DPOConfig(
            **_loop(material, str(material.run("trl").path), n_steps, size), max_length=None,
            train_sampling_strategy="sequential",
        ),
        train_dataset=Dataset.from_dict(
            {
                "prompt": [material.prompts[at] for at in places],
                "chosen": [material.completions[at] for at in places],
                "rejected": [material.completions[other[at]] for at in places],
            }
        ),
        processing_class=material.tokenizer,
    )  # fmt: skip
    return _timed(trainer, StepClock()), _dpo_tokens(material, places, n_steps)


def _reference(material: Material) -> Any:
    import copy

    return copy.deepcopy(material.fresh_model())


def _other(material: Material) -> list[int]:
    """Return for each row the next one that ends with another completion."""
    texts = material.completions
    return [next(at for at in range(i + 1, i + 50) if texts[at % len(texts)] != texts[i]) % len(texts)
            for i in range(len(texts))]  # fmt: skip


def _dpo_tokens(material: Material, places: list[int], n_steps: int) -> float:
    rows, other = material.checked.rows, _other(material)
    return (
        sum(tokens_of([rows[at]]) + len(rows[at].prompt) + len(rows[other[at]].completion) for at in places) / n_steps
    )


def _grpo_args(material: Material, n_steps: int, path: str) -> tuple[GrpoConfig, Any]:
    """Return our configuration at TRL's own terms, and TRL's as the product makes it of that."""
    settings: dict[str, Any] = {
        "model": "warm", "n_steps": n_steps, "prompts_per_step": material.scale.n_prompts,
        "group_size": material.scale.group_size, "prompt_draw": Draw.NATURAL, "prompts_by_rule": 0.0, "max_rounds": 1,
        "kl_weight": 0.0, "sft_weight": 0.0, "learning_rate": 1e-5, "temperature": 1.0, "top_k": 0,
        "device": "cpu" if material.device == "cpu" else "cuda", "logging_steps": 10, "checkpoint_steps": 10_000,
    }  # fmt: skip
    config = GrpoConfig(**settings)
    args = grpo._trl_config(config, material.run("grpo"), n_completion_tokens=MAX_COMPLETION_TOKENS)
    args.output_dir = path
    return config, args


def grpo_ours(material: Material, n_steps: int, **changed: Any) -> tuple[list[float], float]:
    """Time `train grpo`'s trainer; without changes it samples once and has no expert rows, as TRL does."""
    run = material.run("grpo")
    config, args = _grpo_args(material, n_steps, str(run.path))
    config = config.model_copy(update=changed)
    trainer = ModeBalancedTrainer(
        model=material.fresh_model(),
        args=args,
        train_dataset=Dataset.from_dict({"prompt": list(material.prompts), "row": list(range(len(material.prompts)))}),
        processing_class=material.tokenizer,
        callbacks=[GrpoRecorder(run, epochs=1, started_from=0, tell=lambda _: None)],
        plan=GrpoPlan(
            material.prompts, material.golds, material.checked.rows, [[rule] for rule in material.rules], SCALE,
            material.checked.grade_token_ids,
        ),
        config=config,
    )  # fmt: skip
    seconds = _timed(trainer, StepClock())
    return seconds, trainer.state.num_input_tokens_seen / n_steps


def grpo_whole(material: Material, n_steps: int) -> tuple[list[float], float]:
    """Time it as its defaults have it: expert rows beside the reward, silent groups drawn anew up to three times."""
    return grpo_ours(material, n_steps, max_rounds=4, sft_weight=0.1, sft_rows=16)


def grpo_experts(material: Material, n_steps: int) -> tuple[list[float], float]:
    """Time it with expert rows and one draw."""
    return grpo_ours(material, n_steps, sft_weight=0.1, sft_rows=16)


def grpo_plain(material: Material, n_steps: int) -> tuple[list[float], float]:
    """Time TRL's GRPO trainer with a function that rewards the exact grade in the right form."""
    _, args = _grpo_args(material, n_steps, str(material.run("trl").path))
    args.shuffle_dataset = True

    def exact(completions: list[str], grade: list[int], **_: Any) -> list[float | None]:
        read = [parse(text, SCALE) for text in completions]
        return [float(isinstance(one, Completion) and one.grade == gold) for one, gold in zip(read, grade, strict=True)]

    trainer = GRPOTrainer(
        model=material.fresh_model(),
        args=args,
        reward_funcs=exact,
        train_dataset=Dataset.from_dict(
            {"prompt": list(material.prompts), "grade": [gold.grade for gold in material.golds]}
        ),
        processing_class=material.tokenizer,
    )
    seconds = _timed(trainer, StepClock())
    return seconds, trainer.state.num_input_tokens_seen / n_steps


# method -> arms, TRL's own first: what the others are set beside
TRAININGS: Mapping[str, Mapping[str, Timed]] = {
    "sft": {"TRL": sft_plain, "ours": sft_ours},
    "dpo": {"TRL": dpo_plain, "ours": dpo_ours},
    "grpo": {
        "TRL": grpo_plain, "ours": grpo_ours, "ours, 16 expert rows": grpo_experts, "ours, refilled too": grpo_whole,
    },
}  # fmt: skip

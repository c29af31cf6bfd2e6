"""What is the same in every run whatever it learns: the loop's settings, the trial, the steps, the end of the record.

A method's `train` reads its rows and says what a step is; then it hands its trainer over to `train_to_the_end`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, Trainer

from storage.clock import now
from trainers.configuration.loop import LoopConfig, PlannedConfig
from trainers.launching.processes import share_of_batch, wait_for_all
from trainers.preflight.memory import find_room
from trainers.preflight.saving import telling_of_disk
from trainers.preflight.trial import Load, try_first
from trainers.preflight.weights import require_finite, require_finite_weights
from trainers.rows.evidence_source import EvidenceSource
from trainers.runs.directory import RunDirectory, model_digests, started_from
from trainers.runs.reporters import keep_reports, require_reporters

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SHAPE = ("has_evidence", "max_length", "max_completion_tokens")  # of prompts and completions


def shape_of(start: RunDirectory) -> dict[str, Any]:
    """Return how a run cut its rows: what goes on from it cuts them so too."""
    return {name: start.read()["config"][name] for name in SHAPE}


def is_bfloat16(config: LoopConfig, device: str) -> bool:
    """Say whether the model computes in half precision."""
    return config.precision == "bfloat16" or (config.precision == "auto" and device == "cuda")


def loop_settings(config: LoopConfig, checkpoints: Path, *, n_steps: int, device: str) -> dict[str, Any]:
    """Return what TRL's configurations have in common, for so many steps.

    UserError for a place to report to whose package is not installed.
    """
    require_reporters(config.report_to)
    return {
        "output_dir": str(checkpoints),
        "gradient_accumulation_steps": config.accumulation_steps,
        "learning_rate": config.learning_rate,
        "warmup_steps": round(config.warmup_rate * n_steps),
        "max_grad_norm": config.max_gradient_norm,
        "optim": "adamw_torch",
        "seed": config.seed,
        "use_cpu": device == "cpu",
        "bf16": is_bfloat16(config, device),
        "logging_steps": config.logging_steps,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": config.checkpoint_steps,
        "save_total_limit": 2,
        "report_to": list(config.report_to) or "none",
        "run_name": checkpoints.parent.name,
        "disable_tqdm": True,
        "dataloader_pin_memory": device == "cuda",
    }


def planned_settings(config: PlannedConfig, checkpoints: Path, *, n_visits: int, device: str) -> dict[str, Any]:
    """Return what TRL's configurations have in common, for one pass over so many planned visits."""
    assert config.batch_size is not None  # sized by then
    n_steps = -(-n_visits // (config.batch_size * config.accumulation_steps))
    return {
        **loop_settings(config, checkpoints, n_steps=n_steps, device=device),
        "num_train_epochs": 1,  # the planned order holds all epochs
        "per_device_train_batch_size": share_of_batch(config.batch_size),
        "lr_scheduler_type": "cosine",
        "max_length": None,
        "ddp_find_unused_parameters": False,
    }


def train_to_the_end(
    trainer: Trainer,
    tokenizer: PreTrainedTokenizerBase,
    run: RunDirectory,
    *,
    load: Load,
    checkpoint: Path | None,
    source: str,
    tell: Callable[[str], None],
    evidence: EvidenceSource | None = None,
) -> PreTrainedModel:
    """Try the longest batch, take all steps, save the model and return it.

    checkpoint: where to go on from. source: what the user calls the model. UserError for a step that does not fit, a
    disk that fails and weights that are no numbers.
    """
    trainer.remove_callback(PrinterCallback)  # stdout is for results
    keep_reports(trainer, run.path)
    beginning = trainer.model
    assert isinstance(beginning, PreTrainedModel | PeftModel)
    trial = try_first(
        beginning, load, pad_token_id=tokenizer.pad_token_id, folder=run.path if run.is_writer else None,
        room=find_room(trainer.args.device.type, run.path), source=source,
    )  # fmt: skip
    run.describe(preflight=trial.to_content())
    run.rewind_metrics(started_from(checkpoint))
    if checkpoint is not None:
        tell(f"going on from step {started_from(checkpoint)}")
    with telling_of_disk(run):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        model = _trained_model(trainer)
        weights = _gathered_weights(trainer)
        if weights is None:
            require_finite(model, source=f"{run.run_id} after step {trainer.state.global_step}")
        else:
            require_finite_weights(weights.items(), source=f"{run.run_id} after step {trainer.state.global_step}")
        if run.is_writer:
            if evidence is not None:
                evidence.write(run.model_dir)
            model.save_pretrained(run.model_dir, state_dict=weights)
            tokenizer.save_pretrained(run.model_dir)
        wait_for_all()
    run.describe(base_revision=getattr(model.config, "_commit_hash", None))  # of a model from the hub
    return model


def _trained_model(trainer: Trainer) -> PreTrainedModel:
    """Return the model a trainer trained, low-rank weights merged into it."""
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    trained: PreTrainedModel = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
    return trained


def _gathered_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """Return the whole weights where each process holds a part; None where each holds all. To be called by all."""
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return None
    weights: dict[str, torch.Tensor] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return weights


def close_record(run: RunDirectory, result: DataclassInstance) -> None:
    """Write how a run ended into its record; drop its checkpoints. The result has n_steps and seconds."""
    if not run.is_writer:
        return
    told = {name: value for name, value in asdict(result).items() if name != "directory"}
    run.describe(
        status="finished", finished_at=str(now()), n_steps=told["n_steps"], seconds=told["seconds"],
        model_files=model_digests(run.model_dir), result=told,
    )  # fmt: skip
    run.drop_checkpoints()

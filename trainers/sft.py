"""`afrel train sft`: a checked snapshot becomes an answer-first model. Read `train` top down.

    afrel -w shop train sft --snapshot snap_91be4c01d2aa --model tiny

The same configuration on the same snapshot is the same run: finished, there is nothing to do; killed, it goes on from
its last whole checkpoint over the same rows in the same order (on a CPU to the same weights).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers
import trl
from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import SFTConfig as TrlConfig

from storage.clock import now
from storage.errors import UserError
from storage.ids import digest
from storage.runs import code_version
from storage.snapshots.manifest import Manifest, read_manifest, scale_content
from trainers.evidence_source import source_of
from trainers.format_check import CheckedRows, check_rows
from trainers.losses import IGNORED, balance_weights
from trainers.pretrained import choose_device, load_model, load_tokenizer, quieten_libraries
from trainers.run_directory import RunDirectory, file_digests
from trainers.sft_config import TINY, SftConfig, size_to
from trainers.sft_trainer import AnswerFirstTrainer, RightPadding, RunRecorder, started_from
from trainers.snapshot_rows import load
from trainers.tiny_model import build_model, train_tokenizer
from trainers.visits import Visit, plan_visits


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a training run ended."""

    run_id: str
    directory: Path
    n_rows: int
    n_steps: int
    seconds: float
    resumed_from: int
    grade_loss: float | None
    n_prompts_cut: int
    n_completions_cut: int


def run_key(config: SftConfig, manifest: Manifest) -> str:
    """Return what names a run: method, resolved configuration and snapshot."""
    config = size_config(config, manifest)
    return digest({"method": "sft", "config": config.model_dump(mode="json"), "manifest": manifest.digest})


def size_config(config: SftConfig, manifest: Manifest) -> SftConfig:
    """Return the configuration sized to the snapshot's train rows."""
    entries = manifest.tiers if config.tiers is None else [manifest.find_tier(tier) for tier in config.tiers]
    return size_to(config, max(1, sum(entry.n_rows["train"] for entry in entries)))


def train(config: SftConfig, snapshot: Path, *, run: RunDirectory, tell: Callable[[str], None] = print) -> RunResult:
    """Train on a snapshot that was verified, into a run directory; go on with it where it holds a whole checkpoint.

    `tell` receives lines of progress. UserError for a model that cannot carry the rows, a changed plan, and a NaN.
    """
    started = time.monotonic()
    quieten_libraries()
    manifest = read_manifest(snapshot)
    config = size_config(config, manifest)
    device = choose_device(config.device)
    loaded = load(
        snapshot,
        splits=["train"],
        tiers=config.tiers,
        has_evidence=config.has_evidence,
        has_rationale=config.has_rationale,
    )
    rows = loaded["train"]
    tell(f"{len(rows)} train rows; preparing model and tokenizer {config.model}")
    tokenizer = make_tokenizer(config, rows)
    checked = check_rows(
        rows,
        tokenizer,
        manifest.scale,
        max_length=config.max_length,
        max_completion_tokens=config.max_completion_tokens,
        has_evidence=config.has_evidence,
    )
    assert config.epochs is not None and config.batch_size is not None  # sized above
    visits = plan_visits(
        [len(row.prompt) + len(row.completion) for row in checked.rows],
        [len(row.prompt) + 1 for row in checked.rows],
        epochs=config.epochs,
        batch_size=config.batch_size,
        rationale_rate=config.rationale_rate,
        seed=config.seed,
    )
    checkpoint = _prepare_run(run, checked, visits, config, manifest)
    model = _make_model(config, tokenizer, device)
    weights = balance_weights(_count(rows, manifest.scale.values), config.grade_balance)
    recorder = RunRecorder(run, epochs=config.epochs, started_from=started_from(checkpoint), tell=tell)
    trainer = AnswerFirstTrainer(
        model=model,
        args=_trl_config(config, run, n_visits=len(visits), device=device),
        train_dataset=_training_rows(checked),
        data_collator=RightPadding(tokenizer.pad_token_id),
        processing_class=tokenizer,
        peft_config=_lora(config),
        callbacks=[recorder],
        order=[2 * visit.row + visit.has_rationale for visit in visits],
        grade_weights=dict(zip(checked.grade_token_ids, weights, strict=True)),
        grade_weight=config.grade_weight,
        row_hashes=rows["row_hash"],
    )
    trainer.remove_callback(PrinterCallback)  # stdout is for results
    recorder.trainer = trainer
    run.rewind_metrics(started_from(checkpoint))
    if checkpoint is not None:
        tell(f"going on from step {started_from(checkpoint)}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    source_of(manifest.rule_book, rows["fields"]).write(run.model_dir)
    return _finish(
        run, trainer, tokenizer, checked, seconds=time.monotonic() - started, resumed_from=started_from(checkpoint)
    )


def make_tokenizer(config: SftConfig, rows: Dataset) -> PreTrainedTokenizerBase:
    """Return the model's tokenizer; a tiny model's is trained on the rows' prompts and completions."""
    if config.model != TINY:
        return load_tokenizer(config.model)
    texts = (text for column in ("prompt", "completion") for text in rows[column])
    return train_tokenizer(texts, vocab_size=config.tiny_vocabulary)


def _make_model(config: SftConfig, tokenizer: PreTrainedTokenizerBase, device: str) -> PreTrainedModel:
    if config.model != TINY:
        return load_model(config.model, device=device)
    return build_model(
        tokenizer, hidden_size=config.tiny_hidden_size, n_layers=config.tiny_layers, n_heads=config.tiny_heads,
        max_length=config.max_length, seed=config.seed,
    ).to(device)  # fmt: skip


def _lora(config: SftConfig) -> LoraConfig | None:
    if not config.lora_rank:
        return None
    return LoraConfig(r=config.lora_rank, lora_alpha=2 * config.lora_rank, target_modules="all-linear")


def _count(rows: Dataset, grades: tuple[int, ...]) -> list[int]:
    column = list(rows["grade"])
    return [column.count(grade) for grade in grades]


def _training_rows(checked: CheckedRows) -> Dataset:
    """Return two dataset rows a row: 2i holds the grade alone, 2i + 1 the whole completion."""
    completions = [(row, ids) for row in checked.rows for ids in (row.completion[:1], row.completion)]
    return Dataset.from_dict(
        {
            "input_ids": [row.prompt + ids for row, ids in completions],
            "labels": [[IGNORED] * len(row.prompt) + ids for row, ids in completions],
            "row": [at // 2 for at in range(len(completions))],
        }
    )


def _prepare_run(
    run: RunDirectory, checked: CheckedRows, visits: list[Visit], config: SftConfig, manifest: Manifest
) -> Path | None:
    """Record what the run is about to do; return the checkpoint to go on from.

    UserError when there is a checkpoint, but the tokens or their order are no longer those it was trained on.
    """
    plan = digest([[row.prompt, row.completion] for row in checked.rows] + [[v.row, v.has_rationale] for v in visits])
    checkpoint = run.last_checkpoint()
    described = run.read() if (run.path / "run.json").exists() else {}
    if checkpoint is not None and described.get("plan_digest") != plan:
        raise UserError(
            f"{run.run_id} cannot go on: the code or its libraries now encode or order the rows differently. "
            f"Train anew: rm -r {run.path}, then the same command"
        )
    run.describe(
        run_id=run.run_id,
        run_key=run_key(config, manifest),
        method="sft",
        status="running",
        config=config.model_dump(mode="json"),
        seed=config.seed,
        snapshot_id=manifest.snapshot_id,
        manifest_digest=manifest.digest,
        code_version=code_version(),
        tiers=[{"tier": entry.tier, "digest": entry.digest} for entry in manifest.tiers],
        scale=scale_content(manifest.scale),
        plan_digest=plan,
        grade_token_ids=list(checked.grade_token_ids),
        n_rows=len(checked.rows),
        n_prompts_cut=checked.n_prompts_cut,
        n_completions_cut=checked.n_completions_cut,
        versions={"torch": torch.__version__, "transformers": transformers.__version__, "trl": trl.__version__},
        started_at=described.get("started_at", str(now())),
    )
    return checkpoint


def _trl_config(config: SftConfig, run: RunDirectory, *, n_visits: int, device: str) -> TrlConfig:
    assert config.batch_size is not None
    n_steps = -(-n_visits // (config.batch_size * config.accumulation_steps))
    is_bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and device == "cuda")
    return TrlConfig(
        output_dir=str(run.checkpoints_dir),
        num_train_epochs=1,  # the planned order holds all epochs
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation_steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(config.warmup_rate * n_steps),
        weight_decay=config.weight_decay,
        adam_beta2=0.95,
        max_grad_norm=config.max_gradient_norm,
        optim="adamw_torch",
        seed=config.seed,
        use_cpu=device == "cpu",
        bf16=is_bfloat16,
        gradient_checkpointing=config.model != TINY and device == "cuda",
        logging_steps=config.logging_steps,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=config.checkpoint_steps,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=device == "cuda",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def _finish(
    run: RunDirectory,
    trainer: AnswerFirstTrainer,
    tokenizer: PreTrainedTokenizerBase,
    checked: CheckedRows,
    *,
    seconds: float,
    resumed_from: int,
) -> RunResult:
    """Save the weights, close the run's record, drop its checkpoints."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    model.save_pretrained(run.model_dir, safe_serialization=True)
    tokenizer.save_pretrained(run.model_dir)
    metrics = run.read_metrics()
    result = RunResult(
        run.run_id, run.path, len(checked.rows), trainer.state.global_step, round(seconds, 1), resumed_from,
        metrics[-1]["grade_loss"] if metrics else None, checked.n_prompts_cut, checked.n_completions_cut,
    )  # fmt: skip
    run.describe(
        status="finished",
        finished_at=str(now()),
        n_steps=result.n_steps,
        seconds=result.seconds,
        model_files=file_digests(run.model_dir),
        base_revision=getattr(model.config, "_commit_hash", None),  # of a model from the hub
        result={key: value for key, value in asdict(result).items() if key != "directory"},
    )
    run.drop_checkpoints()
    return result

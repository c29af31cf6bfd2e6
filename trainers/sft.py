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

from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback

from storage.clock import now
from storage.ids import digest
from storage.snapshots.manifest import Manifest, read_manifest
from trainers.evidence_source import source_of
from trainers.format_check import CheckedRows, check_rows, require_every_grade
from trainers.losses import balance_weights
from trainers.preflight.memory import find_room
from trainers.preflight.saving import telling_of_disk
from trainers.preflight.trial import try_first
from trainers.preflight.weights import require_finite
from trainers.pretrained import choose_device, quieten_libraries
from trainers.run_directory import RunDirectory, file_digests
from trainers.run_record import start_record
from trainers.sft_config import SftConfig, size_to
from trainers.sft_setup import lora_config, make_model, make_tokenizer, step_load, training_rows, trl_config
from trainers.sft_trainer import AnswerFirstTrainer, RightPadding, RunRecorder, started_from
from trainers.snapshot_rows import load
from trainers.visits import plan_visits


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
    require_every_grade(rows, manifest.scale)
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
    plan = [[row.prompt, row.completion] for row in checked.rows] + [[v.row, v.has_rationale] for v in visits]
    checkpoint = start_record(
        run,
        method="sft",
        run_key=run_key(config, manifest),
        plan_digest=digest(plan),
        config=config.model_dump(mode="json"),
        manifest=manifest,
        checked=checked,
    )
    model = make_model(config, tokenizer, device)
    weights = balance_weights(_count(rows, manifest.scale.values), config.grade_balance)
    recorder = RunRecorder(run, epochs=config.epochs, started_from=started_from(checkpoint), tell=tell)
    trainer = AnswerFirstTrainer(
        model=model,
        args=trl_config(config, run.checkpoints_dir, n_visits=len(visits), device=device),
        train_dataset=training_rows(checked),
        data_collator=RightPadding(tokenizer.pad_token_id),
        processing_class=tokenizer,
        peft_config=lora_config(config.lora_rank),
        callbacks=[recorder],
        order=[2 * visit.row + visit.has_rationale for visit in visits],
        grade_weights=dict(zip(checked.grade_token_ids, weights, strict=True)),
        grade_weight=config.grade_weight,
        row_hashes=rows["row_hash"],
    )
    trainer.remove_callback(PrinterCallback)  # stdout is for results
    recorder.trainer = trainer
    trial = try_first(
        trainer.model, step_load(checked.rows, config, device), pad_token_id=tokenizer.pad_token_id, folder=run.path,
        room=find_room(device, run.path), source=config.model,
    )  # fmt: skip
    run.describe(preflight=trial.to_content())
    run.rewind_metrics(started_from(checkpoint))
    if checkpoint is not None:
        tell(f"going on from step {started_from(checkpoint)}")
    with telling_of_disk(run):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        source_of(manifest.rule_book, rows["fields"]).write(run.model_dir)
        return _finish(
            run, trainer, tokenizer, checked, seconds=time.monotonic() - started, resumed_from=started_from(checkpoint)
        )


def _count(rows: Dataset, grades: tuple[int, ...]) -> list[int]:
    column = list(rows["grade"])
    return [column.count(grade) for grade in grades]


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
    require_finite(model, source=f"{run.run_id} after step {trainer.state.global_step}")
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

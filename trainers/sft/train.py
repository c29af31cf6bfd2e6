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

import numpy as np
from datasets import Dataset

from storage.ids import digest
from storage.snapshots.manifest import Manifest, read_manifest
from trainers.models.making import lora_config, make_model, make_tokenizer, row_texts
from trainers.models.pretrained import choose_device, quieten_libraries
from trainers.models.starting_point import find_start, start_content
from trainers.objectives.losses import balance_weights
from trainers.order.curriculum import StageCurve, plan_stages, stage_curves, stage_steps
from trainers.order.visits import plan_visits
from trainers.rows.evidence_source import source_of
from trainers.rows.format_check import check_rows, require_every_grade
from trainers.rows.padding import RightPadding
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory, started_from
from trainers.runs.frame import close_record, train_to_the_end
from trainers.runs.record import start_record
from trainers.sft.config import SftConfig, size_to
from trainers.sft.setup import step_load, training_rows, trl_config
from trainers.sft.trainer import AnswerFirstTrainer, SftRecorder


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
    stages: tuple[StageCurve, ...]


def run_key(config: SftConfig, manifest: Manifest, start: RunDirectory | None = None) -> str:
    """Return what names a run: method, resolved configuration, snapshot, and the weights of a run it goes on from."""
    settings = size_config(config, manifest).deciding()
    if start is not None:
        settings["model"] = start.read().get("model_files")
    return digest({"method": "sft", "config": settings, "manifest": manifest.digest})


def size_config(config: SftConfig, manifest: Manifest) -> SftConfig:
    """Return the configuration sized to the snapshot's train rows."""
    entries = manifest.tiers if config.tiers is None else [manifest.find_tier(tier) for tier in config.tiers]
    return size_to(config, max(1, sum(entry.n_rows["train"] for entry in entries)))


def train(config: SftConfig, snapshot: Path, *, run: RunDirectory, tell: Callable[[str], None] = print) -> RunResult:
    """Train on a snapshot that was verified, into a run directory; go on with it where it holds a whole checkpoint.

    A model that names a run is that run's: of the same folder of runs by its id, of any by its folder. `tell` receives
    lines of progress. UserError for a model that cannot carry the rows, a changed plan, and a NaN.
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
    start = find_start(run.path.parent, config.model)
    begun = start_content(start)
    named = config if start is None else config.model_copy(update={"model": str(start.model_dir)})
    tokenizer = make_tokenizer(named, row_texts(rows))
    checked = check_rows(
        rows,
        tokenizer,
        manifest.scale,
        max_length=config.max_length,
        max_completion_tokens=config.max_completion_tokens,
        has_evidence=config.has_evidence,
    )
    assert config.epochs is not None and config.batch_size is not None  # sized above
    step_size = config.batch_size * config.accumulation_steps
    random = np.random.default_rng(config.seed)
    stages = plan_stages(
        rows["tier"],
        config.curriculum,
        epochs=config.epochs,
        keep_rate=config.keep_rate,
        step_size=step_size,
        random=random,
    )
    visits = plan_visits(
        [stage.rows for stage in stages],
        [len(row.prompt) + len(row.completion) for row in checked.rows],
        [len(row.prompt) + 1 for row in checked.rows],
        batch_size=config.batch_size,
        rationale_rate=config.rationale_rate,
        random=random,
    )
    steps = stage_steps(stages, step_size)
    for stage in steps:
        tell(f"tier {stage.tier}: steps {stage.first_step} to {stage.last_step}, {stage.n_kept} visits to tiers before")
    plan = [[row.prompt, row.completion] for row in checked.rows] + [[v.row, v.has_rationale] for v in visits]
    checkpoint = start_record(
        run,
        method="sft",
        run_key=run_key(config, manifest, start),
        plan_digest=digest(plan),
        config=config.model_dump(mode="json"),
        manifest=manifest,
        checked=checked,
        stages=[asdict(stage) for stage in steps],
        **begun,
    )
    model = make_model(named, tokenizer, device)
    weights = balance_weights(_count(rows, manifest.scale.values), config.grade_balance)
    first_step = started_from(checkpoint)
    recorder = SftRecorder(run, epochs=config.epochs, started_from=first_step, tell=tell, stages=steps)
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
    recorder.trainer = trainer
    train_to_the_end(
        trainer, tokenizer, run, load=step_load(checked.rows, config, device), checkpoint=checkpoint,
        source=config.model, tell=tell, evidence=source_of(manifest.rule_book, rows["fields"]),
    )  # fmt: skip
    metrics = run.read_metrics()
    result = RunResult(
        run.run_id, run.path, len(checked.rows), trainer.state.global_step, round(time.monotonic() - started, 1),
        first_step, metrics[-1]["grade_loss"] if metrics else None, checked.n_prompts_cut, checked.n_completions_cut,
        stage_curves(steps, metrics),
    )  # fmt: skip
    close_record(run, result)
    return result


def _count(rows: Dataset, grades: tuple[int, ...]) -> list[int]:
    column = list(rows["grade"])
    return [column.count(grade) for grade in grades]

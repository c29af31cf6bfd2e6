"""`afrel train sft`: a checked snapshot becomes an answer-first model. Read `train` top down.

    afrel -w shop train sft --snapshot snap_91be4c01d2aa --model tiny

The same configuration on the same snapshot is the same run: finished, there is nothing to do; killed, it goes on from
its last whole checkpoint over the same rows in the same order (on a CPU to the same weights).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from storage.ids import digest
from storage.snapshots.manifest import Manifest
from trainers.models.making import lora_config
from trainers.models.starting_point import start_content
from trainers.objectives.losses import balance_weights
from trainers.order.curriculum import StageCurve, stage_curves
from trainers.preflight.boundaries import require_boundaries
from trainers.rows.encoding import EncodedRow
from trainers.rows.evidence_source import source_of
from trainers.rows.padding import RightPadding
from trainers.runs.directory import RunDirectory, started_from
from trainers.runs.frame import close_record, train_to_the_end
from trainers.runs.record import start_record
from trainers.sft.config import SftConfig
from trainers.sft.packed_batch import PackedCompletions
from trainers.sft.preparation import Prepared, prepare, size_config
from trainers.sft.setup import Order, plan, step_load, training_rows, trl_config
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


def train(config: SftConfig, snapshot: Path, *, run: RunDirectory, tell: Callable[[str], None] = print) -> RunResult:
    """Train on a snapshot that was verified, into a run directory; go on with it where it holds a whole checkpoint.

    A model that names a run is that run's: of the same folder of runs by its id, of any by its folder. `tell` receives
    lines of progress. UserError for a model that cannot carry the rows, a changed plan, and a NaN.
    """
    started = time.monotonic()
    prepared = prepare(config, snapshot, runs_dir=run.path.parent, tell=tell)
    order = plan(prepared)
    for stage in order.steps:
        tell(f"tier {stage.tier}: steps {stage.first_step} to {stage.last_step}, {stage.n_kept} visits to tiers before")
    checkpoint = _start_record(run, prepared, order)
    first_step = started_from(checkpoint)
    recorder = SftRecorder(
        run, epochs=prepared.config.epochs, started_from=first_step, tell=tell, stages=order.steps
    )  # fmt: skip
    trainer = _make_trainer(prepared, order, run, recorder)
    recorder.trainer = trainer
    train_to_the_end(
        trainer, prepared.tokenizer, run,
        load=step_load(prepared.checked.rows, prepared.config, prepared.device), checkpoint=checkpoint,
        source=config.model, tell=tell, evidence=source_of(prepared.manifest.rule_book, prepared.rows["fields"]),
    )  # fmt: skip
    metrics, checked = run.read_metrics(), prepared.checked
    result = RunResult(
        run.run_id, run.path, len(checked.rows), trainer.state.global_step, round(time.monotonic() - started, 1),
        first_step, metrics[-1]["grade_loss"] if metrics else None, checked.n_prompts_cut, checked.n_completions_cut,
        stage_curves(order.steps, metrics),
    )  # fmt: skip
    close_record(run, result)
    return result


def _start_record(run: RunDirectory, prepared: Prepared, order: Order) -> Path | None:
    """Write down what the run is about to do; return the checkpoint to go on from."""
    return start_record(
        run,
        method="sft",
        run_key=run_key(prepared.config, prepared.manifest, prepared.start),
        plan_digest=order.digest,
        config=prepared.config.model_dump(mode="json"),
        manifest=prepared.manifest,
        checked=prepared.checked,
        stages=[asdict(stage) for stage in order.steps],
        **start_content(prepared.start),
    )


def _make_trainer(prepared: Prepared, order: Order, run: RunDirectory, recorder: SftRecorder) -> AnswerFirstTrainer:
    config, checked = prepared.config, prepared.checked
    grades = list(prepared.rows["grade"])
    counts = [grades.count(grade) for grade in prepared.manifest.scale.values]
    weights = balance_weights(counts, config.grade_balance)
    model = prepared.make_model()
    if config.packing:
        require_boundaries(model, _two_rows(checked.rows), pad_token_id=prepared.tokenizer.pad_token_id)
    return AnswerFirstTrainer(
        model=model,
        args=trl_config(config, run.checkpoints_dir, n_visits=len(order.visits), device=prepared.device),
        train_dataset=training_rows(checked),
        data_collator=_collator(prepared),
        processing_class=prepared.tokenizer,
        peft_config=lora_config(config.lora_rank),
        callbacks=[recorder],
        order=[2 * visit.row + visit.has_rationale for visit in order.visits],
        filler=2 * len(checked.rows),
        grade_weights=dict(zip(checked.grade_token_ids, weights, strict=True)),
        grade_weight=config.grade_weight,
        row_hashes=prepared.rows["row_hash"],
    )


def _collator(prepared: Prepared) -> RightPadding | PackedCompletions:
    pad = prepared.tokenizer.pad_token_id
    return PackedCompletions(pad, prepared.config.max_length) if prepared.config.packing else RightPadding(pad)


def _two_rows(rows: Sequence[EncodedRow]) -> list[list[int]]:
    """Return two rows to be read one behind the other: of one row, that row twice."""
    return [row.prompt + row.completion for row in (rows[0], rows[-1])]

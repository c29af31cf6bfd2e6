"""`afrel train grpo`: a trained run goes on by reinforcement, with expert rows beside it. Read `train` top down.

    afrel -w shop train grpo --model run_4c1f09ab32 --snapshot snap_91be4c01d2aa --config grpo.toml

The same configuration, run and snapshot are the same run: finished, there is nothing to do; killed, it goes on from its
last whole checkpoint over the same prompts and expert rows in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets import Dataset
from transformers import PrinterCallback
from trl import GRPOConfig as TrlConfig

from storage.clock import now
from storage.ids import digest
from storage.snapshots.manifest import Manifest, read_manifest
from trainers.encoding import EncodedRow
from trainers.evidence_source import source_of
from trainers.format_check import CheckedRows, check_rows
from trainers.grpo_config import GrpoConfig
from trainers.grpo_trainer import GrpoPlan, GrpoRecorder, ModeBalancedTrainer
from trainers.judging import golds_of
from trainers.preflight.memory import find_room
from trainers.preflight.saving import telling_of_disk
from trainers.preflight.trial import Load, longest, try_first
from trainers.preflight.weights import require_finite
from trainers.pretrained import choose_device, quieten_libraries
from trainers.ranker import Ranker, fitted_prompts, load_ranker, require_scale
from trainers.run_directory import RunDirectory, file_digests
from trainers.run_record import start_record
from trainers.sft_trainer import started_from
from trainers.snapshot_rows import load

SHAPE = ("has_evidence", "max_length", "max_completion_tokens")  # of prompts and completions, as the run before had it


@dataclass(frozen=True, slots=True)
class GrpoResult:
    """How a run ended. reward and silent_rate: the last ones logged, None for a run too short to log any."""

    run_id: str
    n_rows: int
    n_steps: int
    seconds: float
    resumed_from: int
    reward: float | None
    silent_rate: float | None
    n_prompts_cut: int
    n_completions_cut: int


def run_key(config: GrpoConfig, manifest: Manifest, start: RunDirectory) -> str:
    """Return what names a run: method, configuration, snapshot, and the weights it goes on from."""
    settings = config.model_dump(mode="json") | {"model": start.read().get("model_files")}
    return digest({"method": "grpo", "config": settings, "manifest": manifest.digest})


def train(
    config: GrpoConfig,
    snapshot: Path,
    start: RunDirectory,
    *,
    run: RunDirectory,
    tell: Callable[[str], None] = print,
) -> GrpoResult:
    """Train on from a finished run, on a snapshot that was verified, into a run directory; go on where it was left.

    UserError for a snapshot of another scale, a model that cannot carry the rows, a changed plan, and a NaN.
    """
    started = time.monotonic()
    quieten_libraries()
    manifest = read_manifest(snapshot)
    ranker = load_ranker(start, device=config.device)
    require_scale(ranker, manifest)
    shape = {name: start.read()["config"][name] for name in SHAPE}
    rows = load(snapshot, splits=["train"], tiers=config.tiers, has_evidence=shape["has_evidence"])["train"]
    tell(f"{len(rows)} train rows; going on from {start.run_id}")
    checked = check_rows(
        rows,
        ranker.tokenizer,
        manifest.scale,
        max_length=shape["max_length"],
        max_completion_tokens=shape["max_completion_tokens"],
        has_evidence=shape["has_evidence"],
    )
    plan = make_plan(rows, checked, ranker, manifest)
    checkpoint = start_record(
        run,
        method="grpo",
        run_key=run_key(config, manifest, start),
        plan_digest=digest([[row.prompt, row.completion] for row in checked.rows]),
        config=config.model_dump(mode="json") | shape,
        manifest=manifest,
        checked=checked,
        started_from={"run_id": start.run_id, "model_files": start.read()["model_files"]},
    )
    first_step = started_from(checkpoint)
    recorder = GrpoRecorder(run, epochs=1, started_from=first_step, tell=tell)
    trainer = ModeBalancedTrainer(
        model=ranker.model,
        args=_trl_config(config, run, n_completion_tokens=shape["max_completion_tokens"]),
        train_dataset=Dataset.from_dict({"prompt": list(plan.prompts), "row": list(range(len(rows)))}),
        processing_class=ranker.tokenizer,
        callbacks=[recorder],
        plan=plan,
        config=config,
    )
    trainer.remove_callback(PrinterCallback)  # stdout is for results
    trial = try_first(
        trainer.model, step_load(checked.rows, config, n_completion_tokens=shape["max_completion_tokens"]),
        pad_token_id=ranker.tokenizer.pad_token_id, folder=run.path,
        room=find_room(trainer.model.device.type, run.path), source=start.run_id,
    )  # fmt: skip
    run.describe(preflight=trial.to_content())
    run.rewind_metrics(first_step)
    if checkpoint is not None:
        tell(f"going on from step {first_step}")
    with telling_of_disk(run):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        source_of(manifest.rule_book, rows["fields"]).write(run.model_dir)
        model = trainer.accelerator.unwrap_model(trainer.model)
        require_finite(model, source=f"{run.run_id} after step {trainer.state.global_step}")
        model.save_pretrained(run.model_dir, safe_serialization=True)
        ranker.tokenizer.save_pretrained(run.model_dir)
    metrics = run.read_metrics()
    last = metrics[-1] if metrics else {}
    result = GrpoResult(
        run.run_id, len(rows), trainer.state.global_step, round(time.monotonic() - started, 1), first_step,
        last.get("reward"), last.get("silent_rate"), checked.n_prompts_cut, checked.n_completions_cut,
    )  # fmt: skip
    run.describe(
        status="finished", finished_at=str(now()), n_steps=result.n_steps, seconds=result.seconds,
        model_files=file_digests(run.model_dir), result=asdict(result),
    )  # fmt: skip
    run.drop_checkpoints()
    return result


def step_load(rows: Sequence[EncodedRow], config: GrpoConfig, *, n_completion_tokens: int) -> Load:
    """Return the longest micro-batch: rollouts of the longest prompts at full length, and the longest expert rows."""
    n_rollouts = config.n_rollouts // config.accumulation_steps

    def at_full_length(row: EncodedRow) -> EncodedRow:
        repeated = row.completion * n_completion_tokens
        return EncodedRow(row.prompt, repeated[:n_completion_tokens], is_completion_cut=False)

    by_prompt = sorted(rows, key=lambda row: -len(row.prompt))
    prompts = [by_prompt[at % len(by_prompt)] for at in range(-(-n_rollouts // config.group_size))]
    rollouts = [at_full_length(row) for row in prompts for _ in range(config.group_size)][:n_rollouts]

    def lighter(n: int) -> str:
        steps = [s for s in range(1, config.n_rollouts + 1) if config.n_rollouts % s == 0]
        fitting = [s for s in steps if config.n_rollouts // s + config.sft_rows <= n]
        if fitting:
            return f"Set accumulation_steps = {fitting[0]} in the --config file"
        return f"Set accumulation_steps = {config.n_rollouts} and sft_rows = {max(1, n - 1)} in the --config file"

    return Load(
        [*rollouts, *longest(rows, config.sft_rows)], lighter, has_reference=config.kl_weight > 0,
        is_bfloat16=_is_bfloat16(config),
    )  # fmt: skip


def _is_bfloat16(config: GrpoConfig) -> bool:
    device = choose_device(config.device)
    return config.precision == "bfloat16" or (config.precision == "auto" and device == "cuda")


def make_plan(rows: Dataset, checked: CheckedRows, ranker: Ranker, manifest: Manifest) -> GrpoPlan:
    """Return what is sampled from, judged by and learnt beside, row by row. Prompts are cut as the expert rows' are."""
    return GrpoPlan(
        fitted_prompts(rows, ranker),
        golds_of(rows, source_of(manifest.rule_book, rows["fields"])),
        checked.rows,
        [list(rules) for rules in rows["rule_ids"]],
        manifest.scale,
        checked.grade_token_ids,
    )


def _trl_config(config: GrpoConfig, run: RunDirectory, *, n_completion_tokens: int) -> TrlConfig:
    device = choose_device(config.device)
    return TrlConfig(
        output_dir=str(run.checkpoints_dir),
        max_steps=config.n_steps,
        per_device_train_batch_size=config.n_rollouts // config.accumulation_steps,
        gradient_accumulation_steps=config.accumulation_steps,
        steps_per_generation=config.accumulation_steps,
        num_generations=config.group_size,
        max_completion_length=n_completion_tokens,
        temperature=config.temperature,
        top_k=config.top_k,
        beta=config.kl_weight,
        epsilon=config.clip,
        loss_type="grpo",
        scale_rewards="group",
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=round(config.warmup_rate * config.n_steps),
        weight_decay=0.0,
        max_grad_norm=config.max_gradient_norm,
        optim="adamw_torch",
        seed=config.seed,
        use_cpu=device == "cpu",
        bf16=_is_bfloat16(config),
        logging_steps=config.logging_steps,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=config.checkpoint_steps,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=device == "cuda",
        disable_dropout=True,
        gradient_checkpointing=False,
    )

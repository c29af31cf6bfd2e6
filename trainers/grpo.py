"""`afrel train grpo`: a trained run goes on by reinforcement, with expert rows beside it. Read `train` top down.

    afrel -w shop train grpo --model run_4c1f09ab32 --snapshot snap_91be4c01d2aa --config grpo.toml

The same configuration, run and snapshot are the same run: finished, there is nothing to do; killed, it goes on from its
last whole checkpoint over the same prompts and expert rows in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
import trl
from datasets import Dataset
from transformers import PrinterCallback
from trl import GRPOConfig as TrlConfig

from curation.prompt_parts import prompt_parts
from storage.clock import now
from storage.errors import UserError
from storage.ids import digest
from storage.runs import code_version
from storage.snapshots.manifest import Manifest, read_manifest, scale_content
from trainers.encoding import fit_prompt
from trainers.evidence_source import source_of
from trainers.format_check import CheckedRows, check_rows
from trainers.grpo_config import GrpoConfig
from trainers.grpo_trainer import GrpoPlan, GrpoRecorder, ModeBalancedTrainer
from trainers.judging import golds_of
from trainers.pretrained import choose_device, quieten_libraries
from trainers.ranker import Ranker, load_ranker
from trainers.run_directory import RunDirectory, file_digests
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
    if ranker.scale != manifest.scale:
        raise UserError(
            f"{start.run_id} was trained on the grades {ranker.scale.values}, snapshot {manifest.snapshot_id} has "
            f"{manifest.scale.values}. Train on it first: afrel train sft --snapshot {manifest.snapshot_id}"
        )
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
    checkpoint = _prepare_run(run, config, manifest, start, checked, shape)
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
    run.rewind_metrics(first_step)
    if checkpoint is not None:
        tell(f"going on from step {first_step}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    source_of(manifest.rule_book, rows["fields"]).write(run.model_dir)
    trainer.accelerator.unwrap_model(trainer.model).save_pretrained(run.model_dir, safe_serialization=True)
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


def make_plan(rows: Dataset, checked: CheckedRows, ranker: Ranker, manifest: Manifest) -> GrpoPlan:
    """Return what is sampled from, judged by and learnt beside, row by row. Prompts are cut as the expert rows' are."""
    prompts = [
        fit_prompt(prompt_parts(row, has_evidence=ranker.has_evidence), ranker.tokenizer, ranker.max_prompt_tokens)
        for row in rows
    ]
    return GrpoPlan(
        [prompt for prompt in prompts if prompt is not None],  # all fit: they were checked
        golds_of(rows, source_of(manifest.rule_book, rows["fields"])),
        checked.rows,
        [list(rules) for rules in rows["rule_ids"]],
        manifest.scale,
        checked.grade_token_ids,
    )


def _prepare_run(
    run: RunDirectory,
    config: GrpoConfig,
    manifest: Manifest,
    start: RunDirectory,
    checked: CheckedRows,
    shape: dict[str, Any],
) -> Path | None:
    """Record what the run is about to do; return the checkpoint to go on from, UserError when its plan was another."""
    plan = digest([[row.prompt, row.completion] for row in checked.rows])
    checkpoint = run.last_checkpoint()
    described = run.read() if (run.path / "run.json").exists() else {}
    if checkpoint is not None and described.get("plan_digest") != plan:
        raise UserError(
            f"{run.run_id} cannot go on: the code or its libraries now encode the rows differently. "
            f"Train anew: rm -r {run.path}, then the same command"
        )
    run.describe(
        run_id=run.run_id,
        run_key=run_key(config, manifest, start),
        method="grpo",
        status="running",
        config=config.model_dump(mode="json") | shape,
        seed=config.seed,
        snapshot_id=manifest.snapshot_id,
        manifest_digest=manifest.digest,
        code_version=code_version(),
        tiers=[{"tier": entry.tier, "digest": entry.digest} for entry in manifest.tiers],
        scale=scale_content(manifest.scale),
        started_from={"run_id": start.run_id, "model_files": start.read()["model_files"]},
        plan_digest=plan,
        grade_token_ids=list(checked.grade_token_ids),
        n_rows=len(checked.rows),
        n_prompts_cut=checked.n_prompts_cut,
        n_completions_cut=checked.n_completions_cut,
        versions={"torch": torch.__version__, "transformers": transformers.__version__, "trl": trl.__version__},
        started_at=described.get("started_at", str(now())),
    )
    return checkpoint


def _trl_config(config: GrpoConfig, run: RunDirectory, *, n_completion_tokens: int) -> TrlConfig:
    device = choose_device(config.device)
    is_bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and device == "cuda")
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
        bf16=is_bfloat16,
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

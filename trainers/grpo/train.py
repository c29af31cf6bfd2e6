"""`afrel train grpo`: a trained run goes on by reinforcement, with expert rows beside it. Read `train` top down.

    afrel -w shop train grpo --model run_4c1f09ab32 --snapshot snap_91be4c01d2aa --config grpo.toml

The same configuration, run and snapshot are the same run: finished, there is nothing to do; killed, it goes on from its
last whole checkpoint over the same prompts and expert rows in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig as TrlConfig

from storage.errors import UserError
from storage.ids import digest
from storage.snapshots.manifest import Manifest, read_manifest
from trainers.forgetting.alarms import OnAlarm
from trainers.forgetting.held_back import held_back_rows
from trainers.forgetting.watch import ForgettingWatch
from trainers.grpo.config import GrpoConfig
from trainers.grpo.judging import golds_of
from trainers.grpo.trainer import GrpoPlan, GrpoRecorder, ModeBalancedTrainer
from trainers.models.pretrained import choose_device, quieten_libraries
from trainers.models.ranker import Ranker, fitted_prompts, load_ranker, require_scale
from trainers.models.starting_point import start_content
from trainers.preflight.trial import Load, longest
from trainers.rows.encoding import EncodedRow
from trainers.rows.evidence_source import EvidenceSource, source_of
from trainers.rows.format_check import CheckedRows, check_rows
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory, started_from
from trainers.runs.frame import close_record, is_bfloat16, loop_settings, shape_of, train_to_the_end
from trainers.runs.record import start_record


@dataclass(frozen=True, slots=True)
class GrpoResult:
    """How a run ended. reward and silent_rate: the last ones logged, None for a run too short to log any.

    kept_step: after which the weights that were kept were, n_steps unless they were rolled back. forgotten: the slices
    with an alarm at the last measurement, the surest first; None where nothing was measured.
    """

    run_id: str
    n_rows: int
    n_steps: int
    seconds: float
    resumed_from: int
    reward: float | None
    silent_rate: float | None
    n_prompts_cut: int
    n_completions_cut: int
    kept_step: int
    forgotten: list[dict[str, Any]] | None


def run_key(config: GrpoConfig, manifest: Manifest, start: RunDirectory) -> str:
    """Return what names a run: method, configuration, snapshot, and the weights it goes on from."""
    settings = config.deciding() | {"model": start.read().get("model_files")}
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
    shape = shape_of(start)
    n_completion_tokens = shape["max_completion_tokens"]
    rows = load(snapshot, splits=["train"], tiers=config.tiers, has_evidence=shape["has_evidence"])["train"]
    tell(f"{len(rows)} train rows; going on from {start.run_id}")
    checked = check_rows(
        rows,
        ranker.tokenizer,
        manifest.scale,
        max_length=shape["max_length"],
        max_completion_tokens=n_completion_tokens,
        has_evidence=shape["has_evidence"],
    )
    evidence = source_of(manifest.rule_book, rows["fields"])
    plan = make_plan(rows, checked, ranker, manifest, evidence)
    watch = _watch(
        config, snapshot, manifest, ranker, evidence, run, n_completion_tokens=n_completion_tokens, tell=tell
    )
    checkpoint = start_record(
        run,
        method="grpo",
        run_key=run_key(config, manifest, start),
        plan_digest=digest([[row.prompt, row.completion] for row in checked.rows]),
        config=config.model_dump(mode="json") | shape,
        manifest=manifest,
        checked=checked,
        **start_content(start),
    )
    first_step = started_from(checkpoint)
    trainer = ModeBalancedTrainer(
        model=ranker.model,
        args=_trl_config(config, run, n_completion_tokens=n_completion_tokens),
        train_dataset=Dataset.from_dict({"prompt": list(plan.prompts), "row": list(range(len(rows)))}),
        processing_class=ranker.tokenizer,
        callbacks=[GrpoRecorder(run, epochs=1, started_from=first_step, tell=tell), *([watch] if watch else [])],
        plan=plan,
        config=config,
    )
    train_to_the_end(
        trainer, ranker.tokenizer, run,
        load=step_load(checked.rows, config, n_completion_tokens=n_completion_tokens),
        checkpoint=checkpoint, source=start.run_id, tell=tell, evidence=evidence,
    )  # fmt: skip
    metrics = run.read_metrics()
    last = metrics[-1] if metrics else {}
    n_steps = trainer.state.global_step
    result = GrpoResult(
        run.run_id, len(rows), n_steps, round(time.monotonic() - started, 1), first_step,
        last.get("reward"), last.get("silent_rate"), checked.n_prompts_cut, checked.n_completions_cut,
        watch.kept_step if watch else n_steps,
        [asdict(one) for one in watch.points[-1].alarms] if watch else None,
    )  # fmt: skip
    close_record(run, result)
    if watch is not None:
        watch.drop_weights()
    return result


def _watch(
    config: GrpoConfig,
    snapshot: Path,
    manifest: Manifest,
    ranker: Ranker,
    evidence: EvidenceSource,
    run: RunDirectory,
    *,
    n_completion_tokens: int,
    tell: Callable[[str], None],
) -> ForgettingWatch | None:
    """Return what watches for forgetting; None, which is told, where there is no dev row to watch it on."""
    held = held_back_rows(
        snapshot, manifest, ranker, evidence, tiers=config.tiers, n_pairs=config.alarm_pairs,
        n_completion_tokens=n_completion_tokens, seed=config.seed,
    )  # fmt: skip
    if held is None:
        lacking = f"{manifest.snapshot_id} has no dev rows in the tiers trained on, so nobody sees what is forgotten"
        if config.on_alarm is not OnAlarm.TELL:
            raise UserError(
                f'{lacking}, and on_alarm = "{config.on_alarm}" cannot be kept. Set on_alarm = "tell", or cut a '
                "snapshot that has them: afrel tier, then afrel snapshot"
            )
        tell(f"{lacking}. Cut a snapshot that has them: afrel tier, then afrel snapshot")
        return None
    if held.n_left_out:
        tell(f"{held.n_left_out} held-back pairs are too long to be asked and left out")
    return ForgettingWatch(
        run, held, ranker, bounds=config.alarm_bounds, on_alarm=config.on_alarm, every=config.alarm_steps,
        n_rows=config.sft_rows, n_completion_tokens=n_completion_tokens, tell=tell,
    )  # fmt: skip


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
        is_bfloat16=is_bfloat16(config, choose_device(config.device)),
    )  # fmt: skip


def make_plan(
    rows: Dataset, checked: CheckedRows, ranker: Ranker, manifest: Manifest, evidence: EvidenceSource
) -> GrpoPlan:
    """Return what is sampled from, judged by and learnt beside, row by row. Prompts are cut as the expert rows' are."""
    return GrpoPlan(
        fitted_prompts(rows, ranker),
        golds_of(rows, evidence),
        checked.rows,
        [list(rules) for rules in rows["rule_ids"]],
        manifest.scale,
        checked.grade_token_ids,
    )


def _trl_config(config: GrpoConfig, run: RunDirectory, *, n_completion_tokens: int) -> TrlConfig:
    return TrlConfig(
        **loop_settings(config, run.checkpoints_dir, n_steps=config.n_steps, device=choose_device(config.device)),
        max_steps=config.n_steps,
        per_device_train_batch_size=config.n_rollouts // config.accumulation_steps,
        steps_per_generation=config.accumulation_steps,
        num_generations=config.group_size,
        max_completion_length=n_completion_tokens,
        temperature=config.temperature,
        top_k=config.top_k,
        beta=config.kl_weight,
        epsilon=config.clip,
        loss_type="grpo",
        scale_rewards="group",
        lr_scheduler_type="constant_with_warmup",
        weight_decay=0.0,
        **_vllm_settings(config),
        disable_dropout=True,
        gradient_checkpointing=False,
    )


def _vllm_settings(config: GrpoConfig) -> dict[str, Any]:
    """Return what TRL is told of vLLM; UserError where it is wanted and not installed, or has no GPU to run on."""
    if not config.use_vllm:
        return {}
    if find_spec("vllm") is None:
        raise UserError(
            "use_vllm = true needs vLLM, which is not installed here. Install what TRL works with (pip install "
            "'trl[vllm]'), or leave use_vllm out of the --config file"
        )
    if config.vllm_mode == "colocate" and choose_device(config.device) == "cpu":
        raise UserError(
            'vllm_mode = "colocate" shares the GPU that trains, and this run trains on a CPU. Leave use_vllm out '
            'of the --config file, or sample by a server: vllm_mode = "server"'
        )
    return {
        "use_vllm": True,
        "vllm_mode": config.vllm_mode,
        "vllm_server_base_url": config.vllm_server_base_url,
        "vllm_gpu_memory_utilization": config.vllm_gpu_memory_utilization,
    }

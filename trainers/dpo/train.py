"""`afrel train dpo`: a trained run learns to prefer its right answers to its wrong ones. Read `train` top down.

    afrel -w shop rollout run_4c1f09ab32 --samples 8
    afrel -w shop --as eli train dpo --model run_4c1f09ab32 --config dpo.toml

The same configuration, run, snapshot, rollouts and edits are the same run: finished, there is nothing to do; killed, it
goes on from its last whole checkpoint over the same pairs in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset
from trl import DPOConfig as TrlConfig

from storage.errors import UserError
from storage.ids import digest
from storage.snapshots.manifest import Manifest, read_manifest
from trainers.dpo.config import DpoConfig
from trainers.dpo.material import EncodedPair, Material, PreferenceRows, choose_pairs, encode_pairs
from trainers.dpo.trainer import DpoRecorder, PreferenceTrainer
from trainers.grpo.judging import golds_of
from trainers.models.making import lora_config
from trainers.models.pretrained import choose_device, load_model, quieten_libraries
from trainers.models.ranker import Ranker, fitted_prompts, load_ranker, require_scale
from trainers.models.starting_point import start_content
from trainers.order.planned_order import plan_order
from trainers.preflight.trial import Load, longest
from trainers.rows.encoding import EncodedRow
from trainers.rows.evidence_source import source_of
from trainers.rows.format_check import CheckedRows, check_rows
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory, started_from
from trainers.runs.frame import close_record, is_bfloat16, planned_settings, shape_of, train_to_the_end
from trainers.runs.record import start_record


@dataclass(frozen=True, slots=True)
class DpoResult:
    """How a run ended. accuracy: the share of pairs in the right order at the last logged step, None before any."""

    run_id: str
    n_rows: int
    n_pairs: int
    n_by_origin: dict[str, int]
    left_out: dict[str, int]
    n_steps: int
    seconds: float
    resumed_from: int
    accuracy: float | None
    n_prompts_cut: int
    n_completions_cut: int


def run_key(config: DpoConfig, manifest: Manifest, start: RunDirectory, material: Material) -> str:
    """Return what names a run: method, configuration, snapshot, the weights it goes on from, rollouts and edits."""
    settings = config.deciding() | {"model": start.read().get("model_files")}
    named = {"method": "dpo", "config": settings, "manifest": manifest.digest, "material": material.digest}
    return digest(named)


def train(
    config: DpoConfig,
    snapshot: Path,
    start: RunDirectory,
    material: Material,
    *,
    run: RunDirectory,
    tell: Callable[[str], None] = print,
) -> DpoResult:
    """Train on from a finished run, on a snapshot that was verified, into a run directory; go on where it was left.

    UserError for a snapshot of another scale, material that gives no pair, a changed plan, a step that does not fit,
    and a NaN.
    """
    started = time.monotonic()
    quieten_libraries()
    prepared = _prepare(config, snapshot, start, material, tell=tell)
    preferences, checked = prepared.preferences, prepared.checked
    order = plan_order(len(preferences.pairs), epochs=config.epochs, seed=config.seed)
    checkpoint = start_record(
        run,
        method="dpo",
        run_key=run_key(config, prepared.manifest, start, material),
        plan_digest=digest([[[p.prompt, p.chosen, p.rejected] for p in preferences.pairs], order]),
        config=config.model_dump(mode="json") | shape_of(start),
        manifest=prepared.manifest,
        checked=checked,
        n_pairs=len(preferences.pairs),
        n_by_origin=preferences.n_by_origin,
        left_out=preferences.left_out,
        **start_content(start),
    )
    first_step = started_from(checkpoint)
    recorder = DpoRecorder(run, epochs=config.epochs, started_from=first_step, tell=tell)
    trainer = _make_trainer(config, prepared, order, start, run, recorder)
    train_to_the_end(
        trainer, prepared.ranker.tokenizer, run,
        load=step_load(preferences.pairs, config, choose_device(config.device)), checkpoint=checkpoint,
        source=start.run_id, tell=tell, evidence=source_of(prepared.manifest.rule_book, prepared.rows["fields"]),
    )  # fmt: skip
    metrics = run.read_metrics()
    result = DpoResult(
        run.run_id, len(prepared.rows), len(preferences.pairs), dict(preferences.n_by_origin),
        dict(preferences.left_out), trainer.state.global_step, round(time.monotonic() - started, 1), first_step,
        metrics[-1].get("rewards/accuracies") if metrics else None, checked.n_prompts_cut, checked.n_completions_cut,
    )  # fmt: skip
    close_record(run, result)
    return result


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What a run learns from: the snapshot's train rows, checked, and the pairs of answers to them."""

    manifest: Manifest
    ranker: Ranker
    rows: Dataset
    checked: CheckedRows
    preferences: PreferenceRows


def _prepare(
    config: DpoConfig, snapshot: Path, start: RunDirectory, material: Material, *, tell: Callable[[str], None]
) -> _Prepared:
    """Return the pairs that rollouts and edits give on a snapshot's rows; UserError when they give none."""
    manifest = read_manifest(snapshot)
    ranker = load_ranker(start, device=config.device)
    require_scale(ranker, manifest)
    shape = shape_of(start)
    rows = load(snapshot, splits=["train"], tiers=config.tiers, has_evidence=shape["has_evidence"])["train"]
    checked = check_rows(
        rows,
        ranker.tokenizer,
        manifest.scale,
        max_length=shape["max_length"],
        max_completion_tokens=shape["max_completion_tokens"],
        has_evidence=shape["has_evidence"],
    )
    golds = golds_of(rows, source_of(manifest.rule_book, rows["fields"]))
    chosen = choose_pairs(rows, golds, material, manifest.scale, weights=config.weights, n_most=config.pairs_per_prompt)
    preferences = encode_pairs(
        chosen,
        dict(zip(rows["pair_id"], fitted_prompts(rows, ranker), strict=True)),
        ranker.tokenizer,
        checked.grade_token_ids,
        max_completion_tokens=shape["max_completion_tokens"],
    )
    _require_pairs(preferences, rows, material, start)
    counted = ", ".join(f"{n} {origin}" for origin, n in preferences.n_by_origin.items() if n)
    tell(f"{len(preferences.pairs)} pairs ({counted}); going on from {start.run_id}")
    return _Prepared(manifest, ranker, rows, checked, preferences)


def _make_trainer(
    config: DpoConfig,
    prepared: _Prepared,
    order: Sequence[int],
    start: RunDirectory,
    run: RunDirectory,
    recorder: DpoRecorder,
) -> PreferenceTrainer:
    device = choose_device(config.device)
    return PreferenceTrainer(
        model=prepared.ranker.model,
        # low-rank weights switched off are the reference; a whole model needs a second one that stays as it was
        ref_model=None if config.lora_rank else load_model(start.model_dir, device=device),
        args=TrlConfig(
            beta=config.beta, weight_decay=0.0, gradient_checkpointing=device == "cuda",
            **planned_settings(config, run.checkpoints_dir, n_visits=len(order), device=device),
        ),
        train_dataset=_dataset(prepared.preferences.pairs),
        processing_class=prepared.ranker.tokenizer,
        peft_config=lora_config(config.lora_rank),
        callbacks=[recorder],
        order=order,
    )  # fmt: skip


def step_load(pairs: Sequence[EncodedPair], config: DpoConfig, device: str) -> Load:
    """Return the longest micro-batch: both sides of the longest pairs."""
    rows = [
        EncodedRow(pair.prompt, side, is_completion_cut=False)
        for pair in pairs
        for side in (pair.chosen, pair.rejected)
    ]
    at_once = config.batch_size * config.accumulation_steps

    def lighter(n: int) -> str:
        size = max(1, n // 2)
        hint = " and lora_rank = 16" if n < 2 else ""
        return f"Set batch_size = {size}, accumulation_steps = {-(-at_once // size)}{hint} in the --config file"

    return Load(
        longest(rows, 2 * config.batch_size), lighter, has_reference=not config.lora_rank,
        is_bfloat16=is_bfloat16(config, device), is_checkpointed=device == "cuda",
    )  # fmt: skip


def _require_pairs(preferences: PreferenceRows, rows: Dataset, material: Material, start: RunDirectory) -> None:
    if preferences.pairs:
        return
    n_sampled = sum(pair_id in material.samples for pair_id in rows["pair_id"])
    why = "; ".join(f"{n} {reason}" for reason, n in preferences.left_out.items())
    raise UserError(
        f"no pair to learn from: of {len(rows)} train rows {n_sampled} have rollouts of {start.run_id}, all of them "
        f"right or none to set beside{' (' + why + ')' if why else ''}, and no edit counts. Sample more, or hotter: "
        f"afrel rollout {start.run_id} --samples 32 --temperature 1.3"
    )


def _dataset(pairs: Sequence[EncodedPair]) -> Dataset:
    return Dataset.from_dict(
        {
            "prompt_ids": [pair.prompt for pair in pairs],
            "chosen_ids": [pair.chosen for pair in pairs],
            "rejected_ids": [pair.rejected for pair in pairs],
        }
    )

"""`afrel check`: everything that can stop a run of `train sft`, tried without training."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from storage.session import Session
from trainers.commands import ConfigOption, JsonOption, ModelOption, SnapshotOption

if TYPE_CHECKING:
    from trainers.preflight.chat_template import ChatForm
    from trainers.preflight.trial import Trial


def check(
    ctx: typer.Context,
    model: ModelOption = None,
    snapshot: SnapshotOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that a model can carry a snapshot's rows: each grade one token, the longest batch in memory, the disk.

    Example: afrel -w shop check --model Qwen/Qwen3-0.6B --snapshot snap_91be4c01d2aa
    """
    import tempfile
    from functools import partial
    from pathlib import Path

    from peft import get_peft_model

    from storage.snapshots.manifest import read_manifest
    from trainers.models.making import lora_config, make_model, make_tokenizer, row_texts
    from trainers.models.pretrained import choose_device, quieten_libraries
    from trainers.models.starting_point import find_start, is_from_tiny
    from trainers.preflight.chat_template import check_chat
    from trainers.preflight.lengths import draw_bins, length_at, length_bins
    from trainers.preflight.memory import find_room
    from trainers.preflight.trial import try_first
    from trainers.prerequisites import find_snapshot
    from trainers.rows.format_check import N_SAMPLE_PROMPTS, check_rows, require_every_grade
    from trainers.rows.snapshot_rows import load
    from trainers.sft.config import read_config
    from trainers.sft.setup import step_load
    from trainers.sft.train import size_config

    session: Session = ctx.obj
    quieten_libraries()
    directory = find_snapshot(session, snapshot, None)
    manifest = read_manifest(directory)
    runs_dir = session.workspace.runs_dir
    asked = read_config(config, {"model": model}, is_tiny=partial(is_from_tiny, runs_dir))
    resolved = size_config(asked, manifest)
    start = find_start(runs_dir, resolved.model)
    named = resolved if start is None else resolved.model_copy(update={"model": str(start.model_dir)})
    device = choose_device(resolved.device)
    rows = load(
        directory,
        splits=["train"],
        tiers=resolved.tiers,
        has_evidence=resolved.has_evidence,
        has_rationale=resolved.has_rationale,
    )["train"]
    require_every_grade(rows, manifest.scale)
    tokenizer = make_tokenizer(named, row_texts(rows))
    checked = check_rows(
        rows,
        tokenizer,
        manifest.scale,
        max_length=resolved.max_length,
        max_completion_tokens=resolved.max_completion_tokens,
        has_evidence=resolved.has_evidence,
    )
    made: Any = make_model(named, tokenizer, device)
    if (lora := lora_config(resolved.lora_rank)) is not None:
        made = get_peft_model(made, lora)
    with tempfile.TemporaryDirectory(prefix=".check-", dir=session.workspace.root) as folder:
        trial = try_first(
            made, step_load(checked.rows, resolved, device), pad_token_id=tokenizer.pad_token_id, folder=Path(folder),
            room=find_room(device, Path(folder)), source=resolved.model,
        )  # fmt: skip
    n = N_SAMPLE_PROMPTS
    chat = check_chat(tokenizer, rows["prompt"][:n], rows["completion"][:n], manifest.scale)
    lengths = [len(row.prompt) + len(row.completion) for row in checked.rows]
    bins = length_bins(lengths)
    tokens = dict(zip(manifest.scale.values, checked.grade_token_ids, strict=True))
    if as_json:
        told = {
            "is_sound": True, "model": resolved.model, "grade_token_ids": tokens, "n_rows": len(checked.rows),
            "n_prompts_cut": checked.n_prompts_cut, "n_completions_cut": checked.n_completions_cut,
            "longest_prompt": checked.longest_prompt, "lengths": [asdict(one) for one in bins],
            "longest_batch": trial.to_content(), "chat": None if chat is None else asdict(chat),
        }  # fmt: skip
        print(json.dumps(told, ensure_ascii=False))
        return
    print(
        f"sound: {resolved.model} says each grade in one token: " + ", ".join(f"{g} → {t}" for g, t in tokens.items())
    )
    print(
        f"{len(checked.rows)} rows · half have up to {length_at(lengths, 0.5)} tokens, 99% up to "
        f"{length_at(lengths, 0.99)}, the longest {max(lengths)} of max_length {resolved.max_length} · "
        f"{checked.n_prompts_cut} prompts and {checked.n_completions_cut} rationales cut"
    )
    print("\n".join(draw_bins(bins)))
    print("\n".join([*_trial_in_words(trial), _chat_in_words(chat)]))


def _trial_in_words(trial: Trial) -> list[str]:
    mib = 2**20
    need = trial.need
    return [
        f"the longest batch, {trial.n_rows} rows of {trial.n_tokens} tokens, went forward and backward in "
        f"{trial.seconds:.2f} s; the weights came back from disk as they were",
        f"memory: about {need.total / mib:.0f} MiB ({need.weights / mib:.0f} weights, {need.gradients / mib:.0f} "
        f"gradients, {need.optimizer / mib:.0f} optimizer, {need.activations / mib:.0f} for the backward pass); "
        f"{trial.room.memory / mib:.0f} MiB free beside the weights",
        f"disk: at most {trial.disk / mib:.0f} MiB of {trial.room.disk / mib:.0f} MiB free",
    ]


def _chat_in_words(chat: ChatForm | None) -> str:
    if chat is None:
        return "chat template: none"
    if not chat.problems:
        options = ", ".join(f"{name} = {str(value).lower()}" for name, value in chat.options.items())
        return f"chat template: carries the rows{' with ' + options if options else ''}"
    return "chat template: does not carry the rows; train and score by plain text only:\n" + "\n".join(
        f"- {problem}" for problem in chat.problems
    )

"""`afrel check`: everything that can stop a run of `train sft`, tried without training."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.config_schema import Schema, schema_option
from storage.session import Session
from trainers.commands import ConfigOption, JsonOption, ModelOption, SnapshotOption

if TYPE_CHECKING:
    from pathlib import Path

    from trainers.preflight.chat_template import ChatForm
    from trainers.preflight.trial import Trial
    from trainers.sft.preparation import Prepared


def _sft_schema() -> Schema:
    from trainers.sft.config import SftConfig

    return SftConfig.model_json_schema()


def check(
    ctx: typer.Context,
    model: ModelOption = None,
    snapshot: SnapshotOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    _schema: Annotated[bool, schema_option("the configuration, that of train sft", _sft_schema)] = False,
) -> None:
    """Check that a model can carry a snapshot's rows: each grade one token, the longest batch in memory, the disk.

    Example: afrel -w shop check --model Qwen/Qwen3-0.6B --snapshot snap_91be4c01d2aa
    """
    from functools import partial

    from trainers.models.starting_point import is_from_tiny
    from trainers.preflight.chat_template import check_chat
    from trainers.prerequisites import find_snapshot
    from trainers.rows.format_check import N_SAMPLE_PROMPTS
    from trainers.sft.config import read_config
    from trainers.sft.preparation import prepare

    session: Session = ctx.obj
    directory = find_snapshot(session, snapshot, None)
    runs_dir = session.workspace.runs_dir
    asked = read_config(config, {"model": model}, is_tiny=partial(is_from_tiny, runs_dir))
    prepared = prepare(asked, directory, runs_dir=runs_dir, tell=_keep_quiet)
    trial = _try(prepared, session.workspace.root)
    sample = prepared.rows[:N_SAMPLE_PROMPTS]
    chat = check_chat(prepared.tokenizer, sample["prompt"], sample["completion"], prepared.manifest.scale)
    if as_json:
        print(json.dumps(_content(prepared, trial, chat), ensure_ascii=False))
    else:
        print("\n".join([*_rows_in_words(prepared), *_trial_in_words(trial), _chat_in_words(chat)]))


def _keep_quiet(line: str) -> None:
    """Tell nothing: a check takes seconds."""


def _try(prepared: Prepared, folder: Path) -> Trial:
    """Take the longest batch through a step, and the weights to disk in a folder of their own and back."""
    import tempfile
    from pathlib import Path

    from peft import get_peft_model

    from trainers.models.making import lora_config
    from trainers.preflight.memory import find_room
    from trainers.preflight.trial import try_first
    from trainers.sft.setup import step_load

    model: Any = prepared.make_model()
    if (lora := lora_config(prepared.config.lora_rank)) is not None:
        model = get_peft_model(model, lora)
    with tempfile.TemporaryDirectory(prefix=".check-", dir=folder) as name:
        return try_first(
            model, step_load(prepared.checked.rows, prepared.config, prepared.device),
            pad_token_id=prepared.tokenizer.pad_token_id, folder=Path(name),
            room=find_room(prepared.device, Path(name)), source=prepared.config.model,
        )  # fmt: skip


def _grade_tokens(prepared: Prepared) -> dict[int, int]:
    return dict(zip(prepared.manifest.scale.values, prepared.checked.grade_token_ids, strict=True))


def _lengths(prepared: Prepared) -> list[int]:
    return [len(row.prompt) + len(row.completion) for row in prepared.checked.rows]


def _content(prepared: Prepared, trial: Trial, chat: ChatForm | None) -> dict[str, Any]:
    from trainers.preflight.lengths import length_bins

    checked = prepared.checked
    return {
        "is_sound": True, "model": prepared.config.model, "grade_token_ids": _grade_tokens(prepared),
        "n_rows": len(checked.rows), "n_prompts_cut": checked.n_prompts_cut,
        "n_completions_cut": checked.n_completions_cut, "longest_prompt": checked.longest_prompt,
        "lengths": [asdict(one) for one in length_bins(_lengths(prepared))],
        "longest_batch": trial.to_content(), "chat": None if chat is None else asdict(chat),
    }  # fmt: skip


def _rows_in_words(prepared: Prepared) -> list[str]:
    from trainers.preflight.lengths import draw_bins, length_at, length_bins

    checked, lengths = prepared.checked, _lengths(prepared)
    said = ", ".join(f"{grade} → {token}" for grade, token in _grade_tokens(prepared).items())
    return [
        f"sound: {prepared.config.model} says each grade in one token: {said}",
        f"{len(checked.rows)} rows · half have up to {length_at(lengths, 0.5)} tokens, 99% up to "
        f"{length_at(lengths, 0.99)}, the longest {max(lengths)} of max_length {prepared.config.max_length} · "
        f"{checked.n_prompts_cut} prompts and {checked.n_completions_cut} rationales cut",
        *draw_bins(length_bins(lengths)),
    ]


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

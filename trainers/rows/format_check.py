"""Proof, before any training, that a tokenizer can carry answer-first rows.

Each grade must be one token, the same in every prompt and distinct from the others, in the very place where it will be
generated; no cutting may remove it; the tokens must read back as the completion. All problems are told at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from curation.completion import parse
from curation.prompt_parts import prompt_parts
from storage.errors import UserError
from storage.grades import Scale
from trainers.rows.encoding import EncodedRow, count_tokens, encode_rows, fit_prompt
from trainers.rows.grade_tokens import Problems, grade_tokens

N_SAMPLE_PROMPTS = 8


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """Rows that passed. `grade_token_ids` runs parallel to the scale's values."""

    rows: list[EncodedRow]
    grade_token_ids: tuple[int, ...]
    n_prompts_cut: int
    n_completions_cut: int
    longest_prompt: int


def check_rows(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    scale: Scale,
    *,
    max_length: int,
    max_completion_tokens: int,
    has_evidence: bool = True,
) -> CheckedRows:
    """Encode every row and prove it sound; one UserError that lists all problems."""
    require_end_of_text(tokenizer)
    max_prompt_tokens = max_length - max_completion_tokens
    problems: Problems = {}
    prompts, n_cut = _fit_prompts(rows, tokenizer, max_prompt_tokens, problems, has_evidence=has_evidence)
    sampled = prompts[:: max(1, len(prompts) // N_SAMPLE_PROMPTS)]
    ids = grade_tokens(sampled, lambda text: list(tokenizer(text)["input_ids"]), tokenizer, scale, problems)
    encoded = encode_rows(prompts, rows["completion"], tokenizer, max_completion_tokens=max_completion_tokens)
    whole = [row for row in encoded if row is not None and not row.is_completion_cut]
    texts = iter(tokenizer.batch_decode([row.completion for row in whole], skip_special_tokens=True))
    for row_hash, grade, completion, row in zip(
        rows["row_hash"], rows["grade"], rows["completion"], encoded, strict=True
    ):
        if row is None:
            _add(problems, "the prompt's tokens are no prefix of the whole row's", row_hash)
            continue
        if ids and row.completion[0] != ids[scale.position(grade)]:
            _add(problems, "the first token of the completion is not the grade's", row_hash)
        if not row.is_completion_cut and parse(next(texts), scale) != parse(completion, scale):
            _add(problems, "the tokens do not read back as the completion", row_hash)
    if problems:
        raise UserError(_tell(problems))
    sound = [row for row in encoded if row is not None]
    return CheckedRows(
        sound, ids, n_cut, sum(row.is_completion_cut for row in sound), max(len(row.prompt) for row in sound)
    )


def require_end_of_text(tokenizer: PreTrainedTokenizerBase) -> None:
    """Return when a tokenizer can say that a text ends."""
    if tokenizer.eos_token_id is None:
        raise UserError("the tokenizer has no end-of-text token, so no text could end. Choose another --model")


def require_every_grade(rows: Dataset, scale: Scale) -> None:
    """Return when each grade has a train row; UserError names those that have none and so could not be learnt."""
    held = set(rows["grade"])
    missing = [f"{grade} ({scale.name(grade)})" for grade in scale.values if grade not in held]
    if missing:
        raise UserError(
            f"none of the {len(rows)} train rows in tiers {sorted(set(rows['tier']))} has the grade "
            f"{', '.join(missing)}, so the model could not learn it. Train on more tiers (tiers = [1, 2, 3]), or "
            "settle such pairs and cut anew: afrel tier, then afrel snapshot"
        )


def _fit_prompts(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    problems: Problems,
    *,
    has_evidence: bool,
) -> tuple[list[str], int]:
    """Return the prompts cut to size and how many were cut."""
    prompts = list(rows["prompt"])
    n_cut = 0
    for at, ids in enumerate(tokenizer(prompts)["input_ids"]):
        if len(ids) <= max_tokens:
            continue
        row = rows[at]
        fitted = fit_prompt(prompt_parts(row, has_evidence=has_evidence), tokenizer, max_tokens)
        if fitted is None:
            n_tokens = count_tokens(row["query"], tokenizer)
            _add(
                problems,
                f"query and evidence alone exceed {max_tokens} prompt tokens",
                f"{row['row_hash']} ({n_tokens})",
            )
        else:
            prompts[at], n_cut = fitted, n_cut + 1
    return prompts, n_cut


def _add(problems: Problems, problem: str, where: str) -> None:
    problems.setdefault(problem, []).append(where)


def _tell(problems: Problems) -> str:
    lines = [f"- {what}: {len(set(where))}×, e.g. {where[0]}" for what, where in problems.items()]
    return (
        "this model cannot carry answer-first rows:\n"
        + "\n".join(lines)
        + ("\nChoose another --model, or raise max_length; look again with: afrel check --model M --snapshot S")
    )

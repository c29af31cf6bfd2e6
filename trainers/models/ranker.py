"""A finished run as something that grades pairs: model, tokenizer, and how its prompts were made in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from curation.prompt_parts import PromptParts, prompt_parts
from storage.errors import UserError
from storage.grades import Scale
from storage.snapshots.manifest import Manifest
from trainers.models.pretrained import choose_device, load_model, load_tokenizer
from trainers.models.scoring import score_texts
from trainers.models.starting_point import require_finished, require_grader
from trainers.rows.encoding import fit_prompt
from trainers.rows.evidence_source import EvidenceSource, read_source
from trainers.runs.directory import RunDirectory

BATCH_SIZE = 128


@dataclass(frozen=True, slots=True)
class Ranker:
    """A trained model with all that scoring needs. Prompts are cut as they were in training."""

    run_id: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    scale: Scale
    grade_token_ids: tuple[int, ...]
    has_evidence: bool
    evidence: EvidenceSource
    max_prompt_tokens: int

    def score(self, pairs: Sequence[PromptParts], *, names: Sequence[str]) -> NDArray[np.float64]:
        """Return grade probabilities (n, K). `names` tell the user which pair cannot be scored, in a UserError."""
        prompts = []
        for parts, name in zip(pairs, names, strict=True):
            prompt = fit_prompt(parts, self.tokenizer, self.max_prompt_tokens)
            if prompt is None:
                raise UserError(
                    f"{name}: its query alone fills the {self.max_prompt_tokens} prompt tokens of {self.run_id}. "
                    "Shorten the query, or train with a larger max_length"
                )
            prompts.append(prompt)
        return score_texts(self.model, self.tokenizer, prompts, self.grade_token_ids, BATCH_SIZE)


def load_ranker(run: RunDirectory, *, device: str = "auto") -> Ranker:
    """Load a finished run that grades; UserError when it is unfinished, altered, or has only read texts."""
    described = require_finished(run)
    require_grader(run)
    config = described["config"]
    return Ranker(
        run.run_id,
        load_model(run.model_dir, device=choose_device(device)),
        load_tokenizer(str(run.model_dir)),
        Scale(tuple(described["scale"]["values"]), tuple(described["scale"]["names"])),
        tuple(described["grade_token_ids"]),
        config["has_evidence"],
        read_source(run.model_dir),
        config["max_length"] - config["max_completion_tokens"],
    )


def fitted_prompts(rows: Dataset, ranker: Ranker) -> list[str]:
    """Return the prompts of snapshot rows as the model knows them, cut to size; all fit once `check_rows` passed."""
    parts = [prompt_parts(row, has_evidence=ranker.has_evidence) for row in rows]
    prompts = [fit_prompt(one, ranker.tokenizer, ranker.max_prompt_tokens) for one in parts]
    return [prompt for prompt in prompts if prompt is not None]


def require_scale(ranker: Ranker, manifest: Manifest) -> None:
    """Return when a run was trained on a snapshot's grades; UserError names both scales."""
    if ranker.scale != manifest.scale:
        raise UserError(
            f"{ranker.run_id} was trained on the grades {ranker.scale.values}, snapshot {manifest.snapshot_id} has "
            f"{manifest.scale.values}. Train on it first: afrel train sft --snapshot {manifest.snapshot_id}"
        )

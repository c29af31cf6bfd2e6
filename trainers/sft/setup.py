"""What the loop of `train sft` takes: the order of visits, the rows as a dataset, the longest batch, TRL's settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset
from trl import SFTConfig as TrlConfig

from storage.ids import digest
from trainers.launching.processes import processes, share_of_batch
from trainers.models.making import is_checkpointed
from trainers.objectives.losses import IGNORED
from trainers.order.curriculum import StageSteps, plan_stages, stage_steps
from trainers.order.visits import Visit, plan_visits
from trainers.preflight.trial import Load, longest
from trainers.rows.encoding import EncodedRow
from trainers.rows.format_check import CheckedRows
from trainers.rows.packing import fit
from trainers.rows.padding import FILLER
from trainers.runs.frame import is_bfloat16, planned_settings
from trainers.sft.config import SizedSftConfig
from trainers.sft.preparation import Prepared


@dataclass(frozen=True, slots=True)
class Order:
    """Every visit to a row, in order, and the steps of each stage; `digest` also covers the rows' tokens."""

    visits: Sequence[Visit]
    steps: Sequence[StageSteps]
    digest: str


def plan(prepared: Prepared) -> Order:
    """Return the order in which a run visits its rows, as its seed decides."""
    config, checked = prepared.config, prepared.checked
    random = np.random.default_rng(config.seed)
    step_size = config.batch_size * config.accumulation_steps
    stages = plan_stages(
        prepared.rows["tier"],
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
    tokens = [[row.prompt, row.completion] for row in checked.rows]
    return Order(visits, stage_steps(stages, step_size), digest(tokens + [[v.row, v.has_rationale] for v in visits]))


def step_load(rows: Sequence[EncodedRow], config: SizedSftConfig, device: str) -> Load:
    """Return the longest micro-batch of a process, and how to make it lighter."""
    at_once = config.batch_size * config.accumulation_steps

    def lighter(n: int) -> str:
        size = n * processes().n
        return f"Set batch_size = {size} and accumulation_steps = {-(-at_once // size)} in the --config file"

    heaviest = longest(rows, share_of_batch(config.batch_size))
    return Load(
        packed(heaviest, config.max_length) if config.packing else heaviest,
        lighter,
        is_bfloat16=is_bfloat16(config, device),
        is_checkpointed=is_checkpointed(config, device),
    )


def packed(rows: Sequence[EncodedRow], max_length: int) -> list[EncodedRow]:
    """Return rows as they lie packed, for a trial: each token a target, for where the targets lie differs by row."""
    whole = [row.prompt + row.completion for row in rows]
    lines = fit([len(row) for row in whole], max_length=max_length)
    joined = [[token for at in line for token in whole[at]] for line in lines]
    return [EncodedRow(line[:1], line[1:], is_completion_cut=False) for line in joined]


def training_rows(checked: CheckedRows) -> Dataset:
    """Return two dataset rows a row: 2i holds the grade alone, 2i + 1 the whole completion. The last is a filler."""
    completions = [(row.prompt, ids) for row in checked.rows for ids in (row.completion[:1], row.completion)]
    first = checked.rows[0]
    completions.append((first.prompt[:1], first.completion[:1]))
    return Dataset.from_dict(
        {
            "input_ids": [prompt + ids for prompt, ids in completions],
            "labels": [[IGNORED] * len(prompt) + ids for prompt, ids in completions],
            "row": [*(at // 2 for at in range(len(completions) - 1)), FILLER],
        }
    )


def trl_config(config: SizedSftConfig, checkpoints: Path, *, n_visits: int, device: str) -> TrlConfig:
    """Return TRL's configuration of a run over so many visits."""
    return TrlConfig(
        weight_decay=config.weight_decay,
        adam_beta2=0.95,
        gradient_checkpointing=is_checkpointed(config, device),
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        **planned_settings(config, checkpoints, n_visits=n_visits, device=device),
    )

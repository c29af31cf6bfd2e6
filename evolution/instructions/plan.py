"""What a run of evolution works with: models, operators, sizes, limits; all that decides its outcome is in `config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evolution.calls.budget import Limits
from evolution.calls.prices import Price
from evolution.instructions.desk import ServedRole
from evolution.prompts import load_prompt
from storage.grades import Scale
from storage.ids import digest

MODEL_FREE = "lexical"
POPULATION = 3
PATIENCE = 2  # generations in a row that accept nothing
ROUNDS = 3  # over the operators in one generation, at most: one that has nothing to offer is passed over


@dataclass(frozen=True, slots=True)
class EvolvePlan:
    """What a run works with. `writers` are the models that write edits, by role; none: the model-free forms."""

    scale: Scale
    labeller: ServedRole
    writers: Mapping[str, ServedRole]
    operators: tuple[str, ...]
    n_generations: int
    n_edits: int
    n_pairs: int
    spool_dir: Path
    limits: Limits = field(default_factory=Limits)
    prices: Mapping[str, Price] = field(default_factory=dict)
    ceiling: int = 64

    @property
    def proposer(self) -> str:
        """Who writes the edits."""
        return self.writers["evolver"].name if self.writers else MODEL_FREE

    def config(self) -> dict[str, Any]:
        """Return what decides the outcome, for the run's row and for telling a second run from a first."""
        roles = {"label": self.labeller, **self.writers}
        prompts = ["label", "label_pair"]
        if self.writers:
            prompts += ["evolve", *(f"evolve_{name}" for name in self.operators)]
        return {
            "operators": list(self.operators),
            "generations": self.n_generations,
            "edits": self.n_edits,
            "pairs": self.n_pairs,
            "proposer": self.proposer,
            "prompts": digest([load_prompt(name).digest for name in prompts]),
            "models": {
                work: {"model": role.name, "parameters": dict(role.parameters), "seed": role.seed}
                for work, role in roles.items()
            },
        }

"""What an operator may look at when it edits an instruction, and what it returns.

Only train pairs stand in a situation: what the instruction got wrong of those it was scored on, and the judged ones it
may quote. Dev decides later and is shown to nobody who writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from evolution.instructions.sections import Sections, parse_sections
from evolution.instructions.train_search import TrainSearch
from evolution.rules.disagreements import Cluster, cluster_disagreements
from storage.grades import Scale
from storage.ids import content_id

MAX_CLUSTERS = 12


@dataclass(frozen=True, slots=True)
class Version:
    """An instruction: its text and how many edits it is from the experts' first."""

    text: str
    generation: int

    @property
    def instruction_id(self) -> str:
        """Its content id."""
        return content_id("i", self.text)


@dataclass(frozen=True)
class Errors:
    """What labelling under an instruction got wrong: `said` are the grades it gave some of the judged train pairs.

    `train` are judged train pairs with texts, features and grade.
    """

    train: pl.DataFrame
    said: Mapping[str, int]

    @cached_property
    def wrong(self) -> pl.DataFrame:
        """The train pairs labelled another grade than they are judged, with a column `said`."""
        said = pl.DataFrame(
            {"pair_id": list(self.said), "said": list(self.said.values())},
            schema={"pair_id": pl.String, "said": pl.Int64},
        )
        found = self.train.join(said, on="pair_id", how="inner", maintain_order="left")
        return found.filter(pl.col("said") != pl.col("grade"))

    @cached_property
    def clusters(self) -> tuple[Cluster, ...]:
        """The wrong pairs gathered by how they are wrong and how they look, the largest cluster first."""
        if self.wrong.is_empty():
            return ()
        found = self.wrong.with_columns(
            source=pl.lit("human-machine"), settled_grade=pl.col("grade"), said_grades=pl.concat_list("said")
        )
        return cluster_disagreements(found, max_clusters=MAX_CLUSTERS).clusters


@dataclass(frozen=True)
class Situation:
    """A parent to be edited, and its errors. `other` is the second parent of a merge.

    `attempt` counts this operator's earlier edits of this parent, so that each takes another occasion.
    """

    parent: Version
    other: Version | None
    errors: Errors
    scale: Scale
    search: TrainSearch
    attempt: int = 0

    @cached_property
    def sections(self) -> Sections:
        """The parent's text in its parts."""
        return parse_sections(self.parent.text)


@dataclass(frozen=True, slots=True)
class Written:
    """An edited instruction, what was changed in words, and the train pairs the edit was made from."""

    text: str
    change: str
    pair_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an operator has no edit to offer here."""

    reason: str

"""The methods of `afrel train`: what configures each, what names a run of it, and what trains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import UserError
from storage.session import Session

if TYPE_CHECKING:
    from storage.snapshots.manifest import Manifest
    from trainers.configuration.loop import LoopConfig
    from trainers.dpo.material import Material


class Method(StrEnum):
    """How to train."""

    SFT = "sft"
    DAPT = "dapt"
    DPO = "dpo"
    GRPO = "grpo"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run to be: its configuration in full, the key that names it, and what trains it, given `run` and `tell`."""

    config: LoopConfig
    key: str
    train: Callable[..., object]


def configuration_of(method: Method) -> type[LoopConfig]:
    """Return what `--config` of a method holds."""
    if method is Method.SFT:
        from trainers.sft.config import SftConfig

        return SftConfig
    if method is Method.DAPT:
        from trainers.dapt.config import DaptConfig

        return DaptConfig
    if method is Method.DPO:
        from trainers.dpo.config import DpoConfig

        return DpoConfig
    from trainers.grpo.config import GrpoConfig

    return GrpoConfig


def read_configuration(method: Method, path: Path | None, overrides: Mapping[str, Any], runs_dir: Path) -> LoopConfig:
    """Read a method's configuration, the command line's options over the file's; UserError with all mistakes."""
    from trainers.dapt import config as dapt_config
    from trainers.dpo import config as dpo_config
    from trainers.grpo import config as grpo_config
    from trainers.models.starting_point import is_from_tiny
    from trainers.sft import config as sft_config

    if method is Method.SFT:
        return sft_config.read_config(path, overrides, is_tiny=partial(is_from_tiny, runs_dir))
    if method is Method.DAPT:
        return dapt_config.read_config(path, overrides, is_tiny=partial(is_from_tiny, runs_dir))
    if method is Method.DPO:
        return dpo_config.read_config(path, overrides)
    return grpo_config.read_config(path, overrides)


def plan_run(
    session: Session, config: LoopConfig, directory: Path, manifest: Manifest, runs_dir: Path, *, is_away: bool
) -> Plan:
    """Return the run a configuration asks for on a verified snapshot.

    is_away: from the workspace, whose store is not to be read then. UserError for a model that is none, and for dpo
    without rollouts or edits.
    """
    from trainers.dapt.config import DaptConfig
    from trainers.dpo.config import DpoConfig
    from trainers.grpo.config import GrpoConfig
    from trainers.models.starting_point import find_start, open_grader
    from trainers.sft.config import SftConfig

    if isinstance(config, SftConfig):
        from trainers.sft import train as sft
        from trainers.sft.preparation import size_config

        sized = size_config(config, manifest)
        key = sft.run_key(sized, manifest, find_start(runs_dir, sized.model))
        return Plan(sized, key, partial(sft.train, sized, directory))
    if isinstance(config, DaptConfig):
        from trainers.dapt import train as dapt

        key = dapt.run_key(config, manifest, find_start(runs_dir, config.model))
        return Plan(config, key, partial(dapt.train, config, directory))
    if isinstance(config, DpoConfig):
        from trainers.dpo import train as dpo

        start = open_grader(runs_dir, config.model)
        material = _material(session, start.run_id, has_edits=config.has_edits, is_away=is_away)
        key = dpo.run_key(config, manifest, start, material)
        return Plan(config, key, partial(dpo.train, config, directory, start, material))
    from trainers.grpo import train as grpo

    assert isinstance(config, GrpoConfig)
    start = open_grader(runs_dir, config.model)
    return Plan(config, grpo.run_key(config, manifest, start), partial(grpo.train, config, directory, start))


def _material(session: Session, run_id: str, *, has_edits: bool, is_away: bool) -> Material:
    """Return what the store holds for a run to learn preferences from; UserError when it holds nothing."""
    from trainers.dpo.material import read_material

    if is_away:
        raise UserError(
            "train dpo reads rollouts and edits from the workspace's store, and --pins is for training away from it. "
            "Leave --pins out: afrel train dpo --model RUN"
        )
    with session.store() as store:
        material = read_material(store, run_id, has_edits=has_edits)
    if not material.samples and not material.edits:
        raise UserError(
            f"{run_id} has no rollouts on train pairs yet, and there are no edits. Sample: afrel rollout {run_id}"
        )
    return material

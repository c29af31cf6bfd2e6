"""What `--launcher accelerate[:CONFIG]` asks for, and what of it can be had for a run.

The shipped configurations are files of accelerate's own form; a user's own is named by its path. What does not work in
several processes is refused here, before anything is started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import torch
import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.utils import ComputeEnvironment, DistributedType

from storage.errors import UserError
from trainers.configuration.loop import LoopConfig, PlannedConfig
from trainers.models.pretrained import choose_device

SHIPPED = ("cpu", "fsdp", "zero2", "zero3")
_FOLDER = Path(__file__).parent / "configs"


class Spread(StrEnum):
    """What the processes share out: rows alone (each holds the whole model), or the weights as well."""

    ROWS = "rows"
    WEIGHTS = "weights"


@dataclass(frozen=True, slots=True)
class Launch:
    """A checked accelerate configuration. n: how many processes."""

    path: Path
    n: int
    is_cpu: bool
    spread: Spread


def shipped_config(name: str) -> Path:
    """Return the file of a shipped configuration."""
    return _FOLDER / f"{name}.yaml"


def choose_launch(asked: str, method: str, config: LoopConfig) -> Launch:
    """Return how a run is launched; UserError for what cannot be had, with what to change."""
    launcher, _, named = asked.partition(":")
    if launcher != "accelerate":
        raise UserError(
            f"--launcher {asked} is unknown. Give --launcher accelerate, or name a configuration: --launcher "
            f"accelerate:NAME, where NAME is {', '.join(SHIPPED)} or a file of `accelerate config`"
        )
    device = choose_device(config.device)
    named = named or ("cpu" if device == "cpu" else "fsdp")
    path = shipped_config(named) if named in SHIPPED else Path(named)
    launch = _checked(path)
    _require_possible(launch, method, config, device)
    return launch


def _checked(path: Path) -> Launch:
    try:
        read = load_config_from_file(str(path))
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"the accelerate configuration {path} cannot be read: {reason}. Shipped are {', '.join(SHIPPED)}; write "
            "one of your own by accelerate config --config_file FILE"
        ) from error
    if not isinstance(read, ClusterConfig) or read.compute_environment is not ComputeEnvironment.LOCAL_MACHINE:
        raise UserError(
            f"{path} is for a rented cluster. Processes are started on this machine: accelerate:cpu, …:fsdp"
        )
    if read.num_machines > 1:
        raise UserError(
            f"{path} has num_machines = {read.num_machines}, and the processes of a run share this machine's disk. Set "
            "num_machines: 1"
        )
    kinds = {
        DistributedType.MULTI_CPU: Spread.ROWS,
        DistributedType.MULTI_GPU: Spread.ROWS,
        DistributedType.FSDP: Spread.WEIGHTS,
        DistributedType.DEEPSPEED: Spread.WEIGHTS,
    }
    if read.distributed_type not in kinds:
        raise UserError(
            f"{path} has distributed_type {read.distributed_type.value}. Known are "
            f"{', '.join(kind.value for kind in kinds)}"
        )
    is_cpu = read.distributed_type is DistributedType.MULTI_CPU
    n = read.num_processes
    if n < 1:
        n = 2 if is_cpu else torch.cuda.device_count()
    if read.distributed_type is DistributedType.DEEPSPEED and find_spec("deepspeed") is None:
        raise UserError(f"{path} needs DeepSpeed, which is not installed. Install it: pip install deepspeed")
    return Launch(path, n, is_cpu, kinds[read.distributed_type])


def _require_possible(launch: Launch, method: str, config: LoopConfig, device: str) -> None:
    problems = list(_problems(launch, method, config, device))
    if problems:
        raise UserError("; ".join(problems) + ". Or train in one process: leave --launcher out")


def _problems(launch: Launch, method: str, config: LoopConfig, device: str) -> Sequence[str]:
    if method not in ("sft", "dapt"):
        what = (
            "samples, judges and refills groups" if method == "grpo" else "weighs a batch of pairs against a reference"
        )
        return [f"train {method} {what} in one process only; several are for train sft and train dapt"]
    found = []
    if launch.is_cpu and device != "cpu":
        found.append(f'{launch.path.name} is for CPUs and this run computes on a GPU: set device = "cpu"')
    if not launch.is_cpu and device == "cpu":
        found.append(f"{launch.path.name} is for GPUs and this run computes on a CPU: --launcher accelerate:cpu")
    if not launch.is_cpu and launch.n > torch.cuda.device_count():
        found.append(f"{launch.path.name} wants {launch.n} GPUs and there are {torch.cuda.device_count()}")
    if launch.spread is Spread.WEIGHTS:
        if method == "dapt":
            found.append("train dapt measures perplexity on whole weights, which are spread over processes here")
        if isinstance(config, PlannedConfig) and config.lora_rank:
            found.append("low-rank weights cannot be merged while they are spread over processes: lora_rank = 0")
    return found

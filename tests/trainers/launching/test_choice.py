"""The shipped configurations are read by accelerate's own loader and launcher; what cannot be had is refused first."""

from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType

from storage.errors import UserError
from trainers.dapt.config import DaptConfig
from trainers.dpo.config import DpoConfig
from trainers.grpo.config import GrpoConfig
from trainers.launching.choice import SHIPPED, Launch, Spread, choose_launch, shipped_config
from trainers.launching.launcher import launch_command
from trainers.sft.config import SftConfig

CPU = SftConfig(device="cpu")


def test_every_shipped_file_is_named_and_every_name_has_a_file() -> None:
    folder = shipped_config("cpu").parent
    assert {path.stem for path in folder.iterdir()} == set(SHIPPED)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cpu", DistributedType.MULTI_CPU),
        ("fsdp", DistributedType.FSDP),
        ("zero2", DistributedType.DEEPSPEED),
        ("zero3", DistributedType.DEEPSPEED),
    ],
)
def test_accelerate_reads_what_is_shipped(name: str, kind: DistributedType) -> None:
    read = load_config_from_file(str(shipped_config(name)))
    assert isinstance(read, ClusterConfig)
    assert (read.distributed_type, read.num_machines) == (kind, 1)


def test_accelerate_s_launcher_takes_every_key_of_the_gpu_configurations() -> None:
    """A key it does not know would be dropped without a word: what it made of each is compared."""
    made = {}
    for name in ("fsdp", "zero2", "zero3"):
        words = ["--config_file", str(shipped_config(name)), "--num_processes", "2", "train.py"]
        made[name], _, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    assert made["fsdp"].use_fsdp and made["fsdp"].fsdp_version == 2 and made["fsdp"].mixed_precision == "bf16"
    assert made["fsdp"].fsdp_auto_wrap_policy == "TRANSFORMER_BASED_WRAP"
    assert made["fsdp"].fsdp_state_dict_type == "FULL_STATE_DICT"
    assert [made[name].use_deepspeed for name in ("zero2", "zero3")] == [True, True]
    assert [made[name].zero_stage for name in ("zero2", "zero3")] == [2, 3]
    assert made["zero3"].zero3_save_16bit_model is True  # or nothing could be kept of the weights
    for name, args in made.items():
        read = load_config_from_file(str(shipped_config(name)))
        for key, value in {**read.fsdp_config, **read.deepspeed_config}.items():
            assert getattr(args, key) == value, (name, key)


def test_processes_on_a_cpu_are_launched_by_pytorch_and_those_on_gpus_by_accelerate() -> None:
    cpu = launch_command(Launch(shipped_config("cpu"), 2, True, Spread.ROWS), Path("task.json"))
    assert cpu[3:7] == ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    assert cpu[7:] == ["-m", "trainers.launching.worker", "task.json"]
    gpu = launch_command(Launch(shipped_config("fsdp"), 4, False, Spread.WEIGHTS), Path("task.json"))
    assert gpu[3] == "accelerate.commands.launch" and gpu[-3:] == ["-m", "trainers.launching.worker", "task.json"]
    parsed = launch_command_parser().parse_args(gpu[4:])
    assert (parsed.num_processes, parsed.training_script, parsed.module) == (4, "trainers.launching.worker", True)


def test_a_cpu_gets_two_processes_unless_told_otherwise(tmp_path: Path) -> None:
    assert choose_launch("accelerate", "sft", CPU) == Launch(shipped_config("cpu"), 2, True, Spread.ROWS)
    own = tmp_path / "four.yaml"
    own.write_text(shipped_config("cpu").read_text().replace("num_processes: 2", "num_processes: 4"))
    assert choose_launch(f"accelerate:{own}", "dapt", DaptConfig(device="cpu")).n == 4


@pytest.mark.parametrize(
    ("method", "config"),
    [("dpo", DpoConfig(model="run_1", device="cpu")), ("grpo", GrpoConfig(model="run_1", device="cpu"))],
)
def test_a_method_that_works_in_one_process_only_says_so(method: str, config: DpoConfig | GrpoConfig) -> None:
    with pytest.raises(UserError, match=rf"train {method} .* in one process only.*leave --launcher out"):
        choose_launch("accelerate", method, config)


def test_what_is_no_launcher_or_no_configuration_is_told_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--launcher torchrun is unknown.*accelerate:NAME"):
        choose_launch("torchrun", "sft", CPU)
    with pytest.raises(UserError, match=r"cannot be read.*Shipped are cpu, fsdp, zero2, zero3"):
        choose_launch("accelerate:fdsp", "sft", CPU)
    for text in ("", "- 1", "distributed_type: NOPE\n", "{", "distributed_type: MULTI_CPU\nnum_proceses: 2\n"):
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        with pytest.raises(UserError, match=r"bad\.yaml"):
            choose_launch(f"accelerate:{path}", "sft", CPU)


def test_several_machines_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    path.write_text("distributed_type: MULTI_CPU\nnum_machines: 2\nnum_processes: 4\n")
    with pytest.raises(UserError, match=r"num_machines = 2.*Set num_machines: 1"):
        choose_launch(f"accelerate:{path}", "sft", CPU)


def test_a_configuration_for_gpus_is_refused_on_a_cpu_with_all_that_is_in_the_way() -> None:
    config = SftConfig(device="cpu", lora_rank=4)
    with pytest.raises(UserError) as raised:
        choose_launch("accelerate:fsdp", "sft", config)
    told = str(raised.value)
    assert "accelerate:cpu" in told and "lora_rank = 0" in told


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_deepspeed_is_asked_for_when_it_is_missing() -> None:
    with pytest.raises(UserError, match="pip install deepspeed"):
        choose_launch("accelerate:zero3", "sft", CPU)

"""What can go wrong in a run, each really tried: it stops with the place and the remedy, and what is kept is kept."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from storage.errors import UserError
from tests.trainers.conftest import SCALE, SMALL
from tests.trainers.preflight.test_saving import files_up_to
from trainers.dpo.material import Material, choose_pairs
from trainers.grpo import train as grpo
from trainers.grpo.config import GrpoConfig
from trainers.grpo.judging import judge
from trainers.models.ranker import load_ranker
from trainers.objectives import answer_quality, rewards
from trainers.objectives.rewards import Gold
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory, checkpoint_step
from trainers.sft.config import SftConfig
from trainers.sft.train import train

SHORT: dict[str, Any] = SMALL | {"epochs": 1}  # 15 steps, a checkpoint after each fifth


def _plant_nan(path: Path) -> str:
    weights = load_file(path)
    name = sorted(weights)[0]
    weights[name].view(-1)[3] = torch.nan
    save_file(weights, path, metadata={"format": "pt"})
    return name


def test_a_model_with_a_weight_that_is_no_number_trains_nothing_and_the_weight_is_named(trained, tmp_path) -> None:
    folder = tmp_path / "planted"
    shutil.copytree(trained.run.model_dir, folder)
    name = _plant_nan(folder / "model.safetensors")
    run = RunDirectory(tmp_path / "run_1")
    with pytest.raises(UserError, match=rf"planted: 1 of \d+ weights of {name} are not finite.*Take another --model"):
        train(SftConfig(**SHORT | {"model": str(folder)}), trained.snapshot.directory, run=run, tell=[].append)
    assert not run.model_dir.exists() and list(run.checkpoints_dir.glob("*")) == []


def test_a_disk_that_fills_when_the_model_is_saved_keeps_every_step_and_a_checkpoint_that_is_altered_is_passed_over(
    trained, tmp_path
) -> None:
    """Checkpoints of low-rank weights are small and the merged model is not: the kernel lets no file grow to its size.

    Then a NaN is planted in the last checkpoint by hand.
    """
    n_bytes = (trained.run.model_dir / "model.safetensors").stat().st_size
    run = RunDirectory(tmp_path / "run_1")
    config = SftConfig(**SHORT | {"model": str(trained.run.model_dir), "lora_rank": 1})
    with (
        files_up_to(n_bytes * 9 // 10),
        pytest.raises(UserError, match=r"the disk failed while run_1 .*Kept is the checkpoint of step 15"),
    ):
        train(config, trained.snapshot.directory, run=run, tell=[].append)
    assert run.read()["status"] == "running" and len(run.read_metrics()) == 15

    last = run.last_checkpoint()
    assert last is not None and checkpoint_step(last) == 15
    _plant_nan(last / "adapter_model.safetensors")
    result = train(config, trained.snapshot.directory, run=run, tell=[].append)
    assert (result.resumed_from, result.n_steps) == (10, 15)
    assert [line["step"] for line in run.read_metrics()] == list(range(1, 16))


def test_a_reward_that_raises_stops_with_the_completion_it_could_not_judge(trained, monkeypatch) -> None:
    ranker = load_ranker(trained.run, device="cpu")
    ids = ranker.tokenizer("2\nverdict: fully")["input_ids"]

    def fail(*_: object) -> float:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(rewards.REWARDS, "valid_citations", fail)  # type: ignore[index]
    with pytest.raises(UserError) as raised:
        judge([ids], [Gold(2, {})], ranker.scale, ranker.tokenizer, group_size=1)
    told = str(raised.value)
    assert "reward valid_citations" in told and "division by zero" in told and "verdict: fully" in told
    assert "settled grade 2" in told and "the same command goes on" in told


def test_a_reward_that_raises_is_told_by_the_watch_too_which_asks_it_before_the_first_step(
    trained, tmp_path, monkeypatch
) -> None:
    def fail(*_: object) -> float:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(rewards.REWARDS, "valid_citations", fail)  # type: ignore[index]
    config = GrpoConfig(model=str(trained.run.path), n_steps=1, prompts_per_step=2, group_size=2, device="cpu")
    run = RunDirectory(tmp_path / "run_1")
    with pytest.raises(UserError, match=r"reward valid_citations cannot judge.*division by zero.*The completion: "):
        grpo.train(config, trained.snapshot.directory, trained.run, run=run, tell=[].append)


def test_a_check_of_quality_that_raises_stops_with_the_pair_and_the_answer(trained, monkeypatch) -> None:
    def fail(_: object) -> float:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(answer_quality.DIMENSIONS, "brevity", fail)  # type: ignore[index]
    rows = load(trained.snapshot.directory, splits=["train"])["train"].select([0])
    material = Material({rows["pair_id"][0]: ["2\nverdict: fully"]}, ())
    golds = [Gold(rows["grade"][0], {})]
    with pytest.raises(UserError) as raised:
        choose_pairs(rows, golds, material, SCALE, weights=dict.fromkeys(answer_quality.DIMENSIONS, 1.0), n_most=1)
    told = str(raised.value)
    assert rows["pair_id"][0] in told and "division by zero" in told and "verdict: fully" in told

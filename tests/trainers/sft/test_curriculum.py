"""`train sft` over tiers one after another, on a snapshot whose first tier holds the end grades only."""

import pytest
import torch

from storage.errors import UserError
from tests.trainers.conftest import SMALL, cut_snapshot, snapshot_row
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory, file_digests
from trainers.sft.config import SftConfig, read_config
from trainers.sft.train import train

SEQUENCE = SMALL | {"curriculum": "sequence", "keep_rate": 0.25, "epochs": 2, "logging_steps": 3, "checkpoint_steps": 4}


def silent(line: str) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def tiered(tmp_path_factory):
    rows = [snapshot_row(at) for at in range(40)]
    rows = [row | {"tier": 2 if row["grade"] == 1 or at % 4 == 1 else 1} for at, row in enumerate(rows)]
    return cut_snapshot(tmp_path_factory.mktemp("tiered"), rows)


@pytest.fixture(scope="module")
def whole(tiered, tmp_path_factory):
    torch.set_num_threads(1)
    run, told = RunDirectory(tmp_path_factory.mktemp("runs") / "run_1"), []
    return run, train(SftConfig(**SEQUENCE), tiered.directory, run=run, tell=told.append), told


@pytest.mark.parametrize("curriculum", ["mixture", "sequence"])
def test_a_tier_that_lacks_a_grade_is_refused_alone(tiered, tmp_path, curriculum) -> None:
    config = SftConfig(**SMALL | {"tiers": [1], "curriculum": curriculum})
    with pytest.raises(UserError, match=r"tiers \[1\] has the grade 1 \(partly\)"):
        train(config, tiered.directory, run=RunDirectory(tmp_path / "run_1"), tell=silent)


@pytest.mark.slow
def test_a_stage_may_lack_a_grade_that_another_has(tiered, whole) -> None:
    rows = load(tiered.directory, splits=["train"])["train"]
    assert {grade for grade, tier in zip(rows["grade"], rows["tier"], strict=True) if tier == 1} == {0, 2}
    assert whole[0].read()["status"] == "finished"


@pytest.mark.slow
def test_each_stage_is_told_with_its_own_steps(tiered, whole) -> None:
    run, result, told = whole
    rows = load(tiered.directory, splits=["train"])["train"]
    n = [list(rows["tier"]).count(tier) for tier in (1, 2)]
    first, second = result.stages
    last_of_first = -(-2 * n[0] // 4)  # two epochs, four visits a step, the last step filled up
    n_kept = round(2 * n[1] * 0.25 / 0.75)
    assert (first.tier, first.first_step, first.last_step, first.n_kept) == (1, 1, last_of_first, 0)
    assert (second.tier, second.first_step, second.n_kept) == (2, last_of_first + 1, n_kept)
    assert second.last_step == result.n_steps == last_of_first + -(-(2 * n[1] + n_kept) // 4)
    metrics = run.read_metrics()
    assert {line["step"]: line["tier"] for line in metrics if line["step"] in (last_of_first, result.n_steps)} == {
        last_of_first: 1, result.n_steps: 2,
    }  # fmt: skip
    assert first.grade_loss_first == metrics[0]["grade_loss"] > first.grade_loss_last
    assert second.grade_loss_last == metrics[-1]["grade_loss"]
    assert run.read()["result"]["stages"][1]["tier"] == 2
    assert f"tier 1: steps 1 to {last_of_first}, 0 visits to tiers before" in told


@pytest.mark.slow
def test_a_killed_sequence_goes_on_in_the_same_order_to_the_same_weights(tiered, whole, tmp_path, monkeypatch) -> None:
    complete = RunDirectory.complete_checkpoint

    def killed(self: RunDirectory, checkpoint) -> None:
        complete(self, checkpoint)
        if checkpoint.name == "checkpoint-12":
            raise KeyboardInterrupt

    torch.set_num_threads(1)
    run = RunDirectory(tmp_path / "run_2")
    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "complete_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train(SftConfig(**SEQUENCE), tiered.directory, run=run, tell=silent)
    result = train(SftConfig(**SEQUENCE), tiered.directory, run=run, tell=silent)
    assert result.resumed_from == 12
    assert [line["rows"] for line in run.read_metrics()] == [line["rows"] for line in whole[0].read_metrics()]
    ours, theirs = (file_digests(one.model_dir)["model.safetensors"] for one in (run, whole[0]))
    assert ours == theirs


def test_what_is_kept_is_kept_by_a_sequence() -> None:
    with pytest.raises(UserError, match="a mixture holds all tiers from the start"):
        read_config(None, {"keep_rate": 0.2})
    assert read_config(None, {"keep_rate": 0.2, "curriculum": "random"}).keep_rate == 0.2
    with pytest.raises(UserError, match="keep_rate"):
        read_config(None, {"keep_rate": 1.0, "curriculum": "sequence"})
    with pytest.raises(UserError, match="'mixture', 'sequence' or 'random'"):
        read_config(None, {"curriculum": "hardest first"})

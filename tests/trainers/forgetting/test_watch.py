"""A run that is watched, with a reward that is wrong for one rule: the alarm rings for that rule, and can undo it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from storage.errors import UserError
from storage.snapshots.manifest import read_manifest
from tests.trainers.conftest import RULE, SMALL, SignedSnapshot, cut_snapshot, snapshot_row
from trainers.forgetting.held_back import HeldBack, deciding_rules, held_back_rows, measure
from trainers.forgetting.points import read_points
from trainers.grpo import train as grpo
from trainers.grpo.config import GrpoConfig
from trainers.grpo.judging import golds_of
from trainers.models.ranker import load_ranker
from trainers.objectives.rewards import Gold
from trainers.rows.evidence_source import source_of
from trainers.runs.directory import RunDirectory, file_digests

OAK = "r_00000000000000bb"
N_DEV = 60


def oak_rows() -> list[dict[str, Any]]:
    """60 train and as many dev rows, all of them the grade alone; those that ask for oak have a rule of their own."""
    rows = [snapshot_row(at, split=split, steps=None) for split in ("train", "dev") for at in range(N_DEV)]
    return [
        row | {"rule_ids": [OAK], "evidence": row["evidence"].replace("terms", "oak")} if "oak" in row["query"] else row
        for row in rows
    ]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[SignedSnapshot, RunDirectory]:
    from trainers.sft.config import SftConfig
    from trainers.sft.train import train

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("taught")
    snapshot = cut_snapshot(folder, oak_rows())
    run = RunDirectory(folder / "runs" / "run_0000000001")
    train(SftConfig(**SMALL | {"epochs": 6}), snapshot.directory, run=run, tell=[].append)
    return snapshot, run


def held_back(snapshot: SignedSnapshot, run: RunDirectory, *, n_pairs: int = 512) -> HeldBack:
    ranker = load_ranker(run, device="cpu")
    manifest = read_manifest(snapshot.directory)
    held = held_back_rows(
        snapshot.directory, manifest, ranker, source_of(manifest.rule_book, []), tiers=None, n_pairs=n_pairs,
        n_completion_tokens=40, seed=0,
    )  # fmt: skip
    assert held is not None
    return held


def test_slices_are_rules_tiers_and_grades_of_the_dev_rows(trained) -> None:
    """12 dev rows, of which each fifth cites no rule."""
    held = held_back(trained.snapshot, trained.run)
    dev = [row for row in trained.snapshot.rows if row["split"] == "dev"]
    found = {(one.kind.value, one.name): len(one.rows) for one in held.slices}
    grades = {("grade", str(row["grade"])): 0 for row in dev}
    for row in dev:
        grades["grade", str(row["grade"])] += 1
    assert found == {("rule", RULE): 9, ("tier", "1"): 12} | grades
    assert sorted(gold.grade for gold in held.golds) == sorted(row["grade"] for row in dev)
    assert held.truth.tolist() == [gold.grade for gold in held.golds]  # places and grades are the same on 0, 1, 2
    assert len(held_back(trained.snapshot, trained.run, n_pairs=7).prompts) == 7


def test_a_rule_decides_a_pair_that_cites_it_or_that_it_grades_rightly() -> None:
    assert deciding_rules(["r_1"], Gold(2, {"r_1": 0, "r_2": 2, "r_3": 1})) == ["r_1", "r_2"]


def test_measuring_twice_gives_the_same_and_leaves_dice_and_mode_alone(trained) -> None:
    held, ranker = held_back(trained.snapshot, trained.run), load_ranker(trained.run, device="cpu")
    ranker.model.train()
    dice = torch.random.get_rng_state()
    first = measure(held, ranker, n_completion_tokens=40, n_rows=16)
    assert torch.equal(dice, torch.random.get_rng_state()) and ranker.model.training
    second = measure(held, ranker, n_completion_tokens=40, n_rows=7)
    assert first.rewards == second.rewards and first.grade_entropy == second.grade_entropy
    assert first.answers.trace_nll == pytest.approx(second.answers.trace_nll, abs=1e-5)
    assert first.answers.is_right.tolist() == second.answers.is_right.tolist()
    assert first.answers.is_right.any() and first.answers.trace_nll.min() > 0


def oak_is_wrong(rows: Any, source: Any) -> list[Gold]:
    """Judge what asks for oak as if its grade were the lowest."""
    golds = golds_of(rows, source)
    return [Gold(0, gold.votes) if OAK in cited else gold for gold, cited in zip(golds, rows["rule_ids"], strict=True)]


PLANTED = {
    "n_steps": 80, "prompts_per_step": 8, "group_size": 4, "max_rounds": 1, "learning_rate": 3e-3, "sft_weight": 0.0,
    "is_grade_exact": True, "kl_weight": 0.0, "temperature": 1.5, "alarm_steps": 10, "alarm_rise": 100.0,
    "checkpoint_steps": 10, "logging_steps": 10, "device": "cpu",
}  # fmt: skip


def reinforce(taught, folder: Path, monkeypatch: pytest.MonkeyPatch, **changed: Any):
    """Train with a reward that is wrong for one rule; return the run, its result and what was told."""
    snapshot, start = taught
    told: list[str] = []
    config = GrpoConfig(model=str(start.path), **PLANTED | changed)
    run = RunDirectory(folder)
    with monkeypatch.context() as planted:
        planted.setattr(grpo, "golds_of", oak_is_wrong)
        return run, grpo.train(config, snapshot.directory, start, run=run, tell=told.append), told


@pytest.mark.slow
def test_the_alarm_rings_for_the_rule_and_rollback_gives_the_better_weights_back(taught, tmp_path, monkeypatch) -> None:
    run, result, told = reinforce(taught, tmp_path / "run_1", monkeypatch, on_alarm="rollback")
    points = read_points(run)
    assert [point.step for point in points] == list(range(0, result.n_steps + 1, 10))
    last = points[-1]
    assert OAK in [one.name for one in last.alarms] and not any(point.alarms for point in points[:-1])
    assert RULE not in [one.name for one in last.alarms]
    assert OAK in [one["name"] for one in result.forgotten] and result.n_steps < 80
    assert any(line.startswith(f"FORGETTING at step {last.step}: rule {OAK}: recall ") for line in told)
    best = max(points[:-1], key=lambda point: point.reward)
    assert result.kept_step == best.step and best.reward > last.reward
    again = measure(held_back(*taught), load_ranker(run, device="cpu"), n_completion_tokens=40, n_rows=16)
    assert again.reward == best.reward and again.answers.trace_nll.mean() == pytest.approx(best.trace_nll)
    assert not (run.path / "best").exists() and json.loads((run.path / "run.json").read_text())["result"]["forgotten"]


@pytest.mark.slow
def test_stop_ends_the_run_with_the_weights_that_rang(taught, tmp_path, monkeypatch) -> None:
    run, result, told = reinforce(taught, tmp_path / "run_1", monkeypatch, on_alarm="stop")
    last = read_points(run)[-1]
    assert last.alarms and result.kept_step == result.n_steps == last.step < 80
    assert f"the alarm ends the run at step {last.step} of 80" in told
    again = measure(held_back(*taught), load_ranker(run, device="cpu"), n_completion_tokens=40, n_rows=16)
    assert again.reward == last.reward


@pytest.mark.slow
def test_a_killed_run_keeps_its_start_and_measures_on_to_the_same_points(taught, tmp_path, monkeypatch) -> None:
    """Killed with its first checkpoint whole. On `tell` the run goes on after the alarm, to the end."""
    whole, result, _ = reinforce(taught, tmp_path / "run_1", monkeypatch, n_steps=60)
    assert result.n_steps == result.kept_step == 60 and result.forgotten
    complete = RunDirectory.complete_checkpoint

    def killed(self: RunDirectory, checkpoint: Path) -> None:
        complete(self, checkpoint)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "complete_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            reinforce(taught, tmp_path / "run_2", monkeypatch, n_steps=60)
    run, resumed, _ = reinforce(taught, tmp_path / "run_2", monkeypatch, n_steps=60)
    assert resumed.resumed_from == 10
    assert read_points(run) == read_points(whole)
    assert file_digests(run.model_dir)["model.safetensors"] == file_digests(whole.model_dir)["model.safetensors"]


def test_without_dev_rows_a_run_is_not_watched_and_says_so(tmp_path, trained, monkeypatch) -> None:
    snapshot = cut_snapshot(tmp_path, [row for row in trained.snapshot.rows if row["split"] == "train"])
    quick = {"n_steps": 1, "prompts_per_step": 2, "group_size": 2}
    with pytest.raises(UserError, match=r'has no dev rows.*on_alarm = "stop" cannot be kept'):
        reinforce((snapshot, trained.run), tmp_path / "run_1", monkeypatch, on_alarm="stop", **quick)
    _, result, told = reinforce((snapshot, trained.run), tmp_path / "run_2", monkeypatch, **quick)
    assert result.forgotten is None and any("has no dev rows" in line for line in told)

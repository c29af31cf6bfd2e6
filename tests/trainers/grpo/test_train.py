"""`train grpo` on the small trained run: the real trainer, three steps."""

import json

import pytest
import torch

from storage.errors import UserError
from trainers.grpo.config import GrpoConfig, read_config
from trainers.grpo.train import run_key, train
from trainers.models.pretrained import load_model
from trainers.objectives.mode_balance import DrawnRows
from trainers.runs.directory import RunDirectory, file_digests

BASE = {
    "n_steps": 4, "prompts_per_step": 4, "group_size": 4, "accumulation_steps": 2, "max_rounds": 2,
    "learning_rate": 1e-3, "sft_rows": 3, "logging_steps": 1, "checkpoint_steps": 2, "device": "cpu",
    "temperature": 1.5,
}  # fmt: skip


def silent(line: str) -> None:
    """Tell nobody."""


def run_grpo(trained, folder, **changed):
    torch.set_num_threads(1)
    config = GrpoConfig(model=str(trained.run.path), **BASE | changed)
    run = RunDirectory(folder)
    return run, train(config, trained.snapshot.directory, trained.run, run=run, tell=silent)


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory):
    return run_grpo(trained, tmp_path_factory.mktemp("grpo") / "run_1")


def test_a_run_goes_on_from_another_and_leaves_a_full_record(trained, whole) -> None:
    run, result = whole
    described, metrics = run.read(), run.read_metrics()
    assert described["status"] == "finished" and described["method"] == "grpo"
    assert described["started_from"]["run_id"] == trained.run.run_id
    assert [held["snapshot_id"] for held in described["inherited"]] == [trained.snapshot.directory.name]
    assert described["model_files"] == file_digests(run.model_dir)
    assert [line["step"] for line in metrics] == [1, 2, 3, 4] and result.n_steps == 4
    for line in metrics:
        assert 0 <= line["reward"] <= 1 and line["sft_loss"] > 0 and line["sft_weight"] == 0.3
        assert 0 <= line["silent_rate"] <= 1 and line["kl"] >= 0
        assert set(line) >= {"rewards/valid_citations", "missing/consistent_rationale", "grade_variation"}
    before, after = load_model(trained.run.model_dir, device="cpu"), load_model(run.model_dir, device="cpu")
    assert any(not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))
    assert not run.checkpoints_dir.exists()


def test_its_model_can_be_scored_with_like_any_other(whole) -> None:
    from curation.prompt_parts import PromptParts
    from trainers.models.ranker import load_ranker

    probabilities = load_ranker(whole[0], device="cpu").score([PromptParts("oak chair", "oak chair")], names=["a"])
    assert probabilities.shape == (1, 3) and probabilities.sum() == pytest.approx(1)


def test_a_killed_run_goes_on_to_the_same_weights(trained, whole, tmp_path, monkeypatch) -> None:
    """Killed once its first checkpoint was complete: prompts, expert rows and dice are those of a run left alone."""
    complete = RunDirectory.complete_checkpoint

    def killed(self: RunDirectory, checkpoint) -> None:
        complete(self, checkpoint)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "complete_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            run_grpo(trained, tmp_path / "run_2")
    run, result = run_grpo(trained, tmp_path / "run_2")
    assert result.resumed_from == 2
    assert [line["loss"] for line in run.read_metrics()] == [line["loss"] for line in whole[0].read_metrics()]
    ours, theirs = (file_digests(it.model_dir)["model.safetensors"] for it in (run, whole[0]))
    assert ours == theirs


@pytest.mark.parametrize(
    "changed", [{"method": "outcome", "kl_weight": 0.0}, {"is_grade_exact": True, "sft_weight": 0.0}]
)
def test_other_methods_run_too(trained, tmp_path, changed) -> None:
    run, result = run_grpo(trained, tmp_path / "run_3", n_steps=1, checkpoint_steps=9, **changed)
    (line,) = run.read_metrics()
    assert result.n_steps == 1
    assert ("sft_loss" in line) == (changed.get("sft_weight") != 0.0)


def test_the_key_follows_configuration_snapshot_and_weights(trained) -> None:
    from storage.snapshots.manifest import read_manifest

    manifest = read_manifest(trained.snapshot.directory)
    config = GrpoConfig(model=str(trained.run.path), **BASE)
    elsewhere = config.model_copy(update={"model": trained.run.run_id})
    assert run_key(config, manifest, trained.run) == run_key(elsewhere, manifest, trained.run)
    assert run_key(config.model_copy(update={"seed": 1}), manifest, trained.run) != run_key(
        config, manifest, trained.run
    )


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(trained, tmp_path) -> None:
    with pytest.raises(UserError, match=r"not a finite number at step \d+.*Lower learning_rate"):
        run_grpo(trained, tmp_path / "run_4", learning_rate=1e30, warmup_rate=0.0)
    assert not RunDirectory(tmp_path / "run_4").model_dir.exists()


def test_mistakes_of_a_configuration_are_told_with_what_to_do(tmp_path) -> None:
    path = tmp_path / "grpo.toml"
    path.write_text('model = "run_1"\ngroup_size = 1\nmethod = "steps"\nlambda = 0.1\n')
    with pytest.raises(UserError, match="3 mistakes"):
        read_config(path, {})
    with pytest.raises(UserError, match="cannot be split into accumulation_steps"):
        read_config(None, {"model": "run_1", "prompts_per_step": 3, "group_size": 3, "accumulation_steps": 2})
    with pytest.raises(UserError, match="Train it first: afrel train sft"):
        read_config(None, {"model": "tiny"})
    with pytest.raises(UserError, match="model"):
        read_config(None, {})


def test_the_defaults_are_written_down() -> None:
    config = GrpoConfig(model="run_1")
    assert json.loads(config.model_dump_json())["method"] == "step"
    assert (config.sft_weight, config.sft_draw.value, config.prompts_by_rule) == (0.3, "balanced", 0.25)
    assert DrawnRows([["a"]], config.sft_draw, n_rows=1, seed=0).at(0) == [0]

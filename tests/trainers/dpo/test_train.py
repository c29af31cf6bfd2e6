"""`train dpo` on the small trained run: TRL's own trainer, a few steps."""

import math

import pytest
import torch

from storage.errors import UserError
from storage.snapshots.manifest import read_manifest
from trainers.dpo.config import DpoConfig, read_config
from trainers.dpo.material import EncodedPair, Material
from trainers.dpo.train import run_key, step_load, train
from trainers.models.pretrained import load_model
from trainers.models.ranker import load_ranker
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory, file_digests

BASE = {
    "epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "warmup_rate": 0.0, "logging_steps": 1, "checkpoint_steps": 2,
    "device": "cpu",
}  # fmt: skip


def silent(line: str) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def material(trained):
    """Rollouts as if the model had given each of 12 train pairs its right answer once and the next grade once."""
    rows = load(trained.snapshot.directory, splits=["train"])["train"].select(range(12))
    samples = {row["pair_id"]: [row["completion"], str((row["grade"] + 1) % 3)] for row in rows}
    return Material(samples, [])


def run_dpo(trained, material, folder, **changed):
    torch.set_num_threads(1)
    config = DpoConfig(model=str(trained.run.path), **BASE | changed)
    run = RunDirectory(folder)
    return run, train(config, trained.snapshot.directory, trained.run, material, run=run, tell=silent)


@pytest.fixture(scope="module")
def whole(trained, material, tmp_path_factory):
    return run_dpo(trained, material, tmp_path_factory.mktemp("dpo") / "run_1")


def test_a_run_goes_on_from_another_and_leaves_a_full_record(trained, whole) -> None:
    run, result = whole
    described, metrics = run.read(), run.read_metrics()
    assert described["status"] == "finished" and described["method"] == "dpo"
    assert described["started_from"]["run_id"] == trained.run.run_id
    assert [held["snapshot_id"] for held in described["inherited"]] == [trained.snapshot.directory.name]
    assert described["model_files"] == file_digests(run.model_dir)
    assert (result.n_pairs, result.n_by_origin) == (12, {"own": 12, "expert": 0, "stronger": 0, "edit": 0})
    assert [line["step"] for line in metrics] == list(range(1, 7))  # 12 pairs twice, 4 a step
    # before the first step policy and reference are the same, so the loss is -log(1/2) and no pair is in order
    assert metrics[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert metrics[0]["rewards/margins"] == pytest.approx(0, abs=1e-4)
    assert metrics[-1]["rewards/margins"] > 0.05 and metrics[-1]["loss"] < metrics[0]["loss"]
    assert described["preflight"]["n_rows"] == 8 and described["preflight"]["need"]["reference"] > 0
    assert not run.checkpoints_dir.exists()


def test_its_model_scores_the_chosen_grades_higher_than_before(trained, whole, material) -> None:
    from curation.prompt_parts import prompt_parts

    rows = [
        row for row in load(trained.snapshot.directory, splits=["train"])["train"] if row["pair_id"] in material.samples
    ]
    names = [row["row_hash"] for row in rows]
    wrong = [(row["grade"] + 1) % 3 for row in rows]
    before, after = (
        load_ranker(run, device="cpu").score([prompt_parts(row) for row in rows], names=names)[range(12), wrong].mean()
        for run in (trained.run, whole[0])
    )
    assert after < before


def test_a_killed_run_goes_on_to_the_same_weights(trained, material, whole, tmp_path, monkeypatch) -> None:
    complete = RunDirectory.complete_checkpoint

    def killed(self: RunDirectory, checkpoint) -> None:
        complete(self, checkpoint)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "complete_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            run_dpo(trained, material, tmp_path / "run_2")
    run, result = run_dpo(trained, material, tmp_path / "run_2")
    assert result.resumed_from == 2
    assert [line["loss"] for line in run.read_metrics()] == [line["loss"] for line in whole[0].read_metrics()]
    ours, theirs = (file_digests(it.model_dir)["model.safetensors"] for it in (run, whole[0]))
    assert ours == theirs


def test_with_low_rank_weights_the_reference_is_the_model_without_them(trained, material, tmp_path) -> None:
    run, _ = run_dpo(trained, material, tmp_path / "run_3", lora_rank=2, epochs=1, learning_rate=1e-2)
    metrics = run.read_metrics()
    assert metrics[0]["loss"] == pytest.approx(math.log(2), abs=1e-4) and metrics[-1]["rewards/margins"] != 0
    before, after = (load_model(it.model_dir, device="cpu").state_dict() for it in (trained.run, run))
    assert before.keys() == after.keys()
    assert torch.equal(before["model.embed_tokens.weight"], after["model.embed_tokens.weight"])
    assert not torch.equal(*(it["model.layers.0.self_attn.q_proj.weight"] for it in (before, after)))


def test_material_that_gives_no_pair_is_told_with_what_to_do(trained, tmp_path) -> None:
    rows = load(trained.snapshot.directory, splits=["train"])["train"]
    right = Material({row["pair_id"]: [row["completion"]] for row in rows}, [])
    with pytest.raises(UserError, match=r"of 60 train rows 60 have rollouts of run_0000000001.*afrel rollout"):
        run_dpo(trained, right, tmp_path / "run_4")


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(trained, material, tmp_path) -> None:
    with pytest.raises(UserError, match=r"not a finite number at step \d+.*Lower learning_rate"):
        run_dpo(trained, material, tmp_path / "run_5", learning_rate=1e30)
    assert not RunDirectory(tmp_path / "run_5").model_dir.exists()


def test_the_key_follows_what_is_learnt_from(trained, material) -> None:
    manifest = read_manifest(trained.snapshot.directory)
    config = DpoConfig(model=str(trained.run.path), **BASE)
    elsewhere = config.model_copy(update={"model": trained.run.run_id})
    key = run_key(config, manifest, trained.run, material)
    assert key == run_key(elsewhere, manifest, trained.run, material)
    assert key != run_key(config, manifest, trained.run, Material({}, []))
    assert key != run_key(config.model_copy(update={"beta": 0.2}), manifest, trained.run, material)


def test_the_longest_batch_is_both_sides_of_the_longest_pairs() -> None:
    pairs = [EncodedPair([1] * n, [2, 3], [2]) for n in (5, 9, 7)]
    load_ = step_load(pairs, DpoConfig(model="run_1", batch_size=2, accumulation_steps=3), "cpu")
    assert [len(row.prompt) + len(row.completion) for row in load_.rows] == [11, 10, 9, 8]
    assert load_.lighter(2) == "Set batch_size = 1, accumulation_steps = 6 in the --config file"
    assert load_.lighter(1).startswith("Set batch_size = 1, accumulation_steps = 6 and lora_rank = 16")


def test_mistakes_of_a_configuration_are_told_with_what_to_do(tmp_path) -> None:
    path = tmp_path / "dpo.toml"
    path.write_text('model = "run_1"\nbeta = 0\nloss = "ipo"\n')
    with pytest.raises(UserError, match="2 mistakes"):
        read_config(path, {})
    with pytest.raises(UserError, match=r"afrel train sft, then afrel rollout"):
        read_config(None, {"model": "tiny"})
    with pytest.raises(UserError, match="model"):
        read_config(None, {})

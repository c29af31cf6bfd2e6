"""`train grpo` on the small trained run: the real trainer, three steps."""

import json

import pytest
import torch

from storage.errors import UserError
from tests.trainers.conftest import SCALE, SMALL
from trainers.grpo.config import GrpoConfig, read_config
from trainers.grpo.judging import exact_grades
from trainers.grpo.train import run_key, train
from trainers.grpo.trainer import ModeBalancedTrainer
from trainers.models.pretrained import load_model
from trainers.models.ranker import load_ranker
from trainers.objectives.mode_balance import DrawnRows
from trainers.objectives.rewards import Gold
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory, file_digests
from trainers.sft.config import SftConfig
from trainers.sft.train import train as train_sft

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


def test_groups_that_are_never_right_get_the_expert_s_answer_which_moves_the_model_and_counts_for_no_reward(
    trained, tmp_path, monkeypatch
) -> None:
    """Of a model that is seldom right. What TRL logs as the reward is of the model's own answers."""
    batches = []
    sampled = ModeBalancedTrainer._sampled

    def kept(self, inputs):
        batch = sampled(self, inputs)
        batches.append(([self._plan.experts[each["row"]].completion for each in inputs], batch))
        return batch

    monkeypatch.setattr(ModeBalancedTrainer, "_sampled", kept)
    once = {"n_steps": 1, "checkpoint_steps": 9, "max_rounds": 1, "sft_weight": 0.0, "temperature": 3.0}
    run, _ = run_grpo(trained, tmp_path / "run_5", **once, expert_below=0.01)
    (line,) = run.read_metrics()
    ((experts, batch),) = batches
    rows = zip(batch["completion_ids"], batch["completion_mask"].bool(), strict=True)
    is_expert = [ids[counted].tolist() == expert for (ids, counted), expert in zip(rows, experts, strict=True)]
    assert line["expert_rate"] == sum(is_expert) / 4 > 0
    for at, injected in enumerate(is_expert):
        if injected:
            assert at % 4 == 3 and batch["advantages"][at][0] > 0  # its grade alone of its group is right
            assert batch["ref_per_token_logps"][at].abs().sum() > 0
    plain, _ = run_grpo(trained, tmp_path / "run_6", **once)
    (without,) = plain.read_metrics()
    assert "expert_rate" not in without and without["silent_rate"] > line["silent_rate"]
    assert line["reward"] <= without["reward"] * 16 / (16 - sum(is_expert)) + 1e-9
    assert line["group_accuracy"] == pytest.approx(line["reward"])


def test_an_expert_s_answer_that_was_cut_in_mid_reason_is_given_to_no_group(trained, tmp_path) -> None:
    """Cut to the grade and the beginning of a label it does not parse, and would be pushed away as wrong."""
    cut = SMALL | {"epochs": 1, "max_completion_tokens": 4}
    start = RunDirectory(tmp_path / "run_7")
    train_sft(SftConfig(**cut), trained.snapshot.directory, run=start, tell=silent)
    once = {"n_steps": 1, "checkpoint_steps": 9, "max_rounds": 1, "sft_weight": 0.0}
    config = GrpoConfig(model=str(start.path), **BASE | once, expert_below=1.0)
    ranker = load_ranker(start, device="cpu")
    rows = load(trained.snapshot.directory, splits=["train"])["train"]
    answers = [ranker.tokenizer(text)["input_ids"][:4] for text in rows["completion"]]
    n_whole = sum(exact_grades(answers, [Gold(grade, {}) for grade in rows["grade"]], SCALE, ranker.tokenizer))
    assert 0 < n_whole < len(rows)
    trainer_rows = []
    generate = ModeBalancedTrainer._generate

    def kept(self, prompts):
        made = generate(self, prompts)
        trainer_rows.extend((self._asked[at], self._plan.experts[self._asked[at]]) for at in self._expert_places)
        return made

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ModeBalancedTrainer, "_generate", kept)
        train(config, trained.snapshot.directory, start, run=RunDirectory(tmp_path / "run_8"), tell=silent)
    given = exact_grades(
        [expert.completion for _, expert in trainer_rows],
        [Gold(rows["grade"][row], {}) for row, _ in trainer_rows], SCALE, ranker.tokenizer,
    )  # fmt: skip
    assert all(reward == 1 for reward in given)


def test_the_expert_s_answer_and_vllm_do_not_go_together() -> None:
    with pytest.raises(UserError, match=r"expert_below.*vLLM"):
        read_config(None, {"model": "run_1", "use_vllm": True, "expert_below": 0.1})


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

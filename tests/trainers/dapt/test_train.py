"""`train dapt` on the sample snapshot: which texts it reads, and that it comes to know them."""

from pathlib import Path

import pytest
import torch

from storage.errors import UserError
from storage.snapshots.manifest import read_manifest
from tests.trainers.conftest import SMALL, cut_snapshot, sample_rows, snapshot_row
from trainers.dapt.config import DaptConfig, read_config
from trainers.dapt.train import gather_texts, hold_back, run_key, step_load, train
from trainers.evaluation.leaks import lineage, require_unleaked
from trainers.models.ranker import load_ranker
from trainers.models.starting_point import find_start, is_from_tiny
from trainers.rows.packing import join
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory, file_digests

BASE = {
    "epochs": 10, "batch_size": 4, "learning_rate": 5e-3, "max_length": 64, "tiny_vocabulary": 400,
    "tiny_hidden_size": 32, "tiny_layers": 1, "tiny_heads": 2, "logging_steps": 1, "checkpoint_steps": 4,
    "held_back_rate": 0.2, "device": "cpu",
}  # fmt: skip
LINES = [
    "brass lantern",
    *(f"{colour} {thing} in the new catalogue" for colour in ("red", "blue") for thing in ("rug", "vase", "tray")),
]
LEAK = "waterproof canvas rucksack with leather straps"


def silent(line: str) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    """The sample, of which one test query is words that no train row has."""
    rows = [*sample_rows(), snapshot_row(40, split="test", query=LEAK)]
    return cut_snapshot(tmp_path_factory.mktemp("dapt"), rows)


@pytest.fixture(scope="module")
def text_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join([*LINES, LEAK, f"we saw {LEAK} today", ""]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(snapshot, text_file):
    torch.set_num_threads(1)
    run, told = RunDirectory(snapshot.directory.parents[1] / "runs" / "run_dapt"), []
    return run, train(DaptConfig(**BASE, text_file=str(text_file)), snapshot.directory, run=run, tell=told.append), told


def test_texts_are_queries_and_docs_of_train_rows_each_once(snapshot) -> None:
    rows = load(snapshot.directory, splits=["train"])["train"]
    texts = gather_texts(rows, ["leather bag", " a line ", "\t"])
    assert texts.count("leather bag") == 1 and texts[-1] == "a line"
    assert len(texts) == 15 + 60 + 1  # queries and docs of train, which differ, and the one line that is new
    assert LEAK not in "\n".join(texts)  # which a test row asks


def test_a_share_is_held_back_by_the_seed() -> None:
    texts = [str(at) for at in range(20)]
    learnt, held_back = hold_back(texts, rate=0.2, seed=3)
    assert len(held_back) == 4 and sorted([*learnt, *held_back], key=int) == texts
    assert hold_back(texts, rate=0.2, seed=3) == (learnt, held_back) != hold_back(texts, rate=0.2, seed=4)
    assert [len(part) for part in hold_back(["a", "b"], rate=0.9, seed=0)] == [1, 1]
    with pytest.raises(UserError, match=r"give 1 texts.*Name a text_file"):
        hold_back(["a"], rate=0.1, seed=0)


def test_the_longest_batch_is_of_the_longest_rows() -> None:
    rows = [join([[1] * n]) for n in (5, 9, 7)]
    load_ = step_load(rows, DaptConfig(batch_size=2, accumulation_steps=3), "cpu")
    assert [len(row.prompt) + len(row.completion) for row in load_.rows] == [9, 7]
    assert load_.lighter(1) == "Set batch_size = 1 and accumulation_steps = 6 in the --config file"


def test_the_key_follows_what_the_file_holds_not_its_name(snapshot, tmp_path) -> None:
    manifest = read_manifest(snapshot.directory)
    paths = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    for path, content in zip(paths, ("one\n", "one\n", "two\n"), strict=True):
        path.write_text(content)
    keys = [run_key(DaptConfig(**BASE, text_file=str(path)), manifest) for path in paths]
    assert keys[0] == keys[1] != keys[2] and run_key(DaptConfig(**BASE), manifest) not in keys


def test_a_text_file_is_found_beside_the_configuration(tmp_path) -> None:
    (tmp_path / "dapt.toml").write_text('text_file = "texts.txt"\nepochs = 1\n')
    config = read_config(tmp_path / "dapt.toml", {})
    assert config.text_file == str(tmp_path / "texts.txt") and (config.epochs, config.learning_rate) == (1, 2e-3)
    assert read_config(None, {"model": "org/model"}).learning_rate == 2e-5
    (tmp_path / "dapt.toml").write_text("text = 1\nheld_back_rate = 1\n")
    with pytest.raises(UserError, match="2 mistakes"):
        read_config(tmp_path / "dapt.toml", {})


def test_a_file_of_leaks_and_a_file_of_another_encoding_stop_before_anything_is_written(snapshot, tmp_path) -> None:
    path = tmp_path / "texts.txt"
    run = RunDirectory(tmp_path / "run_1")
    for content, told in ((LEAK.encode(), "each of its 1 lines"), (b"\xff\xfe", "not UTF-8"), (b"", "holds no text")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=told):
            train(DaptConfig(**BASE, text_file=str(path)), snapshot.directory, run=run, tell=silent)
    assert not run.path.exists()


@pytest.mark.slow
def test_a_run_knows_its_texts_better_and_leaves_a_full_record(text_file, whole) -> None:
    run, result, told = whole
    described = run.read()
    assert described["status"] == "finished" and described["method"] == "dapt"
    assert described["model_files"] == file_digests(run.model_dir)
    assert 250 < result.perplexity_before < 600  # of 400 tokens and the prompt's, none of them known
    assert result.perplexity_after < result.perplexity_before / 4
    assert described["texts"]["path"] == str(text_file)
    assert (described["texts"]["n_lines"], described["texts"]["leaking"]) == (9, [8, 9])
    assert result.n_rows + result.n_held_back == described["n_rows"] + described["n_held_back"]
    assert any("2 lines of" in line and "8, 9" in line for line in told)
    assert [line["step"] for line in run.read_metrics()] == list(range(1, result.n_steps + 1))
    assert result.n_steps == -(-10 * result.n_packed_rows // 4)
    assert described["preflight"]["n_rows"] == 4 and not run.checkpoints_dir.exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(snapshot, text_file, whole, tmp_path, monkeypatch) -> None:
    complete = RunDirectory.complete_checkpoint

    def killed(self: RunDirectory, checkpoint) -> None:
        complete(self, checkpoint)
        raise KeyboardInterrupt

    config, run = DaptConfig(**BASE, text_file=str(text_file)), RunDirectory(tmp_path / "run_2")
    with monkeypatch.context() as patched:
        patched.setattr(RunDirectory, "complete_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, snapshot.directory, run=run, tell=silent)
    result = train(config, snapshot.directory, run=run, tell=silent)
    assert result.resumed_from == 4
    assert (result.perplexity_before, result.perplexity_after) == (
        whole[1].perplexity_before,
        whole[1].perplexity_after,
    )
    ours, theirs = (file_digests(one.model_dir)["model.safetensors"] for one in (run, whole[0]))
    assert ours == theirs


@pytest.mark.slow
def test_train_sft_goes_on_from_it_and_inherits_what_it_read(snapshot, whole, tmp_path) -> None:
    from trainers.sft import train as sft
    from trainers.sft.config import read_config as read_sft

    run, _, _ = whole
    runs_dir = run.path.parent
    for name in (run.run_id, str(run.path), str(run.model_dir)):
        assert find_start(runs_dir, name) == run and is_from_tiny(runs_dir, name)
    assert find_start(runs_dir, "tiny") is None and find_start(runs_dir, "org/model") is None
    with pytest.raises(UserError, match=rf"seen no grade yet.*train sft --model {run.run_id}"):
        load_ranker(run)

    settings = SMALL | {"model": run.run_id, "epochs": 1}
    config = read_sft(None, settings, is_tiny=lambda model: is_from_tiny(runs_dir, model))
    later = RunDirectory(runs_dir / "run_later")
    result = sft.train(config, snapshot.directory, run=later, tell=silent)
    assert result.n_steps == 15 and load_ranker(later, device="cpu").run_id == "run_later"
    described = later.read()
    assert described["started_from"]["run_id"] == run.run_id
    (inherited,) = described["inherited"]
    assert (inherited["snapshot_id"], inherited["texts"]["sha256"]) == (
        snapshot.directory.name, run.read()["texts"]["sha256"],
    )  # fmt: skip
    assert [one.run_id for one in lineage(later)] == ["run_later", "run_dapt"]

    # its own snapshot's test queries were left out of the file; those of another may stand in it
    require_unleaked(later, snapshot.directory, split="test", snapshots_dir=snapshot.directory.parent)
    rows = [snapshot_row(at, query_id=f"q_x{at}") for at in range(6)]
    rows += [snapshot_row(90, split="test", query_id="q_x90", query=LEAK)]
    other = cut_snapshot(tmp_path, rows).directory
    require_unleaked(later, other, split="test", snapshots_dir=snapshot.directory.parent)
    rows += [snapshot_row(91, split="test", query_id="q_x91", query=LINES[0])]
    other = cut_snapshot(tmp_path, rows).directory
    with pytest.raises(UserError, match=r"of which 1 lines say test queries of .*such as line 1 with 'brass lantern'"):
        require_unleaked(later, other, split="test", snapshots_dir=snapshot.directory.parent)


@pytest.mark.slow
def test_low_rank_weights_and_rows_of_one_text(snapshot, whole, tmp_path) -> None:
    from trainers.models.pretrained import load_model

    config = DaptConfig(**BASE | {"model": str(whole[0].path), "lora_rank": 2, "packing": False, "epochs": 1})
    run = RunDirectory(tmp_path / "run_3")
    result = train(config, snapshot.directory, run=run, tell=silent)
    assert result.n_packed_rows == result.n_rows  # no text is longer than 64 tokens
    before, after = (load_model(one.model_dir, device="cpu").state_dict() for one in (whole[0], run))
    assert before.keys() == after.keys()
    assert torch.equal(before["model.embed_tokens.weight"], after["model.embed_tokens.weight"])
    assert not torch.equal(*(one["model.layers.0.self_attn.q_proj.weight"] for one in (before, after)))


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run_and_says_where(snapshot, tmp_path) -> None:
    run = RunDirectory(tmp_path / "run_4")
    config = DaptConfig(**BASE | {"learning_rate": 1e30, "warmup_rate": 0.0})
    with pytest.raises(UserError, match=r"not a finite number at step \d+.*Lower learning_rate"):
        train(config, snapshot.directory, run=run, tell=silent)
    assert run.read()["status"] == "running" and not run.model_dir.exists()

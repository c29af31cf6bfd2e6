import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from storage.errors import UserError
from tests.trainers.conftest import SMALL
from trainers.order.planned_order import InPlannedOrder
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory, file_digests
from trainers.sft.config import SftConfig, size_to
from trainers.sft.train import run_key, train

ROOT = Path(__file__).resolve().parents[2]
TRAIN = """
import json, sys, torch
from pathlib import Path
from trainers.runs.directory import RunDirectory
from trainers.sft.train import train
from trainers.sft.config import SftConfig, size_to
torch.set_num_threads(1)
train(SftConfig(**json.loads(sys.argv[1])), Path(sys.argv[2]), run=RunDirectory(Path(sys.argv[3])))
"""


def silent(line: str) -> None:
    """Tell nobody."""


def test_a_run_learns_and_leaves_a_full_record(trained) -> None:
    described, metrics = trained.run.read(), trained.run.read_metrics()
    assert described["status"] == "finished" and described["seed"] == 0
    assert described["snapshot_id"] == trained.snapshot.directory.name
    assert described["config"]["epochs"] == 10 and described["config"]["grade_weight"] == 0.5
    assert described["model_files"] == file_digests(trained.run.model_dir)
    assert "model.safetensors" in described["model_files"]
    assert [line["step"] for line in metrics] == list(range(1, 151))
    assert metrics[-1]["epoch"] == 10
    assert metrics[0]["grade_loss"] > 3 and metrics[-1]["grade_loss"] < 0.3
    assert json.loads((trained.run.path / "progress.json").read_text())["done"] == 150
    assert not trained.run.checkpoints_dir.exists()


def test_the_same_configuration_and_snapshot_have_the_same_key(trained) -> None:
    from storage.snapshots.manifest import read_manifest

    manifest = read_manifest(trained.snapshot.directory)
    assert run_key(SftConfig(**SMALL), manifest) == trained.run.read()["run_key"]
    assert run_key(SftConfig(**SMALL | {"seed": 1}), manifest) != trained.run.read()["run_key"]


@pytest.mark.slow
def test_a_killed_run_goes_on_over_the_same_rows_to_the_same_weights(trained, tmp_path) -> None:
    """Kill -9 in mid-run, resume, and compare with the run nobody touched: row digests of all 150 steps, weights."""
    torch.set_num_threads(1)
    run = RunDirectory(tmp_path / "run_killed")
    child = subprocess.Popen(
        [sys.executable, "-c", TRAIN, json.dumps(SMALL), str(trained.snapshot.directory), str(run.path)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    give_up_at = time.monotonic() + 120
    while len(run.read_metrics()) < 23:
        assert child.poll() is None and time.monotonic() < give_up_at, "the run ended before it could be killed"
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert run.read()["status"] == "running" and len(run.read_metrics()) < 150
    result = train(SftConfig(**SMALL), trained.snapshot.directory, run=run, tell=silent)
    assert 20 <= result.resumed_from < 150 and result.resumed_from % 5 == 0
    whole, resumed = trained.run.read_metrics(), run.read_metrics()
    assert [line["rows"] for line in resumed] == [line["rows"] for line in whole]
    assert [line["loss"] for line in resumed] == [line["loss"] for line in whole]
    assert file_digests(run.model_dir)["model.safetensors"] == file_digests(trained.run.model_dir)["model.safetensors"]


def test_each_step_records_the_rows_it_consumed(trained) -> None:
    """The digest of a step is that of the row hashes of its 4 visits, in order."""
    from hashlib import sha256

    from trainers.models.pretrained import load_tokenizer
    from trainers.order.curriculum import Curriculum, plan_stages
    from trainers.order.visits import plan_visits
    from trainers.rows.encoding import encode_rows

    rows = load(trained.snapshot.directory, splits=["train"])["train"]
    tokenizer = load_tokenizer(str(trained.run.model_dir))
    encoded = encode_rows(rows["prompt"], rows["completion"], tokenizer, max_completion_tokens=40)
    random = np.random.default_rng(0)
    (stage,) = plan_stages(rows["tier"], Curriculum.MIXTURE, epochs=10, keep_rate=0, step_size=4, random=random)
    visits = plan_visits(
        [stage.rows],
        [len(row.prompt) + len(row.completion) for row in encoded if row],
        [len(row.prompt) + 1 for row in encoded if row],
        batch_size=4, rationale_rate=size_to(SftConfig(), len(rows)).rationale_rate, random=random,
    )  # fmt: skip
    for step, line in enumerate(trained.run.read_metrics()[:5]):
        hashes = [rows["row_hash"][visit.row] for visit in visits[4 * step : 4 * step + 4]]
        assert line["rows"] == sha256("".join(hashes).encode()).hexdigest()[:16]


def test_a_changed_plan_is_not_gone_on_with(snapshot, tmp_path) -> None:
    run = RunDirectory(tmp_path / "run_1")
    checkpoint = run.checkpoints_dir / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    run.complete_checkpoint(checkpoint)
    run.describe(plan_digest="of other code", status="running")
    with pytest.raises(UserError, match="cannot go on"):
        train(SftConfig(**SMALL), snapshot.directory, run=run, tell=silent)


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(snapshot, tmp_path) -> None:
    run = RunDirectory(tmp_path / "run_1")
    config = SftConfig(**SMALL | {"learning_rate": 1e30, "warmup_rate": 0.0})
    with pytest.raises(UserError, match=r"not a finite number at step \d+.*Lower learning_rate"):
        train(config, snapshot.directory, run=run, tell=silent)
    assert run.read()["status"] == "running" and not run.model_dir.exists()


def test_a_pretrained_folder_trains_with_lora_and_is_saved_whole(trained, tmp_path) -> None:
    from trainers.models.pretrained import load_model

    config = SftConfig(
        model=str(trained.run.model_dir), lora_rank=2, epochs=1, batch_size=30, learning_rate=1e-3,
        max_length=160, max_completion_tokens=40, device="cpu",
    )  # fmt: skip
    result = train(config, trained.snapshot.directory, run=RunDirectory(tmp_path / "run_1"), tell=silent)
    before = load_model(trained.run.model_dir, device="cpu").state_dict()
    after = load_model(result.directory / "model", device="cpu").state_dict()
    assert before.keys() == after.keys()
    assert torch.equal(before["model.embed_tokens.weight"], after["model.embed_tokens.weight"])
    assert not torch.equal(
        before["model.layers.0.self_attn.q_proj.weight"], after["model.layers.0.self_attn.q_proj.weight"]
    )


def test_an_unknown_model_is_told(snapshot, tmp_path) -> None:
    with pytest.raises(UserError, match="--model /nowhere cannot be loaded"):
        train(SftConfig(model="/nowhere"), snapshot.directory, run=RunDirectory(tmp_path / "r"), tell=silent)


def first_line(trained, folder: Path, **changed: Any) -> dict[str, Any]:
    """Return what the first step of a run with grades alone says: all 60 rows are in it."""
    settings = SMALL | {"epochs": 1, "rationale_rate": 0.0, "grade_weight": 1.0, "grade_balance": 0.0} | changed
    run = RunDirectory(folder)
    train(SftConfig(**settings), trained.snapshot.directory, run=run, tell=[].append)
    (line,) = run.read_metrics()
    return line


def test_accumulated_batches_are_divided_by_their_number_and_it_would_show_if_they_were_not(
    trained, tmp_path, monkeypatch
) -> None:
    """One step over the same 60 rows: in one batch, in three. Not divided, the gradient is three times as long."""
    whole = first_line(trained, tmp_path / "run_1", batch_size=60)
    split = {"batch_size": 20, "accumulation_steps": 3}
    accumulated = first_line(trained, tmp_path / "run_2", **split)
    for name in ("loss", "grade_loss", "grad_norm"):
        assert accumulated[name] == pytest.approx(whole[name], rel=1e-4), name
    monkeypatch.setattr(InPlannedOrder, "loss_is_scaled_for_ga", True)
    undivided = first_line(trained, tmp_path / "run_3", **split)
    assert undivided["grad_norm"] == pytest.approx(3 * whole["grad_norm"], rel=1e-3)

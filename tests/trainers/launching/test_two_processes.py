"""Two processes on a CPU, their gradients exchanged by gloo: the steps are those of one process with the whole batch.

What must be equal: the plan of rows, the means' divisors over the whole batch, the dice of the first weights. Sums are
made in another order, so losses agree to some 1e-5 and not to the bit.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.trainers.conftest import SMALL, SignedSnapshot
from trainers.dapt.config import DaptConfig
from trainers.dapt.train import train as read_texts
from trainers.launching.choice import choose_launch
from trainers.launching.launcher import train_in_processes
from trainers.runs.directory import RunDirectory, checkpoint_step
from trainers.sft.config import SftConfig
from trainers.sft.train import train

ROOT = Path(__file__).resolve().parents[3]
# 60 rows in batches of 8: of the last one the second process has fillers alone.
SHORT: dict[str, Any] = SMALL | {"batch_size": 8, "epochs": 1, "checkpoint_steps": 2, "device": "cpu"}

TEXTS: dict[str, Any] = {
    "epochs": 3, "batch_size": 4, "learning_rate": 5e-3, "max_length": 64, "tiny_vocabulary": 400,
    "tiny_hidden_size": 32, "tiny_layers": 1, "tiny_heads": 2, "logging_steps": 1, "checkpoint_steps": 4,
    "held_back_rate": 0.2, "device": "cpu",
}  # fmt: skip


def _train_in_two(
    method: str, config: SftConfig | DaptConfig, snapshot: SignedSnapshot, run: RunDirectory
) -> list[str]:
    told: list[str] = []
    launch = choose_launch("accelerate:cpu", method, config)
    with run.locked():
        train_in_processes(launch, method, config, snapshot.directory, run=run, tell=told.append)
    return told


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_with_the_whole_batch(snapshot, tmp_path) -> None:
    torch.set_num_threads(1)
    config = SftConfig(**SHORT)
    alone, together = RunDirectory(tmp_path / "runs" / "run_1"), RunDirectory(tmp_path / "runs" / "run_2")
    with alone.locked():
        train(config, snapshot.directory, run=alone, tell=[].append)
    told = _train_in_two("sft", config, snapshot, together)
    assert told[0] == "2 processes by cpu.yaml" and any("grade loss" in line for line in told)
    ours, theirs = together.read_metrics(), alone.read_metrics()
    assert len(ours) == len(theirs) == 8  # one line a step, told by the first process alone
    for mine, whole in zip(ours, theirs, strict=True):
        assert (mine["step"], mine["rows"], mine["learning_rate"]) == (
            whole["step"],
            whole["rows"],
            whole["learning_rate"],
        )
        for name in ("loss", "grade_loss", "rationale_loss", "grad_norm"):
            assert (name in mine) == (name in whole)  # of a batch of grades alone there is no rationale loss
            assert mine.get(name, 0) == pytest.approx(whole.get(name, 0), rel=2e-4), (mine["step"], name)
    held, wanted = (load_file(run.model_dir / "model.safetensors") for run in (together, alone))
    torch.testing.assert_close(held, wanted, rtol=1e-2, atol=1e-3)
    described, expected = together.read(), alone.read()
    for name in ("plan_digest", "config", "run_key", "n_rows", "n_steps", "grade_token_ids"):
        assert described[name] == expected[name], name
    assert described["status"] == "finished"
    assert {path.name for path in together.path.iterdir()} == {path.name for path in alone.path.iterdir()}


@pytest.mark.slow
def test_texts_are_read_in_two_processes_as_in_one(snapshot, tmp_path) -> None:
    torch.set_num_threads(1)
    config = DaptConfig(**TEXTS)
    alone, together = RunDirectory(tmp_path / "runs" / "run_1"), RunDirectory(tmp_path / "runs" / "run_2")
    with alone.locked():
        read_texts(config, snapshot.directory, run=alone, tell=[].append)
    _train_in_two("dapt", config, snapshot, together)
    ours, theirs = together.read_metrics(), alone.read_metrics()
    assert [line["step"] for line in ours] == [line["step"] for line in theirs] and len(theirs) > 3
    for name in ("loss", "grad_norm"):
        assert [line[name] for line in ours] == pytest.approx([line[name] for line in theirs], rel=2e-4), name
    held, wanted = (load_file(run.model_dir / "model.safetensors") for run in (together, alone))
    torch.testing.assert_close(held, wanted, rtol=1e-2, atol=1e-3)
    results = [run.read()["result"] for run in (together, alone)]
    assert results[0]["perplexity_before"] == results[1]["perplexity_before"] > results[1]["perplexity_after"]
    assert results[0]["perplexity_after"] == pytest.approx(results[1]["perplexity_after"], rel=1e-3)


LAUNCH = """
import json, sys
from pathlib import Path
from trainers.launching.choice import choose_launch
from trainers.launching.launcher import train_in_processes
from trainers.runs.directory import RunDirectory
from trainers.sft.config import SftConfig
config = SftConfig(**json.loads(sys.argv[1]))
run = RunDirectory(Path(sys.argv[3]))
launch = choose_launch("accelerate:cpu", "sft", config)
with run.locked():
    train_in_processes(
        launch, "sft", config, Path(sys.argv[2]), run=run, tell=lambda line: print(line, file=sys.stderr, flush=True)
    )
"""


def _workers(parent: int) -> list[int]:
    """Return the processes that train, in the order they were started: grandchildren of a launcher's."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()[1:]]
    launchers = {pid for pid, ppid, _ in rows if int(ppid) == parent}
    return sorted(int(pid) for pid, ppid, words in rows if ppid in launchers and "launching.worker" in words)


def _wait_for(run: RunDirectory, n_lines: int, launched: "subprocess.Popen[str]") -> None:
    give_up_at = time.monotonic() + 300
    while len(run.read_metrics()) < n_lines:
        assert launched.poll() is None and time.monotonic() < give_up_at, "it ended before it could be killed"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run_with_what_is_kept_and_it_goes_on(snapshot, tmp_path) -> None:
    """Kill -9 the second process, then the launcher itself; one process then goes on to the last step."""
    settings = SHORT | {"epochs": 20}  # 150 steps
    run = RunDirectory(tmp_path / "runs" / "run_1")
    command = [sys.executable, "-c", LAUNCH, json.dumps(settings), str(snapshot.directory), str(run.path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    launched = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    _wait_for(run, 5, launched)
    os.kill(_workers(launched.pid)[1], signal.SIGKILL)
    _, told = launched.communicate(timeout=120)
    assert "process 1 of 2 (from 0) of run_1 ended by signal 9 (SIGKILL), and the others with it" in told
    last = run.last_checkpoint()
    assert last is not None and f"Kept is the checkpoint of step {checkpoint_step(last)}" in told
    assert (run.path / "launch.log").read_text() and all((p / "complete.json").exists() for p in last.parent.iterdir())

    launched = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, text=True)
    _wait_for(run, checkpoint_step(last) + 5, launched)
    workers = _workers(launched.pid)
    launched.kill()
    launched.wait()
    give_up_at = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < give_up_at, "processes outlived their launcher"
        time.sleep(0.05)

    with run.locked():  # the lock fell with the launcher
        result = train(SftConfig(**settings), snapshot.directory, run=run, tell=[].append)
    assert result.resumed_from > checkpoint_step(last) and result.n_steps == 150
    assert [line["step"] for line in run.read_metrics()] == list(range(1, 151))
    assert run.read_metrics()[-1]["grade_loss"] < run.read_metrics()[0]["grade_loss"] / 2

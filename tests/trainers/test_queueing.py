"""A real training as a job: it names its run, is cancelled as by Ctrl+C, and resumed it finishes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from storage.jobs.line import OPEN, JobLine
from storage.jobs.runner import cancel
from storage.jobs.telling import in_full
from storage.rows import JobRow
from storage.workspace import Workspace
from tests.trainers.test_commands import Shop, shop, sign  # noqa: F401  # a fixture


def until_over(line: JobLine, job_id: str) -> JobRow:
    give_up_at = time.monotonic() + 240
    while (job := line.find(job_id)).status in OPEN and time.monotonic() < give_up_at:
        time.sleep(0.2)
    return job


@pytest.mark.slow
def test_a_queued_training_is_cancelled_and_resumed_it_finishes(shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    sign(shop)
    words = ("train", "sft", "--config", str(tmp_path / "sft.toml"))
    job_id = json.loads(shop.run(*words, "--queue", "--json"))["job_id"]
    with shop.store() as store:
        line = JobLine(Workspace.open(shop.root), store)
        give_up_at = time.monotonic() + 120
        while line.find(job_id).run_id is None and time.monotonic() < give_up_at:
            time.sleep(0.05)
        assert cancel(line, job_id) == "cancelled", line.folder(job_id).last_lines(20)
        cancelled = line.find(job_id)
        (run,) = store.read("run", run_id=cancelled.run_id).to_pylist()
        assert run["status"] == "interrupted"
        assert line.resume(job_id) and line.start_waiting() == 1
        job = until_over(line, job_id)
        told = in_full(line, job, n_lines=20)
        assert job.status == "finished", told["log"]
        assert told["progress"]["done"] == told["progress"]["total"]
    assert (shop.root / "runs" / str(job.run_id) / "run.json").is_file()
    assert "nothing to do" in shop.run(*words)


@pytest.mark.slow
def test_a_followed_training_is_told_to_its_end_and_its_model_has_a_card(shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    sign(shop)
    words = ("train", "sft", "--config", str(tmp_path / "sft.toml"), "--wait", "--json")
    told = json.loads(shop.run(*words))
    assert (told["status"], told["exit_status"], told["result"]["n_steps"]) == ("finished", 0, 150)
    assert (shop.root / "runs" / told["run_id"] / "model" / "README.md").read_text().startswith("---\n")
    again = json.loads(shop.run(*words))
    assert again["result"]["nothing_to_do"] and again["job_id"] != told["job_id"]

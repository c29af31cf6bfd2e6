import json

import pytest

from storage.errors import UserError
from trainers.runs.directory import RunDirectory, find_run, open_run


@pytest.fixture
def run(tmp_path):
    made = RunDirectory(tmp_path / "runs" / "run_1")
    made.describe(run_key="k", status="running")
    return made


def test_what_is_described_adds_up(run) -> None:
    run.describe(status="finished", n_steps=3)
    assert run.read() == {"run_key": "k", "status": "finished", "n_steps": 3}


def test_an_altered_description_is_refused(run) -> None:
    path = run.path / "run.json"
    path.write_text(path.read_text().replace("running", "finished"))
    with pytest.raises(UserError, match="altered"):
        run.read()
    assert find_run(run.path.parent, "k") is None


def test_the_last_whole_checkpoint_is_gone_on_from(run) -> None:
    for step in (2, 10, 11, 12):
        folder = run.checkpoints_dir / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "weights").write_text(f"weights {step}")
        if step != 12:  # killed while it was written
            run.complete_checkpoint(folder)
    (run.checkpoints_dir / "checkpoint-11" / "weights").write_text("altered")
    assert run.last_checkpoint() == run.checkpoints_dir / "checkpoint-10"


def test_a_checkpoint_of_another_model_is_refused(run) -> None:
    other = RunDirectory(run.path.parent / "run_2")
    folder = other.checkpoints_dir / "checkpoint-3"
    folder.mkdir(parents=True)
    other.complete_checkpoint(folder)
    run.path.mkdir(parents=True, exist_ok=True)
    other.checkpoints_dir.rename(run.checkpoints_dir)
    with pytest.raises(UserError, match=r"checkpoint-3 was written by run_2, not by run_1.*mv "):
        run.last_checkpoint()


def test_what_was_half_written_is_dropped_and_what_is_whole_stays(run) -> None:
    for step in (1, 2):
        (run.checkpoints_dir / f"checkpoint-{step}").mkdir(parents=True)
    run.complete_checkpoint(run.checkpoints_dir / "checkpoint-1")
    run.drop_unfinished()
    assert [path.name for path in run.checkpoints_dir.iterdir()] == ["checkpoint-1"]


def test_metrics_after_the_checkpoint_are_made_again(run) -> None:
    for step in (1, 2, 3):
        run.append_metrics({"step": step})
    with run.metrics_file.open("a") as file:
        file.write('{"step": 4, "lo')  # killed in mid-line
    run.rewind_metrics(2)
    assert [json.loads(line) for line in run.metrics_file.read_text().splitlines()] == [{"step": 1}, {"step": 2}]


def test_a_finished_run_is_found_before_an_unfinished(run) -> None:
    done = RunDirectory(run.path.parent / "run_0")
    done.describe(run_key="k", status="finished")
    assert find_run(run.path.parent, "k") == done
    assert find_run(run.path.parent, "other") is None


def test_a_run_has_one_trainer_at_a_time(run) -> None:
    with run.locked(), pytest.raises(UserError, match="being trained by another process"), run.locked():
        pass
    with run.locked():
        pass


def test_an_unknown_run_is_told_with_those_there_are(run) -> None:
    with pytest.raises(UserError, match=r"no run 'run_9'.*run_1"):
        open_run(run.path.parent, "run_9")

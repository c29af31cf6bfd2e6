import pytest

from storage.training.run_list import RunStatus, list_runs
from trainers.runs.directory import RunDirectory


@pytest.fixture
def made(tmp_path):
    def make(name, **changed):
        run = RunDirectory(tmp_path / name)
        values = {
            "status": "finished", "method": "sft", "snapshot_id": "snap_1", "config": {"model": "tiny"}, "n_rows": 60,
            "started_at": f"2026-01-01 {name}",
        }  # fmt: skip
        run.describe(**values | changed)
        return run

    return make


def test_runs_are_told_the_latest_first_and_by_what_they_go_on_from(made, tmp_path) -> None:
    made("run_1", seconds=3.5, n_steps=150).write_progress(done=140, total=150, loss=0.25, seconds=3.4)
    made("run_2", method="grpo", started_from={"run_id": "run_1"})
    second, first = list_runs(tmp_path)
    assert (first.run_id, first.status, first.started_from) == ("run_1", RunStatus.FINISHED, "tiny")
    assert (first.done, first.total, first.loss, first.seconds) == (150, 150, 0.25, 3.5)
    assert (second.run_id, second.started_from, second.done) == ("run_2", "run_1", None)


def test_a_run_that_nobody_trains_is_stopped(made, tmp_path) -> None:
    run = made("run_1", status="running")
    assert list_runs(tmp_path)[0].status is RunStatus.STOPPED
    with run.locked():
        assert list_runs(tmp_path)[0].status is RunStatus.RUNNING
    assert list_runs(tmp_path)[0].status is RunStatus.STOPPED


def test_half_written_and_altered_runs_are_told_as_such_and_come_last(made, tmp_path) -> None:
    made("run_3")
    (tmp_path / "run_9").mkdir()
    altered = made("run_8")
    path = altered.path / "run.json"
    path.write_text(path.read_text()[:-20])
    (tmp_path / "notes.txt").write_text("no run")
    lines = list_runs(tmp_path)
    assert [line.run_id for line in lines] == ["run_3", "run_8", "run_9"]
    assert [line.status for line in lines[1:]] == [RunStatus.UNREADABLE] * 2
    assert "run.json cannot be read" in str(lines[2].problem)


def test_an_empty_workspace_has_none(tmp_path) -> None:
    assert list_runs(tmp_path / "runs") == []


def test_the_newest_finished_run_is_found_beside_half_written_ones(made, tmp_path) -> None:
    from trainers.prerequisites import find_newest_run

    made("run_1", finished_at="2026-01-01")
    (tmp_path / "run_2").mkdir()
    (tmp_path / "run_2" / "run.json").write_text('{"status": "fin')
    assert find_newest_run(tmp_path) == "run_1"

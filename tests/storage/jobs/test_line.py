"""The line: what starts when, and what becomes of a job in whatever way it ends. This process is the runner."""

from __future__ import annotations

import os
import shutil

import pytest

from storage.errors import UserError
from storage.jobs.job_command import JobCommand
from storage.jobs.line import JobLine
from storage.jobs.telling import in_full, why
from storage.jobs.verbs import Lane, read_limits
from storage.liveness import own_process

from .conftest import STATUS

TRAIN = JobCommand("train", ("sft",), {"--snapshot": "snap_1"})


def queued(line: JobLine, *commands: JobCommand) -> list[str]:
    return [line.queue(command, account="eli").job_id for command in commands]


def claimed(line: JobLine) -> str | None:
    taken = line.claim()
    return taken.job.job_id if taken else None


def test_jobs_start_in_order_and_each_lane_has_its_bound(line: JobLine) -> None:
    trains, others = queued(line, TRAIN, TRAIN), queued(line, STATUS, STATUS, STATUS)
    assert [claimed(line) for _ in range(4)] == [trains[0], others[0], others[1], None]


def test_the_end_of_a_job_lets_the_next_of_its_lane_start(line: JobLine) -> None:
    first, second = queued(line, TRAIN, TRAIN)
    taken = line.claim()
    assert taken is not None and claimed(line) is None
    assert line.end(taken, 0) == "finished"
    assert claimed(line) == second
    assert line.find(first).exit_status == 0 and line.find(first).finished_at is not None


def test_a_job_that_fails_says_with_which_status_or_signal(line: JobLine) -> None:
    for exit_status, said in ((2, "exit status 2"), (-9, "killed by signal 9 (SIGKILL); often"), (-99, "signal 99")):
        (job_id,) = queued(line, STATUS)
        taken = line.claim()
        assert taken is not None and line.end(taken, exit_status) == "failed"
        assert said in str(why(line.find(job_id)))


def test_a_job_whose_lock_nobody_holds_is_lost_and_can_be_resumed(line: JobLine) -> None:
    (job_id,) = queued(line, STATUS)
    taken = line.claim()
    assert taken is not None
    assert not line.resume(job_id)  # it runs
    os.close(taken.lock)  # as the kernel does when the holders are dead
    assert line.resume(job_id)  # which looks first
    again = line.find(job_id)
    assert (again.status, again.started_at, again.process, again.finished_at) == ("queued", None, None, None)
    assert claimed(line) == job_id


def test_after_a_restart_of_the_machine_a_running_job_is_lost_though_its_number_is_another_s(line: JobLine) -> None:
    (job_id,) = queued(line, STATUS)
    host, _, number, started = own_process().rsplit("/", 3)  # this very number, in another life of the machine
    then = {"process": f"{host}/another-boot/{number}/{started}", "started_at": "2001-01-01 00:00:00"}
    line._store.update_job(job_id, status="running", **then)
    assert line.ask_to_cancel(job_id).status == "lost"
    assert why(line.find(job_id)) == "the machine was started anew while it ran"
    assert line.ask_to_cancel(job_id).status == "cancelled"  # nobody will go on with it


def test_a_job_on_another_host_is_left_alone_and_counted(line: JobLine) -> None:
    first, _ = queued(line, TRAIN, TRAIN)
    line._store.update_job(first, status="running", process="elsewhere/boot/1/2")
    assert claimed(line) is None
    assert line.find(first).status == "running"


def test_a_waiting_job_is_cancelled_at_once_and_never_starts(line: JobLine) -> None:
    (job_id,) = queued(line, STATUS)
    assert line.ask_to_cancel(job_id).status == "cancelled"
    assert claimed(line) is None
    assert line.resume(job_id) and claimed(line) == job_id


def test_a_job_that_was_asked_to_end_is_cancelled_but_finished_when_it_was_faster(line: JobLine) -> None:
    for exit_status, said in ((1, "cancelled"), (-15, "cancelled"), (0, "finished")):
        (job_id,) = queued(line, STATUS)
        taken = line.claim()
        assert taken is not None
        assert line.ask_to_cancel(job_id).status == "running"
        assert line.end(taken, exit_status) == said


def test_a_row_whose_folder_a_backup_did_not_bring_is_lost_and_what_follows_starts(line: JobLine) -> None:
    gone, there = queued(line, STATUS, STATUS)
    shutil.rmtree(line.folder(gone).path)
    assert claimed(line) == there
    assert line.find(gone).status == "lost"
    with pytest.raises(UserError, match="afrel jobs start"):
        line.resume(gone)


def test_the_same_id_is_asked_for_once_and_keeps_its_first_configuration(line: JobLine) -> None:
    first = line.queue(TRAIN, account=None, config="seed = 1\n", job_id="job_same")
    second = line.queue(TRAIN, account=None, config="seed = 2\n", job_id="job_same")
    assert (first.is_new, second.is_new, len(line.all())) == (True, False, 1)
    config = line.folder("job_same").config
    assert config is not None and config.read_text() == "seed = 1\n"


def test_what_is_told_has_the_end_of_the_log_whatever_is_in_it(line: JobLine) -> None:
    (job_id,) = queued(line, STATUS)
    folder = line.folder(job_id)
    folder.log.write_bytes(b"x" * 10_000_000 + b"\nloss \xff\xfe nan\n" + "שלום 🙂 é\n".encode())
    (folder.path / "progress.json").write_text('{"done": 3, "total": 7}')
    told = in_full(line, line.find(job_id), n_lines=2)
    assert told["log"] == ["loss \ufffd\ufffd nan", "שלום 🙂 é"]
    assert told["progress"] == {"done": 3, "total": 7}
    (folder.path / "progress.json").write_text("")
    assert in_full(line, line.find(job_id), n_lines=0)["progress"] is None


@pytest.mark.parametrize("verb", ["serve", "sign", "respond", "--help", "", "../afrel", "jobs"])
def test_what_needs_a_person_or_is_no_verb_is_no_job(line: JobLine, verb: str) -> None:
    with pytest.raises(UserError, match="cannot be a job"):
        line.queue(JobCommand(verb), account=None)


def test_an_unknown_job_is_told_with_the_next_command(line: JobLine) -> None:
    with pytest.raises(UserError, match="afrel jobs"):
        line.find("job_x' or '1'='1")


def test_limits_come_from_afrel_toml_with_all_mistakes_at_once() -> None:
    assert read_limits({}) == {Lane.TRAINING: 1, Lane.OTHER: 2}
    assert read_limits({"jobs": {"training": 3}}) == {Lane.TRAINING: 3, Lane.OTHER: 2}
    with pytest.raises(UserError) as told:
        read_limits({"jobs": {"training": 0, "other": True, "gpus": 2}})
    assert all(word in str(told.value) for word in ("3 mistake", "training = 0", "other = True", "'gpus'"))
    with pytest.raises(UserError, match=r"\[jobs\]"):
        read_limits({"jobs": 3})


def test_a_job_s_row_is_updated_in_known_columns_only(line: JobLine) -> None:
    for values in ({"verb": "sign"}, {"fields": "{}"}, {"account": "root"}, {}):
        with pytest.raises(UserError, match="can be set"):
            line._store.update_job("job_1", **values)

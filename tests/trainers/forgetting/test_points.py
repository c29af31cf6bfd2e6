"""Points in a run's folder and in the store: what is kept, what is made again, what is the best."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from storage.errors import UserError
from storage.store import Store
from trainers.forgetting.alarms import Answers, Change, SliceKind
from trainers.forgetting.points import (
    Point,
    append_point,
    best_point,
    lines_file,
    read_points,
    read_start,
    rewind_points,
    write_start,
)
from trainers.forgetting.recalls import recall_rows
from trainers.runs.directory import RunDirectory

AT = datetime(2026, 1, 1)


def point(step: int, reward: float, *, after: float = 1.0, is_alarm: bool = False) -> Point:
    rule = Change(SliceKind.RULE, "r_1", 8, 1.0, after, 0.5, is_alarm)
    traces = Change(SliceKind.TRACES, "", 8, 1.0, 1.1, 0.5, is_alarm=False)
    return Point(step, 8, reward, {"exact_grade": reward, "valid_citations": None}, 0.3, 1.1, 0.1, [rule, traces])


def test_the_best_point_has_the_highest_reward_without_an_alarm_and_of_equals_is_the_earliest() -> None:
    points = [point(0, 0.5), point(10, 0.7), point(20, 0.7), point(30, 0.9, is_alarm=True)]
    assert best_point(points).step == 10
    assert best_point([point(0, 0.5), point(10, 0.9, is_alarm=True)]).step == 0
    assert best_point([point(0, 0.5), point(10, 0.4)]).step == 0


def test_points_are_read_as_they_were_written_but_for_a_line_cut_off(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert read_points(run) == []
    for one in (point(0, 0.5), point(10, 0.6, after=0.2, is_alarm=True)):
        append_point(run, one)
    with lines_file(run).open("a") as file:
        file.write('{"step": 20, "n"')
    assert read_points(run) == [point(0, 0.5), point(10, 0.6, after=0.2, is_alarm=True)]
    assert [one.name for one in read_points(run)[1].alarms] == ["r_1"]


def test_points_after_a_checkpoint_are_dropped_and_the_start_stays(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for step in (0, 10, 20):
        append_point(run, point(step, 0.5))
    assert [one.step for one in rewind_points(run, 10)] == [0, 10]
    assert [one.step for one in rewind_points(run, 0)] == [0]
    assert [one.step for one in read_points(run)] == [0]


def test_the_start_s_answers_come_back_to_the_last_bit_and_only_for_the_same_pairs(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    start = Answers(np.array([True, False, True]), np.array([0.1, 1 / 3, 2.5]))
    with pytest.raises(UserError, match=r"cannot be read.*Train anew"):
        read_start(run, "d", has_points=True)
    write_start(run, start, "d")
    held = read_start(run, "d", has_points=True)
    assert held.is_right.tolist() == start.is_right.tolist() and held.trace_nll.tolist() == start.trace_nll.tolist()
    with pytest.raises(UserError, match=r"other held-back pairs.*Train anew"):
        read_start(run, "e", has_points=True)
    with pytest.raises(UserError, match=r"lacks the start's measurement"):
        read_start(run, "d", has_points=False)


def test_the_store_holds_each_rule_once_and_lists_what_finished_runs_forgot(store: Store) -> None:
    points = [point(0, 0.5), point(10, 0.6, after=0.25, is_alarm=True), point(20, 0.6, after=0.5, is_alarm=True)]
    run = {"verb": "train", "config": "{}", "code_version": "0", "started_at": AT, "finished_at": AT}
    runs = [{**run, "run_id": "run_1", "status": "finished"}, {**run, "run_id": "run_2", "status": "failed"}]
    rule = {
        "rule_id": "r_1", "text": "no oak", "condition": "true", "grade": 0, "origin": "mined", "run_id": "run_1",
        "created_at": AT,
    }  # fmt: skip
    store.append({"runs": runs, "rules": [rule]})
    for run_id in ("run_1", "run_1", "run_2"):
        store.append({"rule_recalls": recall_rows(points, run_id=run_id, at=AT)})
    (forgotten,) = store.read("forgotten_rules").to_pylist()
    assert forgotten["train_run_id"] == "run_1" and forgotten["text"] == "no oak"
    assert (forgotten["step"], forgotten["n"], forgotten["recall_before"], forgotten["recall_after"]) == (20, 8, 1, 0.5)
    assert not [one for one in store.examine() if one["what"].startswith("rule_recalls have ids")]

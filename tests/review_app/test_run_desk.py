"""Runs as the page sees them: from their folders and the store, each person what they may; compare, report, measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from review_app import run_desk, run_work
from review_app.afrel_process import ask_afrel
from storage.errors import UserError
from storage.jobs.job_command import JobCommand
from storage.jobs.line import JobLine
from storage.store import Store
from storage.training.run_list import RunStatus
from tests.review_app.run_shop import add_measures, add_point, add_run, add_steps, training
from tests.review_app.tier_shop import Shop


@pytest.fixture
def runs(shop: Shop, shop_store: Store) -> Path:
    """Three runs: sft, then grpo from it that trains, and what was cut off."""
    root = shop.workspace.root
    first = add_run(root, "run_1", at="10:00")
    add_steps(first, [{"step": n, "loss": 2 - n / 20, "grade_loss": 1.0} for n in range(1, 21)], total=20)
    add_run(root, "run_2", at="11:00")
    alive = add_run(root, "run_3", at="12:00", method="grpo", status="running", started_from={"run_id": "run_1"})
    add_steps(alive, [{"step": 5, "loss": 0.5, "reward": 0.25}], total=20)
    add_point(alive, 0, {"r_1": 1.0, "r_2": 1.0})
    add_point(alive, 5, {"r_1": 0.25, "r_2": 1.0}, rang=["r_1"])
    (root / "runs" / "run_4").mkdir()
    add_measures(shop_store, "run_1", "dev", accuracy=0.6)
    add_measures(shop_store, "run_1", "dev", accuracy=0.7)
    add_measures(shop_store, "run_1", "test", accuracy=0.5)
    add_measures(shop_store, "run_2", "dev", accuracy=0.4, snapshot_id="snap_2")
    add_measures(shop_store, "run_2", "test", accuracy=0.4)
    return root / "runs"


def test_runs_are_listed_the_latest_first_with_state_figures_and_what_they_forgot(
    shop: Shop, shop_store: Store, runs: Path
) -> None:
    with training(runs / "run_3"):
        rows = run_desk.see_runs(shop.people["eli"], shop.workspace, shop_store)
    assert [row.run_id for row in rows] == ["run_3", "run_2", "run_1", "run_4"]
    alive, _, first, cut_off = rows
    assert (alive.line.status, alive.is_alive, alive.n_forgotten, alive.job) == (RunStatus.RUNNING, True, 1, None)
    assert (alive.line.done, alive.line.total, alive.line.seconds_left) == (5, 20, 30.0)
    assert cut_off.line.status is RunStatus.UNREADABLE and not cut_off.grades
    measured = first.on("dev", "accuracy")
    assert measured is not None
    assert (measured.value, measured.low, measured.high, measured.n) == (
        0.7,
        pytest.approx(0.6),
        pytest.approx(0.8),
        40,
    )
    assert {(one.split, one.metric) for one in first.measured} == {
        (split, metric) for split in ("dev", "test") for metric in ("accuracy", "macro_f1")
    }
    again = run_desk.see_run(shop.people["eli"], shop.workspace, shop_store, "run_3")
    assert again.line.status is RunStatus.STOPPED and again.n_forgotten == 1


def test_a_finished_run_that_forgot_nothing_is_told_from_one_nobody_watched(shop: Shop, shop_store: Store) -> None:
    root = shop.workspace.root
    watched = add_run(root, "run_1", at="10:00", method="grpo")
    add_point(watched, 0, {"r_1": 1.0})
    add_point(watched, 20, {"r_1": 0.75})
    add_run(root, "run_2", at="11:00")
    rows = run_desk.see_runs(shop.people["eli"], shop.workspace, shop_store)
    assert {row.run_id: row.n_forgotten for row in rows} == {"run_1": 0, "run_2": None}


@pytest.mark.usefixtures("runs")
def test_figures_of_test_rows_are_for_who_may_train(shop: Shop, shop_store: Store) -> None:
    for account, splits in (("cleo", {"dev"}), ("eli", {"dev", "test"}), ("root", {"dev", "test"})):
        rows = run_desk.see_runs(shop.people[account], shop.workspace, shop_store)
        assert {one.split for row in rows for one in row.measured} == splits, account
    for account in ("ana", "dora"):
        with pytest.raises(UserError, match="may not prepare candidates"):
            run_desk.see_runs(shop.people[account], shop.workspace, shop_store)


@pytest.mark.usefixtures("runs")
def test_a_job_that_trains_a_run_is_found_with_it(shop: Shop, shop_store: Store) -> None:
    line = JobLine(shop.workspace, shop_store)
    job_id = line.queue(JobCommand("train", ("grpo",)), account="eli").job_id
    shop_store.update_job(job_id, run_id="run_3")
    rows = run_desk.see_runs(shop.people["eli"], shop.workspace, shop_store)
    assert [row.job.job_id if row.job else None for row in rows] == [job_id, None, None, None]


def test_curves_come_with_what_they_are_watched_by_and_what_came_before(
    shop: Shop, shop_store: Store, runs: Path
) -> None:
    eli = shop.people["eli"]
    curves = run_desk.see_curves(eli, shop.workspace, shop_store, "run_3")
    assert (curves.watched, curves.curves["reward"].values) == ("reward", (0.25,))
    assert curves.held_back is not None and [one.is_forgotten for one in curves.held_back.slices] == [True, False]
    assert run_desk.see_curves(eli, shop.workspace, shop_store, "run_1").watched == "grade_loss"
    rows = run_desk.see_runs(eli, shop.workspace, shop_store)
    assert [one.run_id if (one := run_desk.earlier_run(rows, row)) else None for row in rows] == [
        None, "run_1", None, None,
    ]  # fmt: skip
    (runs / "run_1" / "metrics.jsonl").write_text("[]\n")
    with pytest.raises(UserError, match="no JSON object"):
        run_desk.see_curves(eli, shop.workspace, shop_store, "run_1")


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("name", ["run_9", "", "run_", "../shop", "run_1/../run_1", "run_1\n", "/etc", "run_\u202e"])
def test_what_is_no_run_of_the_workspace_is_refused(shop: Shop, shop_store: Store, name: str) -> None:
    for look in (run_desk.see_run, run_desk.see_curves):
        with pytest.raises(UserError, match="there is no run"):
            look(shop.people["eli"], shop.workspace, shop_store, name)
    with pytest.raises(UserError, match="there is no run"):
        run_work.report_of(shop.people["eli"], shop.workspace, name)


@pytest.mark.usefixtures("runs")
def test_runs_are_found_by_any_of_their_words(shop: Shop, shop_store: Store) -> None:
    rows = run_desk.see_runs(shop.people["eli"], shop.workspace, shop_store)
    found = {text: [row.run_id for row in run_desk.find_runs(rows, text)] for text in ("", "GRPO run_1", "tiny", "x y")}
    assert found == {"": ["run_3", "run_2", "run_1", "run_4"], "GRPO run_1": ["run_3"], "tiny": ["run_2", "run_1"],
                     "x y": []}  # fmt: skip


@pytest.mark.usefixtures("runs")
def test_two_runs_are_compared_where_both_were_measured_on_the_same_snapshot(shop: Shop, shop_store: Store) -> None:
    _, second, first, _ = run_desk.see_runs(shop.people["eli"], shop.workspace, shop_store)
    assert run_work.shared_splits(first, second) == ["test"]
    assert run_work.shared_splits(first, first) == ["dev", "test"]
    for a, b, split, told in (
        ("run_1", "run_1", "dev", "Choose two"),
        ("run_1", "run_9", "dev", "no run"),
        ("run_1", "run_2", "x", "no split"),
    ):
        with pytest.raises(UserError, match=told):
            run_work.begin_compare(shop.people["eli"], shop.workspace, a, b, split=split)
    for account in ("cleo", "ana"):
        with pytest.raises(UserError, match="may not train"):
            run_work.begin_compare(shop.people[account], shop.workspace, "run_1", "run_2", split="test")
        with pytest.raises(UserError, match="may not train"):
            run_work.begin_report(shop.people[account], shop.workspace, "run_1")


def test_a_report_is_found_once_it_is_there(shop: Shop, runs: Path) -> None:
    assert run_work.report_of(shop.people["cleo"], shop.workspace, "run_1") is None
    (runs / "run_1" / "report.html").write_text("<p>all of it")
    held = run_work.report_of(shop.people["cleo"], shop.workspace, "run_1")
    assert held is not None and held[0] == runs / "run_1" / "report.html"
    with pytest.raises(UserError, match="may not prepare"):
        run_work.report_of(shop.people["dora"], shop.workspace, "run_1")


@pytest.mark.usefixtures("runs")
def test_measuring_a_run_is_queued_by_who_may_train(shop: Shop, shop_store: Store) -> None:
    line = JobLine(shop.workspace, shop_store)
    line.queue(JobCommand("check"), account=None)
    assert line.claim() is not None  # the training lane is taken: nothing starts here
    job_id = run_work.measure(shop.people["eli"], shop.workspace, shop_store, "run_1", split="test")
    job = line.find(job_id)
    assert (job.verb, job.status, job.account) == ("evaluate", "queued", "eli")
    command = JobCommand.from_fields(job.verb, job.fields)
    assert (command.words, command.options) == (("run_1",), {"--split": "test"})
    for account, split in (("cleo", "test"), ("eli", "train")):
        with pytest.raises(UserError):
            run_work.measure(shop.people[account], shop.workspace, shop_store, "run_1", split=split)


def test_a_verb_says_what_it_prints_and_refuses_in_its_own_words(shop: Shop) -> None:
    root = shop.workspace.root
    assert ask_afrel(root, ["runs", "--json"]).strip() == "[]"
    with pytest.raises(UserError, match=r"^there is no job 'job_x'"):
        ask_afrel(root, ["jobs", "show", "--", "job_x"])

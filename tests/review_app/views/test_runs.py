"""The page of runs as each role sees it: figures, curves, alarms, the form; in both languages, and empty."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from review_app.long_work import WORK
from review_app.views.numbers import grey
from storage.clock import now
from storage.jobs.job_command import JobCommand
from storage.jobs.line import JobLine
from storage.store import Store
from tests.review_app.run_shop import add_measures, add_point, add_run, add_steps, cut_and_signed, training
from tests.review_app.tier_shop import Shop
from tests.review_app.views.drawn import button, drawn, field, words

EVIL = "![x](https://evil.example/a.png) <b>bold</b>"


@pytest.fixture
def runs(shop: Shop, served_store: Store) -> Path:
    """A finished run that was measured, and one that forgets."""
    root = shop.workspace.root
    add_steps(add_run(root, "run_1", at="10:00"), [{"step": 20, "loss": 0.5, "grade_loss": 1.0}], total=20)
    made = {"method": "grpo", "status": "running", "started_from": {"run_id": EVIL}}
    alive = add_run(root, "run_3", at="12:00", **made)
    add_steps(alive, [{"step": n, "loss": 0.5, "reward": n / 20} for n in (5, 10)], total=20)
    add_point(alive, 0, {"r_1": 1.0, "r_2": 1.0})
    add_point(alive, 10, {"r_1": 0.25, "r_2": 1.0}, rang=["r_1"])
    add_measures(served_store, "run_1", "dev", accuracy=0.7)
    add_measures(served_store, "run_1", "test", accuracy=0.6)
    return root / "runs"


def test_who_trains_watches_a_run_and_its_alarms(shop: Shop, runs: Path) -> None:
    with training(runs / "run_3"):
        app = drawn(shop, "runs", "eli")
    assert not app.exception
    assert app.selectbox[0].value == "run_3"  # what trains is open first
    seen = words(app)
    assert (
        "at step 10 the alarm rang for 1 of the rules. Worst is r_1: recall 100% at the start, 25% now, n = 4" in seen
    )
    (bar,) = app.get("progress")
    assert "10 s so far. 0.33 steps/s. About 30 s left." in bar.proto.text  # as for those left
    assert "![x](" in seen and "<b>" in seen  # as it is written, made harmless
    charts = app.get("vega_lite_chart")
    assert len(charts) == 3  # loss, reward, recall by rule
    axes = [json.loads(chart.proto.spec)["config"]["axis"] for chart in charts]
    assert axes == [{"labelColor": grey(), "titleColor": grey()}] * 3
    app.selectbox[0].set_value("run_1").run()
    assert "On 40 test pairs of snap_1: accuracy 0.600 [0.500, 0.700]" in words(app)
    assert {"Measure it", "Write the report"} <= {one.label for one in app.button}


@pytest.mark.usefixtures("runs")
def test_a_curator_looks_and_is_shown_no_figure_of_test_rows(shop: Shop) -> None:
    app = drawn(shop, "runs", "cleo")
    app.selectbox[0].set_value("run_1").run()
    assert not app.exception
    assert "On 40 dev pairs" in words(app) and "test pairs" not in words(app)
    assert [one.label for one in app.button] == []
    assert app.segmented_control[0].options == ["Runs", "Jobs"]


def test_an_expert_is_told_who_may_look(shop: Shop) -> None:
    for account in ("ana", "dora"):
        app = drawn(shop, "runs", account)
        assert "may not prepare candidates" in words(app) and not app.dataframe and not app.button


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_part_says_what_will_be_there(shop: Shop, language: str) -> None:
    app = drawn(shop, "runs", "eli", language)
    for part in ("runs", "compare", "jobs", "train"):
        app.segmented_control[0].set_value(part).run()
        assert not app.exception and len(app.info) == 1, part


def test_a_job_is_looked_at_cancelled_and_resumed(shop: Shop, served_store: Store) -> None:
    line = JobLine(shop.workspace, served_store)
    line.queue(JobCommand("check"), account=None, job_id="job_0")
    assert line.claim() is not None  # the training lane is taken: nothing starts here
    line.queue(JobCommand("train", ("sft",)), account="eli", job_id="job_1")
    app = drawn(shop, "runs", "eli")
    app.segmented_control[0].set_value("jobs").run()
    assert "It waits for its turn. Asked for by eli" in words(app)
    button(app, "Cancel the job").click().run()
    assert line.find("job_1").status == "cancelled" and "It was cancelled." in words(app)
    button(app, "Resume the job").click().run()
    assert line.find("job_1").status == "queued" and "job_1 is in the line again" in words(app)


def test_no_tier_chosen_is_all_that_are_signed(shop: Shop, served_store: Store) -> None:
    cut_and_signed(shop.workspace, served_store, [1])  # tier 3 has rows and is not signed
    line = JobLine(shop.workspace, served_store)
    line.queue(JobCommand("check"), account=None, job_id="job_0")
    assert line.claim() is not None
    app = drawn(shop, "runs", "eli", "zh")
    app.segmented_control[0].set_value("train").run()
    for _ in range(200):
        if app.number_input:
            break
        app.run()
    tiers = field(app, "tiers", "multiselect")
    assert (tiers.value, tiers.placeholder) == ([1], "所有已签署的层级")
    assert field(app, "report_to", "multiselect").placeholder == "不发送"
    tiers.set_value([])
    button(app, "开始训练").click().run()
    (job,) = (job for job in line.all() if job.verb == "train")
    assert tomllib.loads((line.folder(job.job_id).path / "config.toml").read_text()) == {"tiers": [1]}


def test_a_comparison_says_what_a_lost_rule_says(shop: Shop, runs: Path, served_store: Store) -> None:
    rule = {"rule_id": "r_1", "text": "Where a size conflicts, the grade is 1.", "condition": "true", "grade": 1}
    served_store.append({"rules": [{**rule, "origin": "mined", "run_id": "run_1", "created_at": now()}]})
    add_run(runs.parent, "run_2", at="11:00")
    add_measures(served_store, "run_2", "dev", accuracy=0.6)
    told = {
        "a": "run_1", "b": "run_2", "n": 40, "snapshot_id": "snap_1", "split": "dev", "differences": [],
        "mcnemar": {"n_both": 20, "n_only_a": 8, "n_only_b": 4, "n_neither": 8, "p": 0.388},
        "rules": [{"rule_id": "r_1", "n": 24, "a": 0.75, "b": 0.5, "p": 0.03}],
    }  # fmt: skip
    WORK.begin(("compare runs", shop.workspace.root, "eli"), "eli", lambda _watch, _stop: told).wait()
    app = drawn(shop, "runs", "eli")
    app.segmented_control[0].set_value("compare").run()
    assert not app.exception
    assert "McNemar p = 0.388: how likely so large a difference is if neither is better." in words(app)
    (rules,) = (one.value for one in app.dataframe if "r_1" in one.value.to_numpy())
    assert rules.iloc[0].tolist() == ["r_1", 24, 75.0, 50.0, -25.0, 0.03, rule["text"]]


def test_a_trainer_is_started_with_the_form_of_its_schema(shop: Shop, served_store: Store) -> None:
    snapshot_id = cut_and_signed(shop.workspace, served_store, [1, 3])
    line = JobLine(shop.workspace, served_store)
    line.queue(JobCommand("check"), account=None, job_id="job_0")
    assert line.claim() is not None
    app = drawn(shop, "runs", "eli")
    app.segmented_control[0].set_value("train").run()
    for _ in range(200):
        if app.number_input:
            break
        app.run()
    assert not app.exception
    assert field(app, "curriculum", "selectbox").options == ["mixture", "sequence", "random"]
    assert field(app, "epochs", "number_input").value is None
    assert "How often each row is visited." in field(app, "epochs", "number_input").help.replace("\\", "")
    field(app, "epochs", "number_input").set_value(2)
    field(app, "learning_rate", "number_input").set_value(0.0)
    button(app, "Start the training").click().run()
    assert "learning_rate: 0.0 must lie above 0" in words(app) and len(line.all()) == 1
    field(app, "learning_rate", "number_input").set_value(0.5)
    button(app, "Start the training").click().run()
    (job,) = (job for job in line.all() if job.verb == "train")
    assert f"{job.job_id} is in the line" in words(app) and "It waits for its turn." in words(app)
    kept = tomllib.loads((line.folder(job.job_id).path / "config.toml").read_text())
    assert kept == {"epochs": 2, "learning_rate": 0.5}
    assert JobCommand.from_fields(job.verb, job.fields).options == {"--snapshot": snapshot_id}

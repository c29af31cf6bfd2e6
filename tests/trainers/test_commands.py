"""The verbs as a user meets them, in a real workspace with its store process."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import typer
from typer.testing import CliRunner

from storage.errors import UserError
from storage.jobs.job_command import JobCommand
from storage.jobs.line import JobLine
from storage.people.accounts import pins_to_json
from storage.session import Session
from storage.snapshots.cutting import revoke, sign_tier
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import stop_store_process
from tests.trainers.conftest import RULE, SMALL, cut_snapshot, sample_rows
from tests.trainers.preflight.test_saving import files_up_to
from trainers import commands
from trainers.forgetting.alarms import SliceKind
from trainers.forgetting.points import read_points
from trainers.forgetting.recalls import recall_rows
from trainers.preflight.command import check
from trainers.report import carding
from trainers.report.command import report
from trainers.rollouts.command import rollout
from trainers.runs.command import runs
from trainers.runs.directory import RunDirectory
from trainers.train_command import train

AT = datetime(2026, 1, 1)
WRITTEN = ("rollouts", "difficulty_scores", "evaluations", "rule_recalls")


@dataclass
class Shop:
    root: Path
    snapshot: Any

    def run(self, *words: str) -> str:
        """Run a verb in this process; return its stdout. A UserError is raised as it is."""
        app = typer.Typer()
        for verb in ("evaluate", "score"):
            app.command(verb)(getattr(commands, verb))
        app.command("train")(train)
        app.command("check")(check)
        app.command("rollout")(rollout)
        app.command("report")(report)
        app.add_typer(runs)
        result = CliRunner().invoke(app, list(words), obj=Session(self.root, None))
        if result.exception is not None:
            raise result.exception
        return result.stdout

    def store(self) -> Store:
        return Store.connect(Workspace.open(self.root), sees_test=True)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A workspace with an unsigned snapshot, its people, and a small configuration in sft.toml."""
    torch.set_num_threads(1)  # models this small are slower on more
    root = tmp_path / "shop"
    root.mkdir()
    (root / "afrel.toml").write_text("")
    (tmp_path / "sft.toml").write_text("".join(f"{key} = {value}\n" for key, value in SMALL.items()))
    made = Shop(root.resolve(), cut_snapshot(root, sample_rows(), signed=False))
    accounts = [
        {
            "account_event_id": name, "account": name, "role": pin.role.value, "public_key": pin.public_key,
            "pseudonym": pin.pseudonym, "created_at": AT,
        }
        for name, pin in made.snapshot.pins.items()
    ]  # fmt: skip
    register = {
        "snapshot_id": made.snapshot.directory.name, "manifest_digest": "m", "account": "cleo", "n_rows": 78,
        "run_id": "run_c", "created_at": AT,
    }  # fmt: skip
    pairs = [
        {name: row[name] for name in ("pair_id", "query_id", "doc_id", "split")}
        | {"origin": "import", "source": "made", "run_id": "run_c", "created_at": AT}
        for row in sample_rows()
    ]
    queries = {
        pair["query_id"]: {
            "query_id": pair["query_id"], "text": pair["query_id"], "root_query_id": pair["query_id"],
            "split": pair["split"], "source": "made", "run_id": "run_c", "created_at": AT,
        }
        for pair in pairs
    }  # fmt: skip
    with made.store() as store:
        store.append({"accounts": accounts, "snapshots": [register], "queries": [*queries.values()], "pairs": pairs})
    yield made
    stop_store_process(made.root)


def sign(shop: Shop) -> None:
    for tier in (1, 2):
        sign_tier(shop.snapshot.directory, tier, key=shop.snapshot.signer, pins=shop.snapshot.pins)


def test_a_training_is_queued_only_when_its_snapshot_may_train(shop: Shop, tmp_path: Path) -> None:
    words = ("train", "sft", "--config", str(tmp_path / "sft.toml"), "--seed", "7", "--queue", "--json")
    with pytest.raises(UserError, match="tier 1 is not signed"):
        shop.run(*words)
    sign(shop)
    with shop.store() as store:
        line = JobLine(Workspace.open(shop.root), store)
        line.queue(JobCommand("check"), account=None)
        running = line.claim()
        assert running is not None  # the lane is taken: what is queued waits
        assert "snapshot" in json.loads(shop.run(*words, "--dry-run")) and len(line.all()) == 1
        job = line.find(json.loads(shop.run(*words))["job_id"])
        os.close(running.lock)
    assert (job.status, JobCommand.from_fields(job.verb, job.fields).told()) == (
        "queued",
        f"train sft --seed 7 --snapshot {shop.snapshot.directory.name}",
    )
    config = line.folder(job.job_id).config
    assert config is not None and config.read_text() == (tmp_path / "sft.toml").read_text()
    assert not (shop.root / "runs").exists()


def test_check_tries_everything_and_trains_nothing(shop: Shop, tmp_path: Path) -> None:
    config = str(tmp_path / "sft.toml")
    told = json.loads(shop.run("check", "--config", config, "--json"))
    assert told["is_sound"] and told["n_rows"] == 60
    assert len(set(told["grade_token_ids"].values())) == 3
    assert sum(one["n"] for one in told["lengths"]) == 60
    assert told["longest_batch"]["n_rows"] == 4 and told["longest_batch"]["need"]["total"] > 2**18
    assert told["chat"] is None
    lines = shop.run("check", "--config", config).splitlines()
    assert lines[0].startswith("sound: tiny says each grade in one token: 0 → ")
    assert lines[-1] == "chat template: none" and lines[-3].startswith("memory: about ")
    assert [path.name for path in shop.root.iterdir() if path.name.startswith((".check", "runs"))] == []


def test_each_way_to_train_tells_the_schema_of_its_configuration(shop: Shop) -> None:
    for method, key in (("sft", "curriculum"), ("dapt", "text_file"), ("dpo", "beta"), ("grpo", "group_size")):
        schema = json.loads(shop.run("train", method, "--schema"))
        assert schema["additionalProperties"] is False and key in schema["properties"]


def test_an_unsigned_an_altered_and_a_revoked_snapshot_train_nothing(shop: Shop, tmp_path: Path) -> None:
    config = str(tmp_path / "sft.toml")
    with pytest.raises(UserError, match=r"tier 1 is not signed .*afrel --as ACCOUNT sign"):
        shop.run("train", "sft", "--config", config)
    sign(shop)
    shop.run("train", "sft", "--config", config, "--dry-run")
    path = next(shop.snapshot.directory.glob("data/tier_1/train-*"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    with pytest.raises(UserError, match=r"altered"):
        shop.run("train", "sft", "--config", config)
    path.write_bytes(whole)
    revoke(shop.snapshot.directory, shop.snapshot.signer, tier=2, reason="wrong rule", pins=shop.snapshot.pins)
    with pytest.raises(UserError, match=r"revoked"):
        shop.run("train", "sft", "--config", config)


def test_a_revocation_in_the_store_counts_when_the_folder_s_was_put_back(shop: Shop, tmp_path: Path) -> None:
    sign(shop)
    with shop.store() as store:
        row = {"revocation_id": "v", "snapshot_id": shop.snapshot.directory.name, "tier": None, "account": "ada"}
        store.append({"revocations": [{**row, "reason": "wrong", "created_at": AT}]})
    with pytest.raises(UserError, match="revoked"):
        shop.run("train", "sft", "--config", str(tmp_path / "sft.toml"))


@pytest.mark.slow
def test_a_model_reads_texts_and_is_then_trained_to_grade(shop: Shop, tmp_path: Path) -> None:
    sign(shop)
    shared = ("tiny_vocabulary", "tiny_hidden_size", "tiny_layers", "tiny_heads")
    (tmp_path / "dapt.toml").write_text(
        "".join(f"{key} = {SMALL[key]}\n" for key in shared) + 'epochs = 1\ntext_file = "texts.txt"\n'
    )
    test_query = sample_rows()[-1]["query"]
    (tmp_path / "texts.txt").write_text(f"a lantern of brass\n{test_query}\n")
    words = ("train", "dapt", "--config", str(tmp_path / "dapt.toml"))
    run = json.loads(shop.run(*words, "--json"))
    assert (run["texts"]["n_lines"], run["texts"]["leaking"]) == (2, [2])
    assert run["perplexity_after"] < run["perplexity_before"]
    assert shop.run(*words).startswith(f"nothing to do: {run['run_id']} trained")
    for verb in (("evaluate", run["run_id"]), ("rollout", run["run_id"]), ("train", "dpo", "--model", run["run_id"])):
        with pytest.raises(UserError, match=rf"seen no grade yet.*afrel train sft --model {run['run_id']}"):
            shop.run(*verb)
    with pytest.raises(UserError, match="no finished run"):
        shop.run("evaluate")

    based = ("--model", run["run_id"], "--config", str(tmp_path / "sft.toml"))
    assert json.loads(shop.run("check", *based, "--json"))["is_sound"]
    settings = json.loads(shop.run("train", "sft", *based, "--dry-run"))
    assert settings["weight_decay"] == 0.1  # as a tiny model's
    trained = shop.run("train", "sft", *based)
    assert "60 rows · 150 steps" in trained
    assert shop.run("train", "sft", *based).startswith("nothing to do")
    listed = {line["run_id"]: line for line in json.loads(shop.run("runs", "--json"))}
    assert listed[run["run_id"]]["method"] == "dapt"
    assert listed[trained.split()[0]]["started_from"] == run["run_id"]
    assert json.loads(shop.run("evaluate", trained.split()[0], "--json"))["measures"]


def sample_and_prefer(shop: Shop, tmp_path: Path, run_id: str, accuracy: float) -> None:
    """Roll out a run that is evaluated on dev, train on its preferences, and compare the two."""
    words = ("rollout", run_id, "--samples", "4", "--limit", "30", "--temperature", "2", "--json")
    with pytest.raises(UserError, match=rf"{run_id} has no rollouts on train pairs yet.*afrel rollout"):
        shop.run("train", "dpo", "--model", run_id)
    assert json.loads(shop.run(*words, "--dry-run"))["n_pairs"] == 30
    sampled = json.loads(shop.run(*words))
    assert sampled["n_pairs"] == 30 and sampled["n_always"] + sampled["n_sometimes"] + sampled["n_never"] == 30
    assert [one["metric"] for one in sampled["measures"]] == ["pass@1", "pass@2", "pass@4"]
    assert json.loads(shop.run(*words)) == sampled | {"nothing_to_do": True}
    with shop.store() as store:
        assert len(store.read("train_rollouts", train_run_id=run_id)) == 120
        wrong = [one["what"] for one in store.examine() if "ids that do not follow" in one["what"]]
        assert not [what for what in wrong if what.startswith(WRITTEN)]
    (tmp_path / "dpo.toml").write_text('epochs = 1\nlearning_rate = 1e-3\ndevice = "cpu"\n')
    words = ("train", "dpo", "--model", run_id, "--config", str(tmp_path / "dpo.toml"))
    preferring = json.loads(shop.run(*words, "--json"))
    assert 0 < preferring["n_pairs"] <= 30 and preferring["n_steps"] == -(-preferring["n_pairs"] // 8)
    assert shop.run(*words).startswith(f"nothing to do: {preferring['run_id']} trained")

    with pytest.raises(UserError, match=rf"{preferring['run_id']} was not measured on dev rows yet.*afrel evaluate"):
        shop.run("runs", "compare", run_id, preferring["run_id"], "--split", "dev")
    shop.run("evaluate", preferring["run_id"])
    compared = json.loads(shop.run("runs", "compare", run_id, preferring["run_id"], "--split", "dev", "--json"))
    assert compared["n"] == 12 and compared["differences"][0]["a"] == accuracy
    assert sum(n for name, n in compared["mcnemar"].items() if name.startswith("n_")) == 12
    assert {"auc", "ece", "ndcg@10"} <= {one["metric"] for one in compared["differences"]}
    of = {one["metric"]: one for one in compared["differences"]}["macro_f1"]
    assert compared["retention"]["value"] == pytest.approx(of["b"] / of["a"])
    (rule,) = compared["rules"]
    assert rule["n"] == 9  # of 12 rows each fifth cites none
    assert "McNemar p = " in shop.run("runs", "compare", run_id, preferring["run_id"], "--split", "dev")
    listed = {line["run_id"]: line for line in json.loads(shop.run("runs", "--json"))}
    assert {line["method"] for line in listed.values()} == {"sft", "dpo", "grpo"}
    assert listed[run_id]["dev"]["accuracy"] == {"value": accuracy, "n": 12}
    assert "finished" in shop.run("runs")


def tell_in_a_page(shop: Shop, tmp_path: Path, run_id: str) -> None:
    """Write the report of a run that is evaluated on dev; nothing is measured for it, and again it says the same."""
    told = json.loads(shop.run("report", run_id, "--json"))
    assert told["file"] == str(shop.root / "runs" / run_id / "report.html") and told["dev"]["n"] == 12
    assert told["gaps"] == [f"It was not measured on test yet. Measure it: afrel evaluate {run_id} --split test"]
    text = Path(told["file"]).read_text()
    assert text.startswith("<!doctype html>") and "macro_f1 on dev" in text and "p_test" not in text
    assert shop.run("report", run_id).startswith(f"nothing to do: {told['file']} says so already")
    named = tmp_path / "named.html"
    shop.run("report", str(shop.root / "runs" / run_id), "-o", str(named))
    assert named.read_text() == text
    with pytest.raises(UserError, match=rf"there is no run 'run_x' in .*{run_id}"):
        shop.run("report", "run_x")
    with pytest.raises(UserError, match="is in no folder"):
        shop.run("report", run_id, "-o", str(tmp_path / "nowhere" / "r.html"))
    elsewhere = tmp_path / "other" / "runs" / "run_y"
    elsewhere.mkdir(parents=True)
    (elsewhere / "run.json").write_text("{}")
    with pytest.raises(UserError, match=r"is a run of another workspace.*afrel -w .*other report run_y"):
        shop.run("report", str(elsewhere))


def forget(shop: Shop, run_id: str) -> None:
    """Have a run forget the rule its 12 dev rows cite on 9, later than it was measured; `runs` tells it of that run."""
    held = read_points(RunDirectory(shop.root / "runs" / run_id))
    assert [point.step for point in held] == [0, 1]
    start = {one.name: one for one in held[0].changes if one.kind is SliceKind.RULE}
    assert [(name, one.n) for name, one in start.items()] == [(RULE, 9)]
    lost = replace(held[1], step=7, changes=[replace(start[RULE], after=0.0, is_alarm=True)])
    with shop.store() as store:
        store.append({"rule_recalls": recall_rows([lost], run_id=run_id, at=AT)})
    told = [line for line in json.loads(shop.run("runs", "--json")) if line["forgotten"]]
    assert [line["run_id"] for line in told] == [run_id]
    (forgotten,) = told[0]["forgotten"]
    assert forgotten == {
        "rule_id": RULE, "step": 7, "n": 9, "recall_before": start[RULE].before, "recall_after": 0.0,
    }  # fmt: skip
    assert f"  forgot {RULE} at step 7: recall " in shop.run("runs")


def test_train_evaluate_score_and_then_there_is_nothing_to_do(shop: Shop, tmp_path: Path) -> None:
    sign(shop)
    config = str(tmp_path / "sft.toml")
    run = json.loads(shop.run("train", "sft", "--config", config, "--json"))
    assert (run["n_rows"], run["n_steps"]) == (60, 150)
    assert shop.run("train", "sft", "--config", config).startswith(f"nothing to do: {run['run_id']} trained")
    with shop.store() as store:
        (registered,) = store.read("run", run_id=run["run_id"]).to_pylist()
        assert (registered["verb"], registered["status"]) == ("train", "finished")
        candidate = {"candidate_id": "c_1", "pair_id": "p_dev1", "grade": 2, "steps": "[]", "rule_ids": []}
        store.append({"candidates": [{**candidate, "proposer": "lexical", "run_id": "run_l", "created_at": AT}]})

    told = json.loads(shop.run("evaluate", run["run_id"], "--json"))
    accuracy = {name: measures[0] for name, measures in told["measures"].items()}
    assert accuracy["run"]["n"] == 12 and accuracy["lexical"] == {
        "metric": "accuracy", "value": 1.0, "low": 1.0, "high": 1.0, "n": 1,
    }  # fmt: skip
    assert shop.run("evaluate").startswith("nothing to do: ")
    again = json.loads(shop.run("evaluate", "--json"))
    assert again["nothing_to_do"] and accuracy["run"] in again["measures"]["run"]

    tell_in_a_page(shop, tmp_path, run["run_id"])

    settings = {"model": f'"{run["run_id"]}"', "n_steps": 1, "prompts_per_step": 2, "group_size": 2, "kl_weight": 0}
    (tmp_path / "grpo.toml").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
    words = ("train", "grpo", "--config", str(tmp_path / "grpo.toml"))
    assert json.loads(shop.run(*words, "--dry-run"))["group_size"] == 2
    reinforced = json.loads(shop.run(*words, "--json"))
    assert reinforced["n_steps"] == 1 and reinforced["run_id"] != run["run_id"]
    assert shop.run(*words).startswith(f"nothing to do: {reinforced['run_id']} trained")
    forget(shop, reinforced["run_id"])

    sample_and_prefer(shop, tmp_path, run["run_id"], accuracy["run"]["value"])

    pairs = tmp_path / "pairs.csv"
    pairs.write_text("query,title,material\noak chair,oak chair,oak\noak chair,canvas bag,canvas\n")
    scored = json.loads(shop.run("score", str(pairs), "--run", run["run_id"], "--json"))
    assert scored["n"] == 2 and len(pl.read_csv(scored["files"][0])) == 2


def test_away_from_the_workspace_a_folder_and_pins_are_enough(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(shop)
    (tmp_path / "pins.json").write_text(pins_to_json(shop.snapshot.pins.values()))
    monkeypatch.chdir(tmp_path)
    away = Shop(tmp_path / "nowhere", shop.snapshot)
    words = ["train", "sft", "--snapshot", str(shop.snapshot.directory), "--pins", str(tmp_path / "pins.json")]
    run = json.loads(away.run(*words, "--config", str(tmp_path / "sft.toml"), "--json"))
    assert Path(run["directory"]).parent == tmp_path.resolve() / "runs"


def test_importing_the_verbs_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = "import sys, trainers.train_command; sys.exit('torch' in sys.modules or 'pyarrow' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_disk_that_is_full_before_the_first_step_or_after_the_last_is_told_and_what_is_there_is_kept(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file may grow: first the record cannot be written, then the card of a run that has ended."""
    sign(shop)
    words = ("train", "sft", "--config", str(tmp_path / "sft.toml"), "--json")
    with (
        files_up_to(100),
        pytest.raises(UserError, match=r"the disk failed while run_\w+ was written.*no checkpoint yet"),
    ):
        shop.run(*words)
    write_card = carding.write_card
    with monkeypatch.context() as patched:

        def write_on_a_full_disk(*args: Any, **kwargs: Any) -> None:
            with files_up_to(100):
                write_card(*args, **kwargs)

        patched.setattr(carding, "write_card", write_on_a_full_disk)
        with pytest.raises(UserError, match=r"the disk failed while run_\w+ was written.*Kept is the whole model"):
            shop.run(*words)
    told = json.loads(shop.run(*words))
    assert told["nothing_to_do"] and (Path(told["directory"]) / "model" / "README.md").is_file()

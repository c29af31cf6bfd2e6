"""A report is whole, safe to open and to send, and tells nothing of test rows but figures."""

import json
import re
import shutil
import tomllib
from dataclasses import asdict, replace
from html.parser import HTMLParser
from urllib.parse import urlparse

import numpy as np
import pytest

from tests.trainers.conftest import RULE
from tests.trainers.report.conftest import HOSTILE, SECRET, Told
from trainers.report.contents import StoreRows
from trainers.report.lineage import as_typed
from trainers.report.measured import chosen, cut, last_measured
from trainers.report.page import page
from trainers.sft.config import SftConfig


class Opened(HTMLParser):
    """What a browser would find: elements, what they would fetch or run, and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetches: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "href", "action", "data") and not str(value).startswith("#"):
                self.fetches.append(f"{tag} {value}")

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_a_page_is_one_file_that_fetches_and_runs_nothing(told: Told) -> None:
    text = page(told.gather())
    opened = Opened(text)
    assert opened.fetches == []
    assert not {"script", "img", "iframe", "link", "object", "embed", "form"} & set(opened.tags)
    assert "default-src &#x27;none&#x27;" in text and "url(" not in text and "@import" not in text
    assert not [one for one in re.findall(r"https?://\S+", text) if urlparse(one).netloc]


def test_hostile_texts_are_shown_as_texts_and_long_ones_are_cut(told: Told) -> None:
    text = page(told.gather())
    assert "<script" not in text and "<img" not in text
    shown = HOSTILE.replace("\x00", "\ufffd")
    assert shown in Opened(text).said
    assert text.count("</style>") == 1 and text.count("</title></head>") == 0 and text.count("<h1>") == 1
    assert "9,999,300 characters more" in text and len(text) < 200_000
    text.encode()  # no half characters


def test_texts_and_grades_of_test_rows_never_appear_but_figures_do(told: Told) -> None:
    text = page(told.gather())
    assert SECRET not in text and "p_test" not in text
    assert "accuracy on test" in text and "On test" in text
    assert SECRET not in json.dumps(asdict(told.gather()), default=str)
    facts = told.gather().snapshot
    assert facts is not None and all("test" not in one.grades for one in facts.tiers)


def test_figures_stand_beside_the_baselines_with_n_and_interval(told: Told) -> None:
    said = " ".join(Opened(page(told.gather())).said)
    assert "commonest grade 0.500" in said and "0.650 to 0.850" in said and "undefined" in said
    assert "a lathe, 2 threads" in said


def test_dev_pairs_are_counted_by_hand(told: Told) -> None:
    """12 dev pairs, the last three wrong by one place up, or from the top to the bottom. 9 cite the rule: all but 0, 5
    and 10; of them 9 and 11 are wrong."""
    dev = told.gather().dev
    assert dev is not None and (dev.n, dev.n_missing) == (12, 0)
    assert sum(dev.confusion[at][at] for at in range(3)) == 9
    (rule,) = dev.rules
    assert (rule.rule_id, rule.n, rule.recall) == (RULE, 9, pytest.approx(7 / 9))
    assert sum(one.n for one in dev.bins) == 12
    assert [one.is_right for one in dev.samples] == [False] * 3 + [True] * 6


def test_samples_are_the_farthest_off_and_surest_then_right_ones_of_each_grade() -> None:
    """Pair 3 is two off, pairs 1 and 2 one off, 2 the surer; right are 0 and 5 of grade 0 (5 less sure) and 4 of 2."""
    truth, predicted = np.array([0, 0, 1, 2, 2, 0]), np.array([0, 1, 2, 0, 2, 0])
    sure = np.array([0.9, 0.6, 0.8, 0.5, 0.7, 0.55])
    probabilities = np.zeros((6, 3))
    probabilities[np.arange(6), predicted] = sure
    assert chosen(truth, predicted, probabilities) == [3, 2, 1, 5, 4, 0]


def test_the_last_measurement_of_a_split_counts() -> None:
    row = {
        "snapshot_id": "s", "split": "dev", "verb": "evaluate", "model": "run", "metric": "accuracy", "low": 0.0,
        "high": 1.0, "n": 3, "hardware": None,
    }  # fmt: skip
    from datetime import datetime

    before, after = datetime(2026, 1, 1), datetime(2026, 1, 2)
    rows = [
        row | {"run_id": "run_a", "created_at": before, "value": 0.1},
        row | {"run_id": "run_a", "created_at": before, "value": 0.1, "metric": "old"},
        row | {"run_id": "run_r", "created_at": before, "verb": "rollout", "metric": "pass@1", "value": 0.3},
        row | {"run_id": "run_b", "created_at": after, "value": 0.2},
    ]
    found = {one.verb: one for one in last_measured(rows)}
    assert [one.metric for one in found["evaluate"].measures["run"]] == ["accuracy"]
    assert (found["evaluate"].measured_by, found["evaluate"].measures["run"][0].value) == ("run_b", 0.2)
    assert found["rollout"].measures["run"][0].metric == "pass@1"


def test_curves_show_stages_and_what_is_forgotten(told: Told, forgets) -> None:
    forgets(told.run)
    text = page(told.gather())
    said = " ".join(Opened(text).said)
    assert "loss: 0.3 → 0.1" in said and "tier 1" in said
    assert "forgetting alarm at step 20: rule r_lost" in said and "The alarm rang for 1 of 2 slices" in said


def test_data_and_signatures_are_told(told: Told) -> None:
    contents = told.gather()
    said = " ".join(Opened(page(contents)).said)
    assert contents.record["manifest_digest"] in said
    assert "tier 1: person-2 (adjudicator)" in said and "prompts cut to length" in said and "60 made" in said
    facts = contents.snapshot
    assert facts is not None
    tier = facts.tiers[0]
    assert sum(tier.grades["train"].values()) == tier.n_rows["train"] == 30
    assert facts.citing == {RULE: 48}  # of 60 train rows each fifth cites none
    revoked = told.snapshot.directory / "revocations.json"
    revoked.write_text("{}")
    assert any("revocations.json" in problem for problem in told.gather().snapshot.problems)


def test_the_told_configuration_is_the_one_that_trained(told: Told, tmp_path) -> None:
    (one,) = told.gather().ancestors
    assert one.commands == (
        f"afrel -w {tmp_path.name} --as ACCOUNT train sft --snapshot {told.snapshot.directory.name} --config sft.toml",
    )
    assert SftConfig.model_validate(tomllib.loads(one.config)).model_dump(mode="json") == told.run.read()["config"]
    assert as_typed("grpo", {"model": "r", "max_length": 5, "tiers": None}) == {"model": "r"}


def test_a_run_goes_back_to_where_it_began_also_where_that_is_gone(told: Told) -> None:
    record = told.run.read()
    later = type(told.run)(told.run.path.parent / "run_0000000002")
    inherited = [{"run_id": told.run.run_id, "snapshot_id": record["snapshot_id"], "texts": None}]
    later.describe(**record, started_from={"run_id": told.run.run_id}, inherited=inherited)
    contents = replace(told, run=later).gather()
    assert [one.run_id for one in contents.ancestors] == [told.run.run_id, later.run_id]
    shutil.rmtree(told.run.path)
    gone, last = replace(told, run=later).gather().ancestors
    assert (gone.run_id, gone.commands) == (told.run.run_id, ()) and last.commands
    assert "its folder is gone" in page(replace(told, run=later).gather())


def test_what_is_not_there_is_said_with_the_command_that_makes_it(told: Told) -> None:
    bare = replace(told, rows=StoreRows([], []))
    contents = bare.gather()
    assert contents.gaps == (
        f"It was not measured on dev yet. Measure it: afrel evaluate {told.run.run_id} --split dev",
        f"It was not measured on test yet. Measure it: afrel evaluate {told.run.run_id} --split test",
    )
    assert "How it learnt" in page(contents) and 'id="quality"' not in page(contents)
    shutil.rmtree(told.snapshot.directory)
    assert any("snap_" in gap for gap in told.gather().gaps)
    assert "Its folder is not here" in page(told.gather())


def test_a_half_written_run_says_so_and_shows_what_there_is(told: Told) -> None:
    told.run.describe(status="running")
    assert "It stopped before its end" in page(told.gather())
    with told.run.locked():
        assert "It is training now" in page(told.gather())
    whole = (told.run.path / "run.json").read_text()
    (told.run.path / "run.json").write_text(whole[: len(whole) // 2])
    contents = told.gather()
    assert contents.record == {} and "half written" in contents.gaps[0] and contents.curves
    assert "loss" in page(contents) and 'id="data"' not in page(contents)
    for path in told.run.path.iterdir():
        path.unlink()
    bare = replace(told, rows=StoreRows([], [])).gather()
    assert "No step has been told, so there are no curves." in bare.gaps and "<h1>" in page(bare)


def test_the_same_run_gives_the_same_page(told: Told) -> None:
    assert page(told.gather()) == page(told.gather())


def test_a_text_is_cut_and_says_how_much_is_left() -> None:
    assert cut("x" * 700) == "x" * 700
    assert cut("x" * 702).endswith("x … and 2 characters more")

"""A model card is read by the hub's own reader, says how the model is asked, and alters no run."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from huggingface_hub import ModelCard

from curation.prompt_parts import PromptParts
from tests.trainers.report.conftest import SECRET, Told
from trainers.models.starting_point import require_finished
from trainers.report.card import base_model, card, write_card
from trainers.report.carding import train_sources
from trainers.report.lineage import Ancestor
from trainers.report.measured import last_measured
from trainers.runs.directory import CARD, RunDirectory, model_digests


def text_of(told: Told, **changed) -> str:
    given = {"measured": last_measured(told.rows.evaluations), "licences": {"made": "CC0-1.0"}, "sources": ["made"]}
    return card(told.run, **given | changed)


def test_the_hub_reads_the_card_and_its_figures(told: Told) -> None:
    read = ModelCard(text_of(told))
    assert (read.data.pipeline_tag, read.data.library_name) == ("text-ranking", "transformers")
    assert read.data.base_model is None  # a tiny model from scratch
    figures = {(one.dataset_split, one.metric_type): one.metric_value for one in read.data.eval_results}
    assert figures == {(split, metric): value for split in ("dev", "test") for metric, value in
                       (("accuracy", 0.75), ("macro_f1", 0.7))}  # fmt: skip
    assert "0.650 to 0.850 | 12 | 0.500" in text_of(told) and "| qwk | undefined |  | 12 |  |" in text_of(told)


def test_a_card_says_data_licence_limits_and_how_to_make_it_again(told: Told) -> None:
    text = text_of(told)
    assert f"`{told.run.read()['manifest_digest']}`" in text and "made: CC0-1.0" in text and SECRET not in text
    assert f"train sft --snapshot {told.snapshot.directory.name} --config sft.toml" in text
    assert "made: not stated" in text_of(told, licences={}) and "not known here" in text_of(told, sources=None)
    assert "`afrel evaluate run_0000000001`" in text_of(told, measured=()) and "not measured on test rows" in text_of(
        told, measured=()
    )
    told.run.describe(method="dapt")
    assert "afrel train sft --model run_0000000001" in text_of(told) and "How it is asked" not in text_of(told)


def test_a_licence_cannot_break_the_card(told: Told) -> None:
    text = text_of(told, licences={"made": "a | b\n---\n<script>`x`"})
    assert "made: a \\| b --- &lt;script>'x'." in text
    assert ModelCard(text).data.library_name == "transformers"


def test_only_a_name_of_the_hub_is_a_base_model(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "model").mkdir(parents=True)
    names = ("org/name", "tiny", "/abs/model", "./a/b", "here/model", "run_1")
    chains = [[Ancestor("run_1", "sft", "s", name, None, "", ())] for name in names]
    assert [base_model(chain) for chain in chains] == ["org/name", None, None, None, None, None]
    assert base_model([replace(chains[0][0], method=None)]) is None  # its folder is gone: nobody knows


@pytest.fixture
def copied(trained, tmp_path) -> RunDirectory:
    shutil.copytree(trained.run.path, tmp_path / "runs" / trained.run.run_id)
    return RunDirectory(tmp_path / "runs" / trained.run.run_id)


def test_a_card_is_no_part_of_what_a_run_is_known_by(copied: RunDirectory) -> None:
    path = write_card(copied, evaluations=(), licences={}, sources=None)
    assert path == copied.model_dir / CARD and path.read_text().startswith("---\n")
    path.write_text("edited by somebody")
    assert require_finished(copied)["model_files"] == model_digests(copied.model_dir)
    before = write_card(copied, evaluations=(), licences={}, sources=None).stat().st_mtime_ns
    assert write_card(copied, evaluations=(), licences={}, sources=None).stat().st_mtime_ns == before


def test_the_code_on_the_card_gives_the_grade_that_scoring_gives(copied: RunDirectory) -> None:
    from trainers.models.ranker import load_ranker

    write_card(copied, evaluations=(), licences={}, sources=None)
    (code,) = re.findall(r"```python\n(.*?)```", (copied.model_dir / CARD).read_text(), flags=re.S)
    parts = PromptParts("oak chair", "oak chair", "", {"material": "oak"}, "terms all")
    names = {"folder": str(copied.model_dir), "prompt": parts.render()}
    exec(code, names)
    ranker = load_ranker(copied, device="cpu")
    expected = ranker.score([parts], names=["a"])[0]
    assert np.allclose(np.array(names["probabilities"]), expected, atol=1e-6)
    assert names["grade"] == ranker.scale.values[int(expected.argmax())]


def test_sources_are_those_of_the_train_rows_trained_on(told: Told) -> None:
    assert train_sources(told.snapshot.directory, None) == ["made"]
    assert train_sources(told.snapshot.directory, [7]) == []

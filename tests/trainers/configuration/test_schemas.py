"""What `--schema` prints of each method is a form: every key says what it is, and takes no number out of bounds."""

from typing import Any

import pytest
from pydantic import BaseModel
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from storage.errors import UserError
from trainers.configuration.loop import Reporter
from trainers.dapt.config import DaptConfig
from trainers.dpo.config import DpoConfig
from trainers.grpo.config import GrpoConfig
from trainers.runs.frame import loop_settings
from trainers.runs.reporters import require_reporters
from trainers.sft.config import SftConfig, read_config

METHODS = (SftConfig, DaptConfig, DpoConfig, GrpoConfig)
LOWER = {"minimum", "exclusiveMinimum"}


def _keys(config: type[BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = config.model_json_schema()["properties"]
    return properties


@pytest.mark.parametrize("config", METHODS)
def test_every_key_says_what_it_is_in_a_sentence(config: type[BaseModel]) -> None:
    told = {name: key["description"] for name, key in _keys(config).items()}
    assert [name for name, words in told.items() if not words.endswith(".") or len(words) < 16] == []


@pytest.mark.parametrize("config", METHODS)
def test_every_number_has_a_least_value(config: type[BaseModel]) -> None:
    unbounded = []
    for name, key in _keys(config).items():
        for kind in key.get("anyOf", [key]):
            if kind.get("type") in ("integer", "number") and not LOWER & kind.keys():
                unbounded.append(name)
    assert unbounded == []


def test_what_begins_with_a_model_may_leave_every_key_out_and_what_goes_on_names_its_run() -> None:
    assert [config.model_json_schema().get("required") for config in METHODS] == [None, None, ["model"], ["model"]]


def test_the_schema_says_what_a_key_is_that_is_left_out() -> None:
    sft = _keys(SftConfig)
    assert sft["max_length"]["description"].endswith("Left out: 512 for a tiny model, 1024 for others.")
    assert "by the number of rows for a tiny model, 1e-05" in sft["learning_rate"]["description"]
    assert "Left out" not in sft["seed"]["description"]


@pytest.mark.parametrize("key", ["learning_rate", "max_gradient_norm"])
def test_an_infinite_number_is_refused(key: str) -> None:
    with pytest.raises(UserError, match=f"- {key}: .*finite"):
        read_config(None, {key: float("inf")})


def test_metrics_go_wherever_the_libraries_know_the_way_but_to_clusters_that_start_runs_themselves() -> None:
    assert {*Reporter.__args__} == {*INTEGRATION_TO_CALLBACK} - {"kubeflow"}  # type: ignore[attr-defined]


def test_a_place_whose_package_is_missing_is_told_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.runs.reporters.get_available_reporting_integrations", lambda: ["tensorboard"])
    require_reporters(["tensorboard"])
    with pytest.raises(UserError, match=r"report_to names wandb, .*installed are tensorboard. .*pip install wandb"):
        require_reporters(["tensorboard", "wandb"])


def test_the_places_are_handed_on_and_make_no_other_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr("trainers.runs.reporters.get_available_reporting_integrations", lambda: ["tensorboard"])
    plain = SftConfig(learning_rate=1e-3)
    told = plain.model_copy(update={"report_to": ("tensorboard",)})
    handed = [loop_settings(c, tmp_path, n_steps=10, device="cpu")["report_to"] for c in (plain, told)]
    assert handed == ["none", ["tensorboard"]]
    assert plain.deciding() == told.deciding()

"""The form of a trainer: every setting of every method has a field and words in both languages; only changes go."""

from __future__ import annotations

from typing import Any

import pytest

from review_app.texts import area_texts
from review_app.texts.training_words import AREA, LEFT_OUT, field_help
from review_app.training_form import FieldKind, FormField, filled_in, read_form
from storage.jobs.verbs import METHODS
from trainers.dapt.config import DaptConfig
from trainers.dpo.config import DpoConfig
from trainers.grpo.config import GrpoConfig
from trainers.sft.config import SftConfig

CONFIGS = {"sft": SftConfig, "dapt": DaptConfig, "dpo": DpoConfig, "grpo": GrpoConfig}
SCHEMAS = {method: config.model_json_schema() for method, config in CONFIGS.items()}


def test_every_method_that_can_be_queued_is_tried_here() -> None:
    assert tuple(CONFIGS) == METHODS


def fields_of(method: str) -> dict[str, FormField]:
    return {field.name: field for field in read_form(SCHEMAS[method])}


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_has_a_field_and_what_matters_comes_first(method: str) -> None:
    fields = read_form(SCHEMAS[method])
    assert {field.name for field in fields} == set(SCHEMAS[method]["properties"])
    assert [field.name for field in fields][:2] == ["model", "tiers"]
    n_first = sum(field.is_first for field in fields)
    assert all(field.is_first for field in fields[:n_first]) and 5 <= n_first <= 10


def test_kinds_bounds_options_and_defaults_are_those_of_the_schema() -> None:
    sft, grpo = fields_of("sft"), fields_of("grpo")
    told = sft["curriculum"]
    assert (told.kind, told.options, told.default) == (
        FieldKind.CHOICE, ("mixture", "sequence", "random"), "mixture",
    )  # fmt: skip
    assert (sft["keep_rate"].kind, sft["keep_rate"].low, sft["keep_rate"].high) == (FieldKind.NUMBER, 0, 0.9)
    assert (sft["epochs"].kind, sft["epochs"].low, sft["epochs"].default) == (FieldKind.WHOLE, 1, None)
    assert sft["has_evidence"].kind is FieldKind.FLAG and sft["tiers"].kind is FieldKind.WHOLES
    assert grpo["model"].is_required and not sft["model"].is_required
    assert grpo["learning_rate"].default == 1e-6


def test_only_what_differs_from_the_default_is_sent() -> None:
    fields = read_form(SCHEMAS["sft"])
    values = {field.name: field.default for field in fields}
    assert filled_in(fields, values) == {}
    given: dict[str, Any] = {"model": " org/name ", "epochs": 3, "tiers": [], "has_evidence": False, "seed": 0}
    assert filled_in(fields, {**values, **given}) == {"model": "org/name", "epochs": 3, "has_evidence": False}


def test_a_setting_no_form_has_a_field_for_is_told() -> None:
    for strange in ({"type": "object"}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, {}):
        with pytest.raises(ValueError, match="odd takes"):
            read_form({"properties": {"odd": strange}})


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_is_explained_in_chinese(method: str) -> None:
    for field in read_form(SCHEMAS[method]):
        assert field.description, field.name
        told = field_help("zh", field.description)
        assert told != field.description and "Left out" not in told and "by the number" not in told, field.name
        assert field_help("en", field.description) == field.description


def test_no_explanation_is_kept_for_what_no_schema_says_any_more() -> None:
    said = " ".join(field.description for method in METHODS for field in read_form(SCHEMAS[method]))
    assert [key for key, text in area_texts("en", AREA).items() if key != LEFT_OUT and text not in said] == []

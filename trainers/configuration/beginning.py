"""What `train sft` and `train dapt` have in common: they begin with a model that has learnt no grade yet.

A tiny model from scratch and a pretrained one want different rates, lengths and epochs; what the user leaves out is
filled in by kind, and the schema says with what.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field, ValidationInfo, model_validator

from trainers.configuration.loop import PlannedConfig
from trainers.models.starting_point import TINY, is_named_tiny


def _tell_defaults(schema: dict[str, Any], config: type[Any]) -> None:
    """Say in the schema what `fill_by_kind` does: every key may be left out, and what it is then."""
    schema.pop("required", None)
    for name, told in schema["properties"].items():
        kinds = told.get("anyOf", ())
        if "description" not in told:  # of a key that may be None, pydantic leaves it with the kind that is not
            told["description"] = next(kind.pop("description") for kind in kinds if "description" in kind)
        filled = [defaults.get(name) for defaults in (config.tiny_defaults, config.pretrained_defaults)]
        if filled == [None, None]:
            continue
        tiny, pretrained = ("by the number of rows" if value is None else f"{value:g}" for value in filled)
        told["description"] = f"{told['description']} Left out: {tiny} for a tiny model, {pretrained} for others."


class BeginningConfig(PlannedConfig):
    """What decides a run that begins with the tiny model, a pretrained one or a run. Lengths are in tokens."""

    model_config = ConfigDict(json_schema_extra=_tell_defaults)

    tiny_defaults: ClassVar[Mapping[str, Any]]
    pretrained_defaults: ClassVar[Mapping[str, Any]]

    model: str = Field(
        TINY,
        min_length=1,
        description="What to begin with: tiny, a Hugging Face id, a folder, or a run by id or folder.",
    )
    weight_decay: float = Field(ge=0, description="How fast weights shrink towards 0 beside what they learn.")
    max_length: int = Field(ge=32, description="Tokens of a row; longer ones are cut.")
    tiny_vocabulary: int = Field(6000, ge=300, description="Tokens a tiny model's tokenizer knows.")
    tiny_hidden_size: int = Field(128, ge=8, description="Width of a tiny model: an even multiple of its heads.")
    tiny_layers: int = Field(2, ge=1, description="Layers of a tiny model.")
    tiny_heads: int = Field(4, ge=1, description="Attention heads of a tiny model.")

    @model_validator(mode="before")
    @classmethod
    def fill_by_kind(cls, given: Any, asked: ValidationInfo) -> Any:
        if not isinstance(given, Mapping):
            return given
        model, is_tiny = str(given.get("model", TINY)), (asked.context or {}).get("is_tiny", is_named_tiny)
        return {**(cls.tiny_defaults if is_tiny(model) else cls.pretrained_defaults), **given}

    @model_validator(mode="after")
    def heads_divide_width(self) -> Self:
        if self.tiny_hidden_size % (2 * self.tiny_heads):
            raise ValueError("tiny_hidden_size must be an even multiple of tiny_heads")
        return self

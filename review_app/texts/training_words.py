"""What a trainer's schema says of a field, in the page's language: known by its English words, as refusals are.

A schema comes from another room as English text. Each description stands in `training_fields.toml` as it is said there;
a default that depends on the model is told behind it by one more sentence. A test holds both ends together.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

from review_app.texts import area_texts, texts
from review_app.texts.refusals import Template

AREA = "training_fields"
LEFT_OUT = f"{AREA}.left_out"


def field_help(language: str, description: str) -> str:
    """Return a field's description in a language; one nobody foresaw as it is."""
    known = _words(language)
    if description in known:
        return known[description]
    values = Template.of(LEFT_OUT, texts("en")[LEFT_OUT]).values(description)
    if values is None:
        return description
    return texts(language)[LEFT_OUT].format(**{name: known.get(value, value) for name, value in values.items()})


@cache
def _words(language: str) -> MappingProxyType[str, str]:
    own, told = area_texts("en", AREA), area_texts(language, AREA)
    return MappingProxyType({own[key]: told[key] for key in own if key != LEFT_OUT})

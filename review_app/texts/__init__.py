"""What the app says, in English and Chinese: one TOML file an area, a table a key, both languages beside each other.

Texts are whole sentences with `{names}` to fill in; none is glued from parts. A test holds both languages to the same
keys and names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

LANGUAGES = ("en", "zh")


@cache
def texts(language: str) -> Mapping[str, str]:
    """Return every text of a language by `area.key`; KeyError for a language that is none of `LANGUAGES`."""
    if language not in LANGUAGES:
        raise KeyError(language)
    found = {}
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".toml"):
            area = file.name.removesuffix(".toml")
            for key, said in tomllib.loads(file.read_text(encoding="utf-8")).items():
                found[f"{area}.{key}"] = said[language]
    return MappingProxyType(found)


def area_texts(language: str, *areas: str) -> dict[str, str]:
    """Return the texts of some areas, for the browser."""
    return {key: text for key, text in texts(language).items() if key.split(".")[0] in areas}


def streamlit_words(language: str) -> dict[str, str]:
    """Return what Streamlit says in English by what it means in a language; nothing for English."""
    own, told = area_texts(LANGUAGES[0], "streamlit"), area_texts(language, "streamlit")
    return {} if language == LANGUAGES[0] else {own[key]: told[key] for key in own}


def closest_language(asked: str | None) -> str:
    """Return the language of the app that serves a locale such as `zh-CN`; English when none does."""
    spoken = (asked or "").lower().split("-")[0].split("_")[0]
    return spoken if spoken in LANGUAGES else LANGUAGES[0]

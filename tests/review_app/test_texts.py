"""Both languages say everything, with the same names to fill in; and no page asks for a text that is not there."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from streamlit import file_util

from review_app.texts import LANGUAGES, closest_language, streamlit_words, texts
from review_app.texts.refusals import AREA

ROOT = Path(__file__).resolve().parent.parent.parent
AREAS = sorted(file.name for file in resources.files("review_app.texts").iterdir() if file.name.endswith(".toml"))
NAMES = re.compile(r"\{(\w*)[^}]*\}")
_ASKED = re.compile(r"""say\(\s*["'`]([a-z_]+\.[a-z_0-9]+)["'`]""")


@pytest.mark.parametrize("area", AREAS)
def test_every_text_is_there_in_every_language_with_the_same_names(area: str) -> None:
    for key, said in tomllib.loads((resources.files("review_app.texts") / area).read_text(encoding="utf-8")).items():
        raised = said.pop("raised", None) if area.startswith(AREA) else None
        assert set(said) == set(LANGUAGES), (area, key)
        assert all(text.strip() for text in said.values()), (area, key)
        names = {language: sorted(set(NAMES.findall(text))) for language, text in said.items()}
        assert len({tuple(found) for found in names.values()}) == 1, (area, key, names)
        assert raised is None or set(names["en"]) <= set(NAMES.findall(raised)), (area, key)


def test_texts_do_not_shout_or_boast() -> None:
    for key, text in texts("en").items():
        assert "!" not in text or key.startswith("streamlit."), key  # theirs, to the letter
        assert "successfully" not in text.lower(), key


def test_every_text_a_page_asks_for_by_name_is_there() -> None:
    files = [*(ROOT / "review_app").rglob("*.py"), *(ROOT / "review_app").rglob("*.js")]
    asked = {key: file.name for file in files for key in _ASKED.findall(file.read_text(encoding="utf-8"))}
    assert len(asked) > 50
    missing = {key: name for key, name in asked.items() if key not in texts("en") and not key.endswith("_")}
    assert missing == {}


def test_a_locale_finds_its_language_and_an_unknown_one_english() -> None:
    assert [closest_language(asked) for asked in ("zh-CN", "zh_TW", "en-GB", "fr", "", None)] == [
        "zh",
        "zh",
        "en",
        "en",
        "en",
        "en",
    ]


def test_what_is_kept_as_streamlits_words_is_what_it_says() -> None:
    scripts = (Path(file_util.get_static_dir()) / "static" / "js").glob("*.js")
    said = "\n".join(file.read_text(encoding="utf-8") for file in scripts)
    # these it puts together of a key and what it does
    made = re.compile("Press (?:Ctrl.|⌘.)?Enter to (?:apply|submit form)")
    parts = ("Press Enter to $", "}+Enter to $", "`⌘`:`Ctrl`", "`submit form`:`apply`")
    kept = [words for words in streamlit_words("zh") if not made.fullmatch(words)]
    assert [words for words in kept if f"`{words}`" not in said] == []
    assert [part for part in parts if part not in said] == []
    assert streamlit_words("en") == {}

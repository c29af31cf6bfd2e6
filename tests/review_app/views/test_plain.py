"""Text of others where Markdown is read: every mark is escaped, and what Streamlit finds in plain text is broken up."""

from __future__ import annotations

import re
import string

from hypothesis import given
from hypothesis import strategies as st

from review_app.views.plain import plain

JOINER = "\u2060"


def read_back(shown: str) -> str:
    """What a reader of Markdown shows of escaped text."""
    return re.sub(rf"\\([{re.escape(string.punctuation)}])", r"\1", shown).replace(JOINER, "")


def test_marks_of_markdown_are_escaped() -> None:
    assert plain("# *a* [b](c) <i> `d` $e$ | ~f~ 1. -") == (
        "\\# \\*a\\* \\[b\\]\\(c\\) \\<i\\> \\`d\\` \\$e\\$ \\| \\~f\\~ 1\\. \\-"
    )


def test_names_of_icons_addresses_and_links_are_broken_up() -> None:
    for text in (":smile:", ":material/home:", "https://evil.example", "www.evil.example", "a@evil.example"):
        assert not re.search(r"[:@]\w|[:@]\\?/|www\\?\.", plain(text)), text


def test_lines_become_one() -> None:
    assert plain("  a\n\n# b\t c ") == "a \\# b c"


@given(st.text())
def test_the_reader_sees_the_text_as_it_is_but_for_white_space(text: str) -> None:
    text = text.replace(JOINER, "")
    assert read_back(plain(text)) == " ".join(text.split())


@given(st.text(alphabet=string.punctuation + "ab1 \n", max_size=40))
def test_no_mark_stands_without_its_escape(text: str) -> None:
    shown = plain(text)
    assert not re.search(rf"(?<!\\)(\\\\)*[{re.escape(string.punctuation.replace(chr(92), ''))}]", shown)

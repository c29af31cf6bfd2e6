from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from trainers.report.html import Html, join, tag, text


def test_text_and_attributes_are_escaped_and_markup_made_here_is_not() -> None:
    assert tag("p", "a < b & 'c'", tag("b", 3), None, class_='x"y') == (
        '<p class="x&quot;y">a &lt; b &amp; &#x27;c&#x27;<b>3</b></p>'
    )
    assert tag("br") == "<br/>" and tag("meta", http_equiv="x") == '<meta http-equiv="x"/>'
    assert tag("line", x1=1, stroke_width=None) == '<line x1="1"/>'
    assert join(["<i>", Html("<i>")]) == "&lt;i&gt;<i>"


class Read(HTMLParser):
    """What a reader of HTML makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.said += data


@given(st.text())
def test_no_text_becomes_markup_wherever_it_stands(strange: str) -> None:
    read = Read()
    read.feed(tag("p", strange, title=strange))
    read.close()
    assert (read.tags, [name for name, _ in read.attributes]) == (["p"], ["title"])


def test_what_html_may_not_hold_is_shown_as_replaced() -> None:
    assert text("a\x00b\ud800c\n") == "a\ufffdb\ufffdc\n"

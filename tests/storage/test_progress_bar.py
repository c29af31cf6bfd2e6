"""The bar of long commands: words for each stage where somebody watches, silence in pipes."""

from __future__ import annotations

import io

import pytest

from storage.progress import Stage
from storage.progress_bar import watched


class Screen(io.StringIO):
    def __init__(self, *, is_watched: bool) -> None:
        super().__init__()
        self._is_watched = is_watched

    def isatty(self) -> bool:
        return self._is_watched


@pytest.mark.parametrize("is_watched", [True, False])
def test_stages_are_told_in_words_to_who_watches_only(is_watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(is_watched=is_watched)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with watched({Stage.WRITING: "queries pooled"}) as watch:
        watch(Stage.CHECKING_FILES, 1, 2)
        watch(Stage.WRITING, 7, 0)
    assert ("queries pooled" in screen.getvalue()) == is_watched
    assert "writing" not in screen.getvalue()

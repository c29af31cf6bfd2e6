from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.screening_config import ScreeningConfig, read_screening_config
from storage.errors import UserError


def test_an_absent_table_means_the_defaults(tmp_path: Path) -> None:
    assert read_screening_config({}, root=tmp_path) == ScreeningConfig()


def test_what_is_given_replaces_a_default(tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{}")
    config = read_screening_config({"leak": 1, "max_tokens": 300, "tokenizer": "tokenizer"}, root=tmp_path)
    file = str(tmp_path / "tokenizer" / "tokenizer.json")
    assert config == ScreeningConfig(leak=1, max_tokens=300, tokenizer=file)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    table = {"leak": 0.5, "boilerplate": "all", "max_tokens": True, "near_dup": 0.7, "tokenizer": "nowhere.json"}
    with pytest.raises(UserError) as caught:
        read_screening_config(table, root=tmp_path)
    told = str(caught.value)
    assert "5 mistake(s)" in told
    for part in ("unknown key 'near_dup'", "leak = 0.5", "boilerplate = 'all'", "max_tokens = True", "no file"):
        assert part in told


@pytest.mark.parametrize("table", [[], "x", 3, [{"leak": 1}]])
def test_screening_must_be_a_table(tmp_path: Path, table: Any) -> None:
    with pytest.raises(UserError, match="under a line \\[screening\\]"):
        read_screening_config(table, root=tmp_path)

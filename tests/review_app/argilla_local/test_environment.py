"""The server's environment: believed when it was finished, mended by making it anew, refused in words."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from review_app.argilla_local.environment import (
    GIVEN,
    MARK,
    PINS,
    environment_folder,
    find_environment,
    make_environment,
)
from storage.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(GIVEN, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_every_package_is_pinned_and_those_of_the_design_are_among_them() -> None:
    lines = [line for line in PINS.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pinned = dict(line.split("==") for line in lines)
    assert pinned["argilla-server"] == "2.8.0" and pinned["click"] < "8.2" and "fakeredis" in pinned


def test_an_environment_without_its_mark_is_half_made() -> None:
    python = environment_folder() / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert find_environment() is None
    (environment_folder() / MARK).touch()
    assert find_environment() == python


def test_an_environment_whose_python_went_away_is_made_anew() -> None:
    python = environment_folder() / "bin" / "python"
    python.parent.mkdir(parents=True)
    (environment_folder() / MARK).touch()
    python.symlink_to("/nowhere/python")
    assert find_environment() is None


@pytest.mark.parametrize("given", [sys.executable, "/nowhere/python"])
def test_a_given_python_without_the_server_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GIVEN, given)
    with pytest.raises(UserError, match=r"which has not argilla-server and fakeredis. Unset it.*afrel argilla up"):
        find_environment()


@pytest.mark.slow
def test_without_a_network_the_refusal_says_what_pip_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    half_made = environment_folder() / "left over"
    half_made.mkdir(parents=True)
    with pytest.raises(UserError, match=r"could not be installed: ERROR: No matching distribution .*afrel argilla up"):
        make_environment(lambda *_: None)
    assert not half_made.exists()  # what was half made is not built upon
    assert find_environment() is None

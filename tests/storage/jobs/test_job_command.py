"""What a job's process is given: what was checked, as a list, and nothing typed can become an option."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

import afrel
from storage.errors import UserError
from storage.jobs.asking import checked_config, train_command
from storage.jobs.job_command import JobCommand
from storage.jobs.kept_config import keep_config, to_toml
from storage.jobs.typed_words import read_words
from storage.workspace import Workspace


def read(*words: str) -> tuple[JobCommand, Path | None]:
    front_door: Any = typer.main.get_command(afrel.app)
    return read_words(front_door.make_context("afrel", ["status"]), words)


def test_options_stay_behind_their_flag_and_words_behind_the_dashes() -> None:
    command = JobCommand("train", ("--as", "sft"), {"--snapshot": "--pins=x", "--json": True, "--seed": 3})
    assert command.arguments(Path("/w"), config=Path("/w/c.toml")) == [
        "-w", "/w", "train", "--snapshot=--pins=x", "--json", "--seed=3", "--config=/w/c.toml", "--", "--as", "sft",
    ]  # fmt: skip
    assert JobCommand.from_fields("train", command.to_fields()) == command


def test_what_is_typed_is_kept_as_the_verb_s_own_parser_reads_it() -> None:
    command, config = read("train", "sft", "--snapshot", "snap_1", "--config", "a/sft.toml", "--seed", "3", "--json")
    expected = {"--snapshot": "snap_1", "--seed": 3, "--json": True}
    assert command == JobCommand("train", ("sft",), expected, folder=os.getcwd())
    assert config == Path("a/sft.toml")
    assert command.told() == "train sft --snapshot snap_1 --seed 3 --json"


def test_a_verb_of_verbs_is_followed_and_must_be_named_in_full() -> None:
    command, _ = read("judge", "card", "--pairs", "40")
    assert (command.verb, command.options) == ("judge card", {"--pairs": 40})
    with pytest.raises(UserError, match="judge as a job takes one of card"):
        read("judge", "--pairs", "40")


@pytest.mark.parametrize("words", [("train", "sft", "--sed", "3"), ("train", "xyz"), ("train",), ("status", "extra")])
def test_what_the_verb_would_refuse_is_refused_at_once(words: tuple[str, ...]) -> None:
    with pytest.raises(Exception) as refusal:  # noqa: PT011  # typer keeps its own class to itself
        read(*words)
    assert type(refusal.value).__name__ in ("NoSuchOption", "BadParameter", "MissingParameter", "UsageError")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


VALUES = TEXTS | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(TEXTS, VALUES | st.lists(VALUES)))
def test_a_configuration_written_as_toml_reads_as_it_was(config: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(config)) == config


@pytest.mark.parametrize("value", [{"a": 1}, None, "\ud83d"])
def test_what_toml_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(UserError):
        to_toml({"key": value})


def test_a_kept_configuration_is_the_text_itself_with_its_files_named_in_full(tmp_path: Path) -> None:
    path = tmp_path / "dapt.toml"
    path.write_text("# why\nseed = 1\n")
    assert keep_config(path) == "# why\nseed = 1\n"
    path.write_text('seed = 1\ntext_file = "texts/é.txt"\n')
    assert tomllib.loads(keep_config(path)) == {"seed": 1, "text_file": str(tmp_path / "texts" / "é.txt")}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"seed = ", b"x" * (2 << 20), None])
def test_a_configuration_that_is_none_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "sft.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"sft\.toml"):
        keep_config(path)


def test_fields_are_held_against_the_schema_the_verb_prints_and_all_mistakes_are_told(tmp_path: Path) -> None:
    """A process of its own: the schema is what `afrel train sft --schema` prints."""
    good = {"model": "tiny", "epochs": 2, "tiers": [1, 3], "has_rationale": False}
    assert tomllib.loads(checked_config("train sft", good, tmp_path)) == good
    with pytest.raises(UserError) as told:
        checked_config("train sft", {"epochs": 0, "seed": "x", "--pins": "/etc", "tiers": ["a"]}, tmp_path)
    assert "4 mistakes" in str(told.value) and "--pins" in str(told.value)


def test_only_a_trainer_on_a_snapshot_that_is_there_has_a_form(workspace: Workspace) -> None:
    folder = workspace.snapshots_dir / "snap_1"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    assert train_command(workspace, "train dpo", "snap_1").options == {"--snapshot": "snap_1"}
    for verb, snapshot in (("train dpo", "../x"), ("train dpo", None), ("train --help", "snap_1"), ("label", "snap_1")):
        with pytest.raises(UserError, match=r"there is no snapshot|has no form"):
            train_command(workspace, verb, snapshot)

from pathlib import Path

import pytest

from storage.errors import UserError
from trainers.sft.config import read_config, size_to


def test_defaults_follow_the_kind_of_model() -> None:
    tiny, pretrained = read_config(None, {}), read_config(None, {"model": "org/model"})
    assert (tiny.model, tiny.learning_rate) == ("tiny", None)  # by the number of rows
    assert pretrained.learning_rate == 1e-5


def test_the_command_line_lies_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sft.toml"
    path.write_text("seed = 3\nepochs = 4\n")
    config = read_config(path, {"seed": 7, "model": None})
    assert (config.seed, config.epochs) == (7, 4)


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "sft.toml"
    path.write_text('epoch = 4\nseed = -1\ngrade_weight = "much"\n')
    with pytest.raises(UserError) as raised:
        read_config(path, {})
    told = str(raised.value)
    assert "3 mistakes" in told and "epoch" in told and "-1" in told and "'much'" in told


def test_a_completion_must_leave_room_for_the_prompt() -> None:
    with pytest.raises(UserError, match="leave room for the prompt"):
        read_config(None, {"max_length": 64, "max_completion_tokens": 64})


def test_few_rows_get_more_epochs_and_smaller_batches() -> None:
    config = read_config(None, {})
    assert [(size_to(config, n).epochs, size_to(config, n).batch_size) for n in (100, 2000, 15000)] == [
        (10, 32),
        (4, 32),
        (2, 64),
    ]
    assert [size_to(config, n).learning_rate for n in (100, 15000)] == [1e-3, 2e-3]
    given = size_to(read_config(None, {"epochs": 1, "learning_rate": 0.5, "grade_balance": 0.0}), 100)
    assert (given.epochs, given.learning_rate, given.grade_balance) == (1, 0.5, 0.0)

from types import SimpleNamespace
from typing import Any, cast

from transformers.integrations import TensorBoardCallback

from trainers.runs.reporters import keep_reports


def callback(logging_dir: str | None) -> TensorBoardCallback:
    made = TensorBoardCallback.__new__(TensorBoardCallback)  # to make one by its own rules wants the package
    made.logging_dir = logging_dir
    return made


def test_reports_are_kept_in_the_run_s_folder_unless_they_were_sent_elsewhere(tmp_path) -> None:
    """By default they would lie among the checkpoints, which are removed when a run ends."""
    open_one, told = callback(None), callback("/elsewhere")
    trainer = SimpleNamespace(callback_handler=SimpleNamespace(callbacks=[open_one, told, object()]))
    keep_reports(cast(Any, trainer), tmp_path)
    assert (open_one.logging_dir, told.logging_dir) == (str(tmp_path / "tensorboard"), "/elsewhere")

"""Places a run reports to beside its own folder (`report_to`): the libraries know how, if their package is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transformers import Trainer
from transformers.integrations.integration_utils import TensorBoardCallback, get_available_reporting_integrations

from storage.errors import UserError


def require_reporters(names: Sequence[str]) -> None:
    """Return when the package of each place is installed; UserError names those that are not."""
    if not names:
        return
    there = set(get_available_reporting_integrations())
    missing = [name for name in names if name not in there]
    if missing:
        raise UserError(
            f"report_to names {', '.join(missing)}, whose package is not installed here; installed are "
            f"{', '.join(sorted(there)) or 'none'}. Install it (pip install {missing[0]}), or leave it out of "
            "report_to in the --config file"
        )


def keep_reports(trainer: Trainer, folder: Path) -> None:
    """Have files of reports lie in a folder of the run: among the checkpoints they would go when it ends."""
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
            callback.logging_dir = str(folder / "tensorboard")

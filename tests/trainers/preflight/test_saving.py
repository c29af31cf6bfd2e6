"""A disk that fails, for real: the kernel refuses to let a file of this process grow beyond a limit."""

import errno
import resource
from contextlib import contextmanager

import pytest

from storage.errors import UserError
from tests.trainers.conftest import SMALL
from trainers.models.pretrained import load_model
from trainers.preflight.saving import is_disk, telling_of_disk, try_saving
from trainers.runs.directory import RunDirectory
from trainers.sft.config import SftConfig
from trainers.sft.train import train


@contextmanager
def files_up_to(n_bytes: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_weights_that_cannot_be_written_are_told_with_place_and_room(trained, tmp_path) -> None:
    model = load_model(trained.run.model_dir, device="cpu")
    with files_up_to(20_000), pytest.raises(UserError, match=r"trial cannot be written: .*MiB are free.*Make room"):
        try_saving(model, tmp_path, room=2**40, needed=5)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_at_a_checkpoint_leaves_a_run_that_can_go_on(trained, tmp_path) -> None:
    """The optimizer is twice the weights: with a limit between the two the trial passes and the checkpoint does not."""
    n_bytes = (trained.run.model_dir / "model.safetensors").stat().st_size
    run = RunDirectory(tmp_path / "run_1")
    config = SftConfig(**SMALL | {"epochs": 1})
    with (
        files_up_to(n_bytes * 3 // 2),
        pytest.raises(UserError, match=r"the disk failed while run_1 .*no checkpoint yet.*Make room"),
    ):
        train(config, trained.snapshot.directory, run=run, tell=[].append)
    assert list(run.checkpoints_dir.glob("checkpoint-*")) == []
    assert train(config, trained.snapshot.directory, run=run, tell=[].append).n_steps == 15


def test_other_errors_are_no_disk_s(tmp_path) -> None:
    assert is_disk(OSError(errno.ENOSPC, "No space left on device")) and is_disk(OSError(errno.EROFS, "read-only"))
    assert not is_disk(OSError(errno.ENOENT, "no such file")) and not is_disk(RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"), telling_of_disk(RunDirectory(tmp_path)):
        raise RuntimeError("shapes differ")

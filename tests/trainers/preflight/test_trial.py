"""The trial on the small trained model: what it finds, and that it leaves no trace."""

from dataclasses import replace

import pytest
import torch

from storage.errors import UserError
from trainers.models.pretrained import load_model
from trainers.preflight.memory import Room, kept_bytes
from trainers.preflight.trial import Load, _batch, _loss, longest, try_first
from trainers.preflight.weights import require_finite
from trainers.rows.encoding import EncodedRow

PLENTY = Room(memory=2**40, disk=2**40)
ROWS = [EncodedRow([5] * n, [7, 8, 9], is_completion_cut=False) for n in (40, 60, 20)]


@pytest.fixture
def model(trained):
    return load_model(trained.run.model_dir, device="cpu")


def trial(model, folder, *, room=PLENTY, rows=ROWS):
    load = Load(rows, lambda n: f"Set batch_size = {n}")
    return try_first(model, load, pad_token_id=0, folder=folder, room=room, source="run_1")


def test_the_longest_rows_come_first() -> None:
    assert [len(row.prompt) for row in longest(ROWS, 2)] == [60, 40]


def test_it_leaves_no_trace(model, tmp_path) -> None:
    before = {name: held.clone() for name, held in model.state_dict().items()}
    dice = torch.get_rng_state()
    done = trial(model, tmp_path)
    assert (done.n_rows, done.n_tokens, done.peak) == (3, 63, None)
    assert all(torch.equal(before[name], held) for name, held in model.state_dict().items())
    assert all(held.grad is None for held in model.parameters()) and not model.training
    assert torch.equal(dice, torch.get_rng_state())
    assert list(tmp_path.iterdir()) == []


def test_what_one_row_keeps_times_the_rows_is_what_the_batch_keeps(model, tmp_path) -> None:
    batch = _batch(ROWS, 0, model.device)
    whole = kept_bytes(model, lambda: _loss(model, batch["input_ids"], batch["labels"]))
    assert trial(model, tmp_path).need.activations == pytest.approx(whole.peak, rel=0.05)


def test_a_number_that_is_none_is_found_by_the_name_of_its_tensor(model, tmp_path) -> None:
    model.model.layers[0].mlp.up_proj.weight.data[1, 2] = float("nan")
    with pytest.raises(
        UserError, match=r"run_1: 1 of 3072 weights of model.layers.0.mlp.up_proj.weight are not finite"
    ):
        trial(model, tmp_path)
    model.model.norm.weight.data[0] = float("inf")
    with pytest.raises(UserError, match="and 1 more tensors"):
        require_finite(model, source="run_1")


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(model, tmp_path) -> None:
    need = trial(model, tmp_path).need
    fixed = need.gradients + need.optimizer
    with pytest.raises(UserError, match=r"3 rows of 63 tokens, the longest batch, take about .*Set batch_size = 2$"):
        trial(model, tmp_path, room=replace(PLENTY, memory=fixed + 2 * need.per_row))
    with pytest.raises(UserError, match=r"Not even one such row fits: set a max_length under 63, .*lora_rank"):
        trial(model, tmp_path, room=replace(PLENTY, memory=fixed))
    trial(model, tmp_path, room=replace(PLENTY, memory=fixed + 3 * need.per_row))


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(model, tmp_path) -> None:
    needed = trial(model, tmp_path).disk
    with pytest.raises(UserError, match=r"checkpoints and model take about .*Make room"):
        trial(model, tmp_path, room=replace(PLENTY, disk=needed - 1))


def test_a_loss_that_is_no_number_is_told(model, tmp_path) -> None:
    model.model.norm.weight.data *= 1e38
    with pytest.raises(UserError, match="not a finite number before anything was learnt"):
        trial(model, tmp_path)


def test_low_rank_weights_are_written_and_read_alone(model, tmp_path) -> None:
    """2 · 7 matrices of rank 2 a layer are far fewer bytes than the model; only they have gradients."""
    from peft import LoraConfig, get_peft_model

    lora = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear"))
    need = trial(lora, tmp_path).need
    assert 0 < need.gradients < need.weights / 4 and need.optimizer == 2 * need.gradients

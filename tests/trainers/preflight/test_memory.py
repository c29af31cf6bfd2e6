import pytest
import torch

from trainers.preflight.memory import Kept, MemoryNeed, count_need, disk_need, find_room, kept_bytes


def test_the_parts_are_counted_by_hand() -> None:
    """2 · 3 weights of 4 bytes are 24; as many bytes for gradients, two moments of 4 bytes for the optimizer."""
    need = count_need(torch.nn.Linear(2, 3, bias=False), n_rows=5, per_row=10, has_reference=True)
    assert need == MemoryNeed(weights=24, gradients=24, optimizer=48, reference=24, per_row=10, n_rows=5)
    assert (need.activations, need.to_come, need.total) == (50, 24 + 48 + 50, 24 + 24 + 24 + 48 + 50)


def test_what_is_not_trained_has_neither_gradient_nor_moments() -> None:
    model = torch.nn.Linear(2, 3, bias=False)
    model.weight.requires_grad_(requires_grad=False)
    need = count_need(model, n_rows=1, per_row=0, has_reference=False)
    assert (need.weights, need.gradients, need.optimizer, need.reference) == (24, 0, 0, 0)


def test_what_autograd_keeps_is_counted_once_and_without_the_weights() -> None:
    """A linear layer keeps its input, 4 · 2 numbers; a square keeps its base, 4 · 3: 4 bytes each, 80 in all. While the
    base's gradient is made there are it and the square's: two more of the largest."""
    model = torch.nn.Linear(2, 3, bias=False)
    rows = torch.ones(4, 2)
    kept = kept_bytes(model, lambda: model(rows).square().sum())
    assert kept == Kept(total=4 * (8 + 12), largest=4 * 12)
    assert kept.peak == 4 * (8 + 12 + 2 * 12)

    def twice() -> torch.Tensor:
        made = model(rows)
        return (made.square() + made[1:].square().sum()).sum()  # a part of the same storage

    assert kept_bytes(model, twice) == kept


def test_as_many_rows_fit_as_memory_is_left_beside_the_rest() -> None:
    need = MemoryNeed(weights=1000, gradients=100, optimizer=200, reference=0, per_row=50, n_rows=9)
    assert [need.rows_within(free) for free in (500, 499, 350, 349, 0)] == [4, 3, 1, 0, 0]


def test_three_checkpoints_and_the_model_go_to_disk() -> None:
    need = MemoryNeed(weights=24, gradients=24, optimizer=48, reference=0, per_row=1, n_rows=1)
    assert disk_need(need, n_trained_bytes=24) == 3 * (24 + 48) + 24


def test_the_room_of_this_machine_is_found(tmp_path) -> None:
    room = find_room("cpu", tmp_path)
    assert room.memory > 2**20 and room.disk > 0


@pytest.mark.gpu
def test_the_room_of_a_gpu_is_what_is_free_on_it(tmp_path) -> None:
    held = torch.zeros(2**28, device="cuda")
    before = find_room("cuda", tmp_path).memory
    del held
    assert find_room("cuda", tmp_path).memory - before == pytest.approx(2**30, rel=0.1)

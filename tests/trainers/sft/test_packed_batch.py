"""Packed or not: the same loss and gradient of the same batch, and the same training."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.conftest import SMALL
from trainers.models.tiny_model import build_model, train_tokenizer
from trainers.objectives.losses import IGNORED, answer_first_loss
from trainers.rows.encoding import EncodedRow
from trainers.rows.padding import RightPadding
from trainers.runs.directory import RunDirectory
from trainers.sft.config import SftConfig
from trainers.sft.packed_batch import NO_PIECE, PackedCompletions, by_piece
from trainers.sft.setup import packed
from trainers.sft.train import train
from trainers.sft.trainer import _targets


def row(at: int, n_prompt: int, *completion: int) -> dict[str, Any]:
    prompt = [10 + at] * n_prompt
    return {"input_ids": prompt + list(completion), "labels": [IGNORED] * n_prompt + list(completion), "row": at}


ROWS = [row(0, 3, 7), row(1, 5, 8, 20, 21), row(2, 2, 9, 22), row(3, 1, 7)]


def test_rows_lie_behind_one_another_each_from_position_0() -> None:
    """Lengths 4, 8, 4, 2 in rows of 10: the 8 takes the 2, the two of 4 a row."""
    batch = PackedCompletions(1, 10)(ROWS)
    assert batch["piece"].tolist() == [[1] * 8 + [3] * 2, [0] * 4 + [2] * 4 + [NO_PIECE] * 2]
    assert batch["position_ids"].tolist() == [[*range(8), 0, 1], [*range(4), *range(4), 0, 0]]
    assert batch["labels"][1].tolist() == [*[IGNORED] * 3, 7, IGNORED, IGNORED, 9, 22, IGNORED, IGNORED]
    assert batch["row"].tolist() == [0, 1, 2, 3]


def test_targets_come_back_to_their_rows() -> None:
    piece = torch.tensor([1, 1, 1, 3, 0, 2, 2])
    rows, is_filled = by_piece(torch.tensor([1.0, 2, 3, 4, 5, 6, 7]), piece, n=4)
    assert rows.tolist() == [[5, 0, 0], [1, 2, 3], [6, 7, 0], [4, 0, 0]]
    assert is_filled.sum(dim=1).tolist() == [1, 3, 2, 1]


@pytest.fixture(scope="module")
def model() -> Any:
    tokenizer = train_tokenizer(["red leather bag", "oak chair"] * 4, vocab_size=300)
    return build_model(tokenizer, hidden_size=16, n_layers=2, n_heads=2, max_length=64, seed=0).double().eval()


def loss_and_gradient(model: Any, batch: dict[str, torch.Tensor]) -> tuple[float, torch.Tensor, list[int]]:
    model.zero_grad()
    log_probs, is_counted, grades = _targets(model, batch)
    weights = torch.tensor([0.5 + 0.1 * grade for grade in grades.tolist()])
    loss = answer_first_loss(log_probs, is_counted, grade_weight=0.3, row_weights=weights)
    loss.total.backward()
    return float(loss.total.detach()), torch.cat([held.grad.flatten() for held in model.parameters()]), grades.tolist()


@settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.lists(st.integers(7, 200), min_size=1, max_size=6)), min_size=1, max_size=7
    )
)
def test_loss_and_gradient_are_those_of_the_rows_one_by_one(model, drawn) -> None:
    rows = [row(at, n, *completion) for at, (n, completion) in enumerate(drawn)]
    plain, gradient, grades = loss_and_gradient(model, RightPadding(1)(rows))
    together, as_packed, same = loss_and_gradient(model, PackedCompletions(1, 20)(rows))
    assert same == grades == [completion[0] for _, completion in drawn]
    assert together == pytest.approx(plain, rel=1e-9)
    torch.testing.assert_close(as_packed, gradient, rtol=1e-6, atol=1e-9)


def test_without_positions_the_loss_is_another(model) -> None:
    """The control: were rows of one line to see each other, the test above would fail."""
    batch = PackedCompletions(1, 20)(ROWS)
    right = loss_and_gradient(model, batch)[0]
    seeing = batch | {"position_ids": torch.arange(batch["input_ids"].shape[1]).expand_as(batch["input_ids"])}
    assert abs(loss_and_gradient(model, seeing)[0] - right) > 1e-4


def test_the_trial_takes_the_packed_rows_with_every_token_a_target() -> None:
    rows = [EncodedRow([1] * n, [7, 8], is_completion_cut=False) for n in (8, 4, 4)]
    assert [(len(one.prompt), len(one.completion)) for one in packed(rows, 12)] == [(1, 9), (1, 11)]


def test_a_packed_run_takes_the_steps_of_an_unpacked_one(trained, tmp_path) -> None:
    torch.set_num_threads(1)
    run, told = RunDirectory(tmp_path / "run_packed"), SimpleNamespace(lines=[])
    config = SftConfig(**SMALL | {"epochs": 1, "packing": True})
    result = train(config, trained.snapshot.directory, run=run, tell=told.lines.append)
    plain = RunDirectory(tmp_path / "run_plain")
    train(SftConfig(**SMALL | {"epochs": 1}), trained.snapshot.directory, run=plain, tell=told.lines.append)
    assert result.n_steps == len(plain.read_metrics())
    for ours, theirs in zip(run.read_metrics(), plain.read_metrics(), strict=True):
        assert ours["rows"] == theirs["rows"]
        for name in ("loss", "grade_loss", "grad_norm"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3), (ours["step"], name)
    assert run.read()["run_key"] != plain.read()["run_key"]

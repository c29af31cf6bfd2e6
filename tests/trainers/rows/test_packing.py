import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.objectives.losses import IGNORED
from trainers.rows.packing import PackedPadding, cut_document, join, pack

END = 9


def test_a_document_ends_with_the_end_of_text() -> None:
    assert cut_document([1, 2, 3], eos_token_id=END, max_length=8) == [[1, 2, 3, END]]
    assert cut_document([], eos_token_id=END, max_length=8) == []


def test_a_long_document_is_cut_and_a_lone_token_left_out() -> None:
    assert cut_document([1, 2, 3, 4], eos_token_id=END, max_length=3) == [[1, 2, 3], [4, END]]
    assert cut_document([1, 2, 3], eos_token_id=END, max_length=3) == [[1, 2, 3]]


def test_a_row_begins_anew_with_each_piece() -> None:
    row = join([[1, 2, END], [3, END]])
    assert row.input_ids == [1, 2, END, 3, END]
    assert row.position_ids == [0, 1, 2, 0, 1]
    assert row.labels == [IGNORED, 2, END, IGNORED, END]  # what follows nothing is no target
    assert row.n_targets == 3


def test_pieces_go_where_they_fit_most_tightly() -> None:
    """Rows of 6: the 5 alone; the 4 takes the 2; the 3 has a row of its own, for the 5 leaves only 1."""
    rows = pack([[0] * 3, [0] * 5, [0] * 2, [0] * 4], max_length=6)
    assert [len(row.input_ids) for row in rows] == [5, 6, 3]
    assert rows[1].position_ids == [0, 1, 2, 3, 0, 1]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(2, 10), max_size=60))
def test_packing_loses_no_target_and_overfills_no_row(lengths) -> None:
    rows = pack([[at] * n for at, n in enumerate(lengths)], max_length=10)
    assert all(len(row.input_ids) <= 10 for row in rows)
    assert sum(row.n_targets for row in rows) == sum(n - 1 for n in lengths)
    assert sorted(token for row in rows for token in row.input_ids) == [
        at for at, n in enumerate(lengths) for _ in range(n)
    ]


def test_padding_stands_alone_on_the_right() -> None:
    short, long = ({"input_ids": ids, "labels": ids, "position_ids": list(range(len(ids)))} for ids in ([4], [5, 6, 7]))
    batch = PackedPadding(1)([short, long])
    assert batch["input_ids"].tolist() == [[4, 1, 1], [5, 6, 7]]
    assert batch["labels"].tolist() == [[4, IGNORED, IGNORED], [5, 6, 7]]
    assert batch["position_ids"].tolist() == [[0, 0, 0], [0, 1, 2]]


def test_a_packed_text_is_read_as_it_is_read_alone() -> None:
    """And not so without positions: the check of the boundaries can fail."""
    from storage.errors import UserError
    from trainers.dapt.trainer import measure_perplexity
    from trainers.models.tiny_model import build_model, train_tokenizer
    from trainers.preflight.boundaries import require_boundaries

    tokenizer = train_tokenizer(["red leather bag", "oak chair"] * 4, vocab_size=300)
    model = build_model(tokenizer, hidden_size=16, n_layers=2, n_heads=2, max_length=64, seed=0)
    pieces = [
        cut_document(tokenizer(text)["input_ids"], eos_token_id=1, max_length=64) for text in ("oak chair", "bag 4")
    ]
    (first,), (second,) = pieces
    measure = {"pad_token_id": tokenizer.pad_token_id, "batch_size": 2}
    packed = measure_perplexity(model, [join([first, second])], **measure)
    alone = measure_perplexity(model, [join([first]), join([second])], **measure)
    assert packed.n_tokens == alone.n_tokens == len(first) + len(second) - 2
    assert packed.value == pytest.approx(alone.value, rel=1e-5)
    require_boundaries(model, [first, second], pad_token_id=tokenizer.pad_token_id)

    class Careless(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, **inputs):
            return model(**{name: held for name, held in inputs.items() if name != "position_ids"})

    with pytest.raises(UserError, match="packing = false"):
        require_boundaries(Careless(), [first, second], pad_token_id=tokenizer.pad_token_id)

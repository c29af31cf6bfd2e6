"""Whether a model keeps the texts of a packed row apart: it is asked before anything is learnt from such rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from storage.errors import UserError
from trainers.rows.packing import join, packed_log_probs

_NEAR = 1e-3  # nats; a token in a row of many and alone are the same sums in another order


def require_boundaries(model: PreTrainedModel, pieces: Sequence[Sequence[int]], *, pad_token_id: int) -> None:
    """Return when a model reads the second of two pieces in a row as it reads it alone; UserError when it does not."""
    first, second = (list(piece[:64]) for piece in pieces[:2])
    was_training = model.training
    model.eval()
    with torch.no_grad():
        alone, _ = packed_log_probs(model, [join([second])], pad_token_id=pad_token_id)
        packed, is_counted = packed_log_probs(model, [join([first, second])], pad_token_id=pad_token_id)
    model.train(was_training)
    behind = packed[is_counted][len(first) - 1 :]
    if not torch.allclose(behind, alone[0], atol=_NEAR, rtol=_NEAR):
        raise UserError(
            "this model's attention does not keep the texts of a row apart: each would be learnt as if it followed the "
            "one before. Set packing = false in the --config file"
        )

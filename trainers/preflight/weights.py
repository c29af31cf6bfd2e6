"""A number in the weights that is none poisons every score; it is found before training and before a model is kept."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from storage.errors import UserError


def require_finite(model: torch.nn.Module, *, source: str) -> None:
    """Return when every weight of a model is a finite number; UserError says where one is none."""
    require_finite_weights(model.named_parameters(), source=source)


def require_finite_weights(weights: Iterable[tuple[str, torch.Tensor]], *, source: str) -> None:
    """Return when every weight is a finite number; UserError names the first tensor that holds others, and how many."""
    bad = [(name, held) for name, held in weights if not bool(torch.isfinite(held).all())]
    if not bad:
        return
    name, held = bad[0]
    n_bad = int((~torch.isfinite(held)).sum())
    others = f", and {len(bad) - 1} more tensors" if len(bad) > 1 else ""
    raise UserError(
        f"{source}: {n_bad} of {held.numel()} weights of {name} are not finite numbers{others}. Such a model scores "
        "nothing. Take another --model, or train it again: afrel train sft"
    )

"""The real judgements that stages are fitted on and asked about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GRADES = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Material:
    """The snapshot and its rows, train and dev; the workspace's lexical grades by pair."""

    workspace: Path
    snapshot: Path
    train: Any
    dev: Any
    is_quick: bool

    @property
    def truth(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The dev grades, which are their own places on the scale."""
        return np.array(self.dev["grade"], dtype=np.int64)

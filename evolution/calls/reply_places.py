"""Where each good reply of a run lies on its spool: sixteen bytes a reply, so that long runs stay small.

Ids end in 64 bits of a hash; those are kept, sorted, with the places beside them. New ones gather in a dict and are
merged in now and then.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from storage.ids import ID_HEX_DIGITS

MERGED_AT = 4096


class ReplyPlaces:
    """A map from `llm_call_id` to a place."""

    def __init__(self) -> None:
        self._keys: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._places: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._new: dict[int, int] = {}

    def add(self, call_id: str, place: int) -> None:
        """Note where a reply lies."""
        self._new[key_of(call_id)] = place
        if len(self._new) >= MERGED_AT:
            self._merge()

    def find(self, call_id: str) -> int | None:
        """Return where a reply lies, None when there is none."""
        key = key_of(call_id)
        if key in self._new:
            return self._new[key]
        place = int(np.searchsorted(self._keys, np.uint64(key)))
        is_held = place < len(self._keys) and int(self._keys[place]) == key
        return int(self._places[place]) if is_held else None

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, np.fromiter(self._new.keys(), np.uint64, len(self._new))])
        places = np.concatenate([self._places, np.fromiter(self._new.values(), np.int64, len(self._new))])
        order = np.argsort(keys, kind="stable")
        self._keys, self._places, self._new = keys[order], places[order], {}


def key_of(call_id: str) -> int:
    """Return the 64 bits an id ends in."""
    return int(call_id[-ID_HEX_DIGITS:], 16)

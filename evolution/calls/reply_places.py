"""Where each good reply of a run lies on its spool: sixteen bytes a reply, so that long runs stay small.

Ids end in 64 bits of a hash; those are kept, sorted, with the places beside them. New ones gather in a dict and are
merged in now and then, into memory mapped for the purpose: on the heap, arrays that grow leave holes that nothing else
fits into, 80 bytes a reply (measured; glibc raises its threshold for mapping with each large block that is freed).
"""

from __future__ import annotations

import mmap
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from storage.ids import ID_HEX_DIGITS

MERGED_AT = 4096
Number = TypeVar("Number", np.uint64, np.int64)


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
        added = sorted(self._new.items())
        keys = np.array([key for key, _ in added], np.uint64)
        at = np.searchsorted(self._keys, keys) + np.arange(len(added))
        is_old = np.ones(len(self._keys) + len(added), np.bool_)
        is_old[at] = False
        merged_keys, merged_places = _mapped(len(is_old), np.uint64), _mapped(len(is_old), np.int64)
        merged_keys[at], merged_keys[is_old] = keys, self._keys
        merged_places[at], merged_places[is_old] = [place for _, place in added], self._places
        self._keys, self._places, self._new = merged_keys, merged_places, {}


def _mapped(n: int, dtype: type[Number]) -> npt.NDArray[Number]:
    """Return an array of n zeros of eight bytes in a mapping of its own."""
    return np.frombuffer(mmap.mmap(-1, n * np.dtype(dtype).itemsize), dtype)


def key_of(call_id: str) -> int:
    """Return the 64 bits an id ends in."""
    return int(call_id[-ID_HEX_DIGITS:], 16)

"""Good replies that were paid for earlier, by the name of their call: kept as the columns they came in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from evolution.calls.reply_places import ReplyPlaces


class HeldReplies(Mapping[str, str]):
    """The named read `good_replies` as a mapping; a text is made a Python one when it is asked for."""

    def __init__(self, replies: pa.Table) -> None:
        self._ids, self._texts = replies.column("llm_call_id"), replies.column("reply")
        self._places = ReplyPlaces()
        for place, call_id in enumerate(self._ids.to_pylist()):
            self._places.add(call_id, place)

    def __getitem__(self, call_id: str) -> str:
        place = self._places.find(call_id)
        if place is None:
            raise KeyError(call_id)
        return str(self._texts[place].as_py())

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids.to_pylist())

    def __len__(self) -> int:
        return len(self._ids)

"""A dataset that the index lost while the server runs is built anew from the server's database, once, on demand.

The first to ask for it starts the walk and waits a moment for it; later ones are answered by what is there so far.
What is written meanwhile is noted and indexed once more at the end, for the walk may have read it before it was
changed. A walk that fails or is cancelled leaves nothing behind, and what a killed one leaves is marked half, so that
the next one to ask starts again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from review_app.argilla_search.documents import Document
from review_app.argilla_search.index import Index

_LOGGER = logging.getLogger(__name__)


class NotHealedError(Exception):
    """The dataset could not be built anew; its words say why and what to do."""


class Records(Protocol):
    """The server's database, as far as a walk needs it."""

    async def fields(self, dataset_id: str) -> Sequence[str] | None:
        """Return the searched fields of a dataset, None where it is not in use (a draft, or deleted)."""

    async def record_ids(self, dataset_id: str) -> Sequence[str]:
        """Return the ids of all its records in the order they came."""

    async def documents(self, record_ids: Sequence[str]) -> Sequence[Document]:
        """Return records as they are indexed; those that are not there any more are left out."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many records are read and indexed at once, how long one waits, how long after a failure nobody tries."""

    at_once: int = 200
    most_waited: float = 10.0  # seconds since the walk began
    no_sooner: float = 30.0  # seconds


@dataclass(slots=True)
class Walk:
    """One rebuild under way."""

    task: asyncio.Task[None]
    began_at: float
    touched: set[str] = field(default_factory=set)


class Healing:
    """The rebuilds of one index."""

    def __init__(self, index: Index, records: Records, pace: Pace = Pace()) -> None:  # frozen
        """Rebuild an index from a database."""
        self._index, self._records, self._pace = index, records, pace
        self._walks: dict[str, Walk] = {}
        self._looked_at: set[str] = set()
        self._failed: dict[str, tuple[float, str]] = {}

    def note(self, dataset_id: str, record_ids: Sequence[str]) -> bool:
        """Note records that change; return whether their dataset is being rebuilt, which will index them."""
        walk = self._walks.get(dataset_id)
        if walk is not None:
            walk.touched.update(record_ids)
        return walk is not None

    async def look(self, dataset_id: str) -> None:
        """Rebuild a dataset whose rebuild was killed; each is looked at once."""
        if dataset_id in self._looked_at:
            return
        try:
            is_half = await asyncio.to_thread(self._index.is_half, dataset_id)
        except sqlite3.Error:
            return  # the question that follows meets it as well
        if is_half:
            await self.heal(dataset_id)
        self._looked_at.add(dataset_id)

    async def heal(self, dataset_id: str) -> None:
        """Rebuild a dataset, or join the rebuild under way, and wait a moment; NotHealedError where it fails."""
        walk = self._walks.get(dataset_id)
        if walk is None:
            failed_at, words = self._failed.get(dataset_id, (float("-inf"), ""))
            if time.monotonic() - failed_at < self._pace.no_sooner:
                raise NotHealedError(words)
            walk = Walk(asyncio.create_task(self._walk(dataset_id)), time.monotonic())
            self._walks[dataset_id] = walk
        left = self._pace.most_waited - (time.monotonic() - walk.began_at)
        done, _ = await asyncio.wait({walk.task}, timeout=max(0.0, left))
        if done:
            walk.task.result()

    async def _walk(self, dataset_id: str) -> None:
        started = time.monotonic()
        try:
            fields = await self._records.fields(dataset_id)
            if fields is None:
                return  # whoever asked is told that the index does not hold it
            _LOGGER.warning("dataset %s was lost from the search index; it is built anew", dataset_id)
            await asyncio.to_thread(self._index.begin_rebuild, dataset_id, fields)
            record_ids = await self._records.record_ids(dataset_id)
            for start in range(0, len(record_ids), self._pace.at_once):
                await self._put(dataset_id, record_ids[start : start + self._pace.at_once])
            await asyncio.to_thread(self._index.end_rebuild, dataset_id)
            walk = self._walks[dataset_id]
            while walk.touched:
                again, walk.touched = sorted(walk.touched), set()
                await self._put(dataset_id, again)
        except asyncio.CancelledError:
            self._index.delete_dataset(dataset_id)
            raise
        except Exception as error:
            words = (
                f"the search index of dataset {dataset_id} is lost and could not be built anew ({error}). Mend that, "
                f"then build it: python -m review_app.argilla_search {dataset_id}"
            )
            _LOGGER.exception("%s", words)
            self._failed[dataset_id] = (time.monotonic(), words)
            await self._forget(dataset_id)
            raise NotHealedError(words) from error
        finally:
            del self._walks[dataset_id]  # no await since the last look at what was noted
        _LOGGER.warning(
            "dataset %s is in the search index again: %d records, %.1f s",
            dataset_id,
            len(record_ids),
            time.monotonic() - started,
        )

    async def _put(self, dataset_id: str, record_ids: Sequence[str]) -> None:
        documents = await self._records.documents(record_ids)
        await asyncio.to_thread(self._index.put, dataset_id, documents)
        gone = set(record_ids) - {document.record_id for document in documents}
        if gone:
            await asyncio.to_thread(self._index.delete, dataset_id, sorted(gone))

    async def _forget(self, dataset_id: str) -> None:
        """Leave no half of a dataset behind, as far as the index lets itself be written."""
        try:
            await asyncio.to_thread(self._index.delete_dataset, dataset_id)
        except Exception:
            _LOGGER.exception("what was built of dataset %s stays in the search index", dataset_id)

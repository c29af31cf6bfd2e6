"""The index as a search engine of argilla-server 2.8, registered as "sqlite" when this module is imported.

The server's rows are turned into plain values in the server's own task, for its database session may not be touched
from another thread; the index is then called in a thread. The server asks for a new engine at every request, so all of
a process share one index for each file. What the index turns out to have lost is built anew; see `healing`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from argilla_server.enums import MetadataPropertyType, SimilarityOrder, SortOrder
from argilla_server.search_engine import (
    AndFilter,
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    MetadataFilterScope,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SearchEngine,
    SearchResponseItem,
    SearchResponses,
    SuggestionFilterScope,
    TermsFilter,
    TermsMetrics,
    TextQuery,
)
from argilla_server.settings import settings
from starlette.exceptions import HTTPException

from review_app.argilla_search import filters
from review_app.argilla_search.connections import is_damage
from review_app.argilla_search.documents import Hits
from review_app.argilla_search.healing import Healing, NotHealedError
from review_app.argilla_search.index import Index, MissingDatasetError, MissingRecordError
from review_app.argilla_search.server_records import (
    ServerRecords,
    document_of,
    plain,
    response_of,
    searched_fields,
    suggestion_of,
)

Result = TypeVar("Result")
NAME = "sqlite"
MOST_TERMS = 2**14
_OPENING = threading.Lock()


def index_path() -> Path:
    """Return where the index lies: ARGILLA_SEARCH_INDEX, or `search.sqlite` in the server's home."""
    named = os.environ.get("ARGILLA_SEARCH_INDEX")
    return Path(named) if named else Path(settings.home_path) / "search.sqlite"


@cache
def _index(path: Path) -> Index:
    return Index(path)


def shared_index(path: Path) -> Index:
    """Return this process's index of a file."""
    with _OPENING:
        return _index(path.absolute())


@cache
def healing_of(index: Index) -> Healing:
    """Return this process's rebuilds of an index."""
    return Healing(index, ServerRecords())


@SearchEngine.register(engine_name=NAME)  # type: ignore[untyped-decorator,unused-ignore]
class SqliteSearch(SearchEngine):  # type: ignore[misc,unused-ignore]
    """The 19 methods the server asks of a search engine."""

    def __init__(self, index: Index) -> None:
        """Speak for an index."""
        self._index = index

    @classmethod
    async def new_instance(cls) -> SqliteSearch:
        """Return an engine on the index named by the environment."""
        return cls(await asyncio.to_thread(shared_index, index_path()))

    async def close(self) -> None:
        """Do nothing: the index stays open for the next request."""

    async def ping(self) -> bool:
        """Tell whether the index can be read."""
        return await asyncio.to_thread(self._index.answers)

    async def info(self) -> dict[str, Any]:
        """Return what answers the searches."""
        return {"name": NAME, "version": {"distribution": "SQLite FTS5", "number": sqlite3.sqlite_version}}

    async def create_index(self, dataset: Any) -> None:
        """Make the dataset's index, empty, with all its fields but images."""
        await asyncio.to_thread(
            _made, self._index, self._index.create_dataset, str(dataset.id), searched_fields(dataset)
        )

    async def delete_index(self, dataset: Any) -> None:
        """Drop the dataset's index."""
        await asyncio.to_thread(_made, self._index, self._index.delete_dataset, str(dataset.id))

    async def configure_metadata_property(self, dataset: Any, metadata_property: Any) -> None:
        """Do nothing: all metadata is indexed, so a property of a later day finds the records of before."""

    async def configure_index_vectors(self, vector_settings: Any) -> None:
        """Do nothing: vectors of any settings are kept as they come."""

    async def index_records(self, dataset: Any, records: Iterable[Any]) -> None:
        """Index records, in the place of what was there."""
        documents = [document_of(record) for record in records]
        await self._change(dataset.id, [document.record_id for document in documents], self._index.put, documents)

    async def partial_record_update(self, record: Any, **update: Any) -> None:
        """Change a record's status; ValueError for anything else, which the server never asks."""
        if set(update) != {"status"}:
            raise ValueError(f"only a record's status is updated alone, not {', '.join(sorted(update))}")
        await self._change_record(record, self._index.set_status, plain(update["status"]))

    async def delete_records(self, dataset: Any, records: Iterable[Any]) -> None:
        """Take records out."""
        record_ids = [str(record.id) for record in records]
        await self._change(dataset.id, record_ids, self._index.delete, record_ids)

    async def update_record_response(self, response: Any) -> None:
        """Add or replace a response."""
        await self._change_record(response.record, self._index.put_response, response_of(response))

    async def delete_record_response(self, response: Any) -> None:
        """Take a response out."""
        await self._change_record(response.record, self._index.delete_response, str(response.id))

    async def update_record_suggestion(self, suggestion: Any) -> None:
        """Add or replace a suggestion."""
        await self._change_record(suggestion.record, self._index.put_suggestion, suggestion_of(suggestion))

    async def delete_record_suggestion(self, suggestion: Any) -> None:
        """Take a suggestion out."""
        await self._change_record(suggestion.record, self._index.delete_suggestion, suggestion.question.name)

    async def get_dataset_progress(self, dataset: Any) -> dict[str, int]:
        """Return the number of records, in all and by status."""
        if dataset.is_draft:
            return {}
        counts = await self._ask(self._index.statuses, str(dataset.id))
        return {"total": sum(counts.values()), **counts}

    async def get_dataset_user_progress(self, dataset: Any, user: Any) -> dict[str, int]:
        """Return the number of the user's responses, in all and by status."""
        if dataset.is_draft:
            return {}
        counts = await self._ask(self._index.user_statuses, str(dataset.id), str(user.id))
        return {"total": sum(counts.values()), **counts}

    async def search(
        self,
        dataset: Any,
        query: Any = None,
        filter: Any = None,
        sort: list[Any] | None = None,
        offset: int = 0,
        limit: int = 100,
        user_id: Any = None,
    ) -> SearchResponses:
        """Return one page of records, in the sort's order, by the text or in the user's own shuffle."""
        asked = _asked(query)
        hits = await self._ask(
            self._index.search,
            str(dataset.id),
            text=asked.q if asked else None,
            field=asked.field if asked else None,
            filter_=filter_of(filter) if filter else None,
            sorts=[_sort_of(one) for one in sort or []],
            user_id=str(user_id) if user_id else None,
            offset=offset,
            limit=limit,
        )
        return _responses(hits)

    async def compute_metrics_for(self, metadata_property: Any) -> Any:
        """Return the terms with their counts, or the least and greatest number, of a metadata property."""
        dataset_id, name = str(metadata_property.dataset_id), metadata_property.name
        if metadata_property.type == MetadataPropertyType.terms:
            total, counts = await self._ask(self._index.term_counts, dataset_id, name, limit=MOST_TERMS)
            return TermsMetrics(
                total=total, values=[TermsMetrics.TermCount(term=term, count=count) for term, count in counts]
            )
        least, greatest = await self._ask(self._index.bounds, dataset_id, name)
        if metadata_property.type == MetadataPropertyType.integer:
            return IntegerMetadataMetrics(
                min=None if least is None else int(least), max=None if greatest is None else int(greatest)
            )
        return FloatMetadataMetrics(min=least, max=greatest)

    async def similarity_search(
        self,
        dataset: Any,
        vector_settings: Any,
        value: list[float] | None = None,
        record: Any = None,
        query: Any = None,
        filter: Any = None,
        max_results: int = 100,
        order: Any = SimilarityOrder.most_similar,
        threshold: float | None = None,
    ) -> SearchResponses:
        """Return the records most or least like a vector or like a record, which is itself left out."""
        if bool(value) == bool(record):
            raise ValueError("a similarity search takes either a vector or a record")
        vector = value or record.vector_value_by_vector_settings(vector_settings)
        if not vector:
            raise ValueError(f"record {record.id} has no vector of {vector_settings.name}")
        asked = _asked(query)
        hits = await self._ask(
            self._index.alike,
            str(dataset.id),
            str(vector_settings.id),
            [-part for part in vector] if order == SimilarityOrder.least_similar else vector,
            text=asked.q if asked else None,
            field=asked.field if asked else None,
            filter_=filter_of(filter) if filter else None,
            without=str(record.id) if record else None,
            n_best=max_results,
            threshold=threshold,
        )
        return _responses(hits)

    async def _ask(self, act: Callable[..., Result], dataset_id: str, *given: Any, **named: Any) -> Result:
        """Ask the index of a dataset, which is built anew if it is lost; status 503 where it cannot be."""
        healing = healing_of(self._index)
        try:
            await healing.look(dataset_id)
            return await asyncio.to_thread(_asked_of, self._index, act, dataset_id, *given, **named)
        except MissingDatasetError:
            try:
                await healing.heal(dataset_id)
                return await asyncio.to_thread(_asked_of, self._index, act, dataset_id, *given, **named)
            except (NotHealedError, MissingDatasetError) as error:
                raise HTTPException(503, str(error)) from error
        except NotHealedError as error:
            raise HTTPException(503, str(error)) from error

    async def _change(self, dataset_id: Any, record_ids: Sequence[str], act: Callable[..., None], *given: Any) -> None:
        """Change records of the index; one it has not is indexed from the server's database, which has the change."""
        is_noted = healing_of(self._index).note(str(dataset_id), record_ids)
        try:
            await self._ask(act, str(dataset_id), *given)
        except MissingRecordError:
            if not is_noted:
                documents = await ServerRecords().documents(record_ids)
                await self._ask(self._index.put, str(dataset_id), documents)

    async def _change_record(self, record: Any, act: Callable[..., None], *given: Any) -> None:
        await self._change(record.dataset_id, [str(record.id)], act, str(record.id), *given)


def _made(index: Index, act: Callable[..., None], *given: Any) -> None:
    """Make or drop a dataset's tables, in a new file where this one is damaged."""
    try:
        act(*given)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        index.replace_damaged()
        act(*given)


def _asked_of(index: Index, act: Callable[..., Result], dataset_id: str, *given: Any, **named: Any) -> Result:
    """Ask the index; where its file is damaged, empty it and say that the dataset is missing."""
    try:
        return act(dataset_id, *given, **named)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        index.replace_damaged()
        raise MissingDatasetError(dataset_id) from error


def filter_of(given: Any) -> filters.Filter:
    """Return the server's filter as the index's; ValueError for a kind that is not known."""
    if isinstance(given, AndFilter):
        return filters.All(tuple(filter_of(one) for one in given.filters))
    if isinstance(given, TermsFilter):
        return filters.Terms(_scope_of(given.scope), tuple(plain(value) for value in given.values))
    if isinstance(given, RangeFilter):
        return filters.Range(_scope_of(given.scope), given.ge, given.le)
    raise ValueError(f"{type(given).__name__} is no filter")


def _scope_of(given: Any) -> filters.Scope:
    if isinstance(given, MetadataFilterScope):
        return filters.OfMetadata(given.metadata_property)
    if isinstance(given, SuggestionFilterScope):
        # the server hands on an unnamed property as the text "None"
        named = given.property in ("value", "score", "agent", "type")
        return filters.OfSuggestion(given.question, given.property if named else "value")
    if isinstance(given, ResponseFilterScope):
        return filters.OfResponse(given.question, str(given.user.id) if given.user else None)
    if isinstance(given, RecordFilterScope):
        return filters.OfRecord(plain(given.property))
    raise ValueError(f"{type(given).__name__} is no scope of a filter")


def _sort_of(given: Any) -> filters.Sort:
    return filters.Sort(_scope_of(given.scope), "desc" if given.order == SortOrder.desc else "asc")


def _asked(query: Any) -> Any:
    return TextQuery(q=query) if isinstance(query, str) else query


def _responses(hits: Hits) -> SearchResponses:
    items = [SearchResponseItem(record_id=hit.record_id, score=hit.score) for hit in hits.hits]
    return SearchResponses(items=items, total=hits.total)

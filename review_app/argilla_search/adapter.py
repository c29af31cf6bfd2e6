"""The index as a search engine of argilla-server 2.8, registered as "sqlite" when this module is imported.

The only module here that knows Argilla. The server's rows are turned into plain values in the server's own task, for
its database session may not be touched from another thread; the index is then called in a thread. The server asks for
a new engine at every request, so all of a process share one index for each file.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

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

from review_app.argilla_search import filters
from review_app.argilla_search.documents import Document, Hits, Response, Suggestion
from review_app.argilla_search.index import Index
from review_app.argilla_search.rows import MESSAGE_END

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
        fields = [field.name for field in dataset.fields if not field.is_image]
        await asyncio.to_thread(self._index.create_dataset, str(dataset.id), fields)

    async def delete_index(self, dataset: Any) -> None:
        """Drop the dataset's index."""
        await asyncio.to_thread(self._index.delete_dataset, str(dataset.id))

    async def configure_metadata_property(self, dataset: Any, metadata_property: Any) -> None:
        """Do nothing: all metadata is indexed, so a property of a later day finds the records of before."""

    async def configure_index_vectors(self, vector_settings: Any) -> None:
        """Do nothing: vectors of any settings are kept as they come."""

    async def index_records(self, dataset: Any, records: Iterable[Any]) -> None:
        """Index records, in the place of what was there."""
        documents = [document_of(record) for record in records]
        await asyncio.to_thread(self._index.put, str(dataset.id), documents)

    async def partial_record_update(self, record: Any, **update: Any) -> None:
        """Change a record's status; ValueError for anything else, which the server never asks."""
        if set(update) != {"status"}:
            raise ValueError(f"only a record's status is updated alone, not {', '.join(sorted(update))}")
        await asyncio.to_thread(
            self._index.set_status, str(record.dataset_id), str(record.id), _plain(update["status"])
        )

    async def delete_records(self, dataset: Any, records: Iterable[Any]) -> None:
        """Take records out."""
        await asyncio.to_thread(self._index.delete, str(dataset.id), [str(record.id) for record in records])

    async def update_record_response(self, response: Any) -> None:
        """Add or replace a response."""
        record = response.record
        await asyncio.to_thread(self._index.put_response, str(record.dataset_id), str(record.id), response_of(response))

    async def delete_record_response(self, response: Any) -> None:
        """Take a response out."""
        record = response.record
        await asyncio.to_thread(self._index.delete_response, str(record.dataset_id), str(record.id), str(response.id))

    async def update_record_suggestion(self, suggestion: Any) -> None:
        """Add or replace a suggestion."""
        record = suggestion.record
        await asyncio.to_thread(
            self._index.put_suggestion, str(record.dataset_id), str(record.id), suggestion_of(suggestion)
        )

    async def delete_record_suggestion(self, suggestion: Any) -> None:
        """Take a suggestion out."""
        record = suggestion.record
        await asyncio.to_thread(
            self._index.delete_suggestion, str(record.dataset_id), str(record.id), suggestion.question.name
        )

    async def get_dataset_progress(self, dataset: Any) -> dict[str, int]:
        """Return the number of records, in all and by status."""
        if dataset.is_draft:
            return {}
        counts = await asyncio.to_thread(self._index.statuses, str(dataset.id))
        return {"total": sum(counts.values()), **counts}

    async def get_dataset_user_progress(self, dataset: Any, user: Any) -> dict[str, int]:
        """Return the number of the user's responses, in all and by status."""
        if dataset.is_draft:
            return {}
        counts = await asyncio.to_thread(self._index.user_statuses, str(dataset.id), str(user.id))
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
        hits = await asyncio.to_thread(
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
            total, counts = await asyncio.to_thread(self._index.term_counts, dataset_id, name, limit=MOST_TERMS)
            return TermsMetrics(
                total=total, values=[TermsMetrics.TermCount(term=term, count=count) for term, count in counts]
            )
        least, greatest = await asyncio.to_thread(self._index.bounds, dataset_id, name)
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
        hits = await asyncio.to_thread(
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


def document_of(record: Any) -> Document:
    """Return a record of the server's as it is indexed; its responses, suggestions and vectors must be loaded."""
    return Document(
        record_id=str(record.id),
        external_id=record.external_id,
        status=_plain(record.status),
        texts={name: text for name, value in record.fields.items() if (text := _text_of(value)) is not None},
        inserted_at=_moment(record.inserted_at),
        updated_at=_moment(record.updated_at),
        metadata=dict(record.metadata_ or {}),
        suggestions=tuple(suggestion_of(suggestion) for suggestion in record.suggestions),
        responses=tuple(response_of(response) for response in record.responses),
        vectors={str(vector.vector_settings_id): vector.value for vector in record.vectors},
    )


def response_of(response: Any) -> Response:
    """Return a response of the server's as it is indexed."""
    answers = {question: given.get("value") for question, given in (response.values or {}).items()}
    return Response(str(response.id), str(response.user_id), _plain(response.status), answers)


def suggestion_of(suggestion: Any) -> Suggestion:
    """Return a suggestion of the server's as it is indexed; its question must be loaded."""
    return Suggestion(
        suggestion.question.name,
        suggestion.value,
        suggestion.score,
        suggestion.agent,
        _plain(suggestion.type) if suggestion.type else None,
    )


def filter_of(given: Any) -> filters.Filter:
    """Return the server's filter as the index's; ValueError for a kind that is not known."""
    if isinstance(given, AndFilter):
        return filters.All(tuple(filter_of(one) for one in given.filters))
    if isinstance(given, TermsFilter):
        return filters.Terms(_scope_of(given.scope), tuple(_plain(value) for value in given.values))
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
        return filters.OfRecord(_plain(given.property))
    raise ValueError(f"{type(given).__name__} is no scope of a filter")


def _sort_of(given: Any) -> filters.Sort:
    return filters.Sort(_scope_of(given.scope), "desc" if given.order == SortOrder.desc else "asc")


def _asked(query: Any) -> Any:
    return TextQuery(q=query) if isinstance(query, str) else query


def _text_of(value: Any) -> str | None:
    """Return a field's searched text: of a chat what is said, of a custom field its JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(message, dict) and "content" in message for message in value):
        return MESSAGE_END.join(str(message["content"]) for message in value)
    return json.dumps(value, ensure_ascii=False)


def _moment(at: datetime | None) -> str | None:
    if at is None:
        return None
    return filters.moment((at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)).isoformat())


def _plain(value: Any) -> str:
    """Return the text of a value that may be a member of an enum."""
    return str(getattr(value, "value", value))


def _responses(hits: Hits) -> SearchResponses:
    items = [SearchResponseItem(record_id=hit.record_id, score=hit.score) for hit in hits.hits]
    return SearchResponses(items=items, total=hits.total)

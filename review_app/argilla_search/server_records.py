"""The server's records as plain values, and its database as far as a rebuild of the index reads it.

Rows are read in short sessions of their own: whoever writes to the database waits for no walk over it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from argilla_server.database import AsyncSessionLocal
from argilla_server.models import Dataset, Record
from argilla_server.models import Response as ServerResponse
from argilla_server.models import Suggestion as ServerSuggestion
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from review_app.argilla_search import filters
from review_app.argilla_search.documents import Document, Response, Suggestion
from review_app.argilla_search.rows import MESSAGE_END


class ServerRecords:
    """The records of the server's database."""

    async def fields(self, dataset_id: str) -> Sequence[str] | None:
        """Return the searched fields of a dataset, None where it is not in use (a draft, or deleted)."""
        asked = select(Dataset).filter_by(id=UUID(dataset_id)).options(selectinload(Dataset.fields))
        async with AsyncSessionLocal() as session:
            dataset = (await session.execute(asked)).scalar_one_or_none()
        return None if dataset is None or dataset.is_draft else searched_fields(dataset)

    async def record_ids(self, dataset_id: str) -> Sequence[str]:
        """Return the ids of all its records in the order they came."""
        asked = select(Record.id).filter_by(dataset_id=UUID(dataset_id)).order_by(Record.inserted_at, Record.id)
        async with AsyncSessionLocal() as session:
            return [str(record_id) for record_id in (await session.execute(asked)).scalars()]

    async def documents(self, record_ids: Sequence[str]) -> Sequence[Document]:
        """Return records as they are indexed, in this order; those that are not there any more are left out."""
        asked = (
            select(Record)
            .where(Record.id.in_([UUID(record_id) for record_id in record_ids]))
            .options(
                selectinload(Record.responses).selectinload(ServerResponse.user),
                selectinload(Record.suggestions).selectinload(ServerSuggestion.question),
                selectinload(Record.vectors),
            )
        )
        async with AsyncSessionLocal() as session:
            found = [document_of(record) for record in (await session.execute(asked)).scalars()]
        place = {record_id: at for at, record_id in enumerate(record_ids)}
        return sorted(found, key=lambda document: place[document.record_id])


def searched_fields(dataset: Any) -> list[str]:
    """Return the names of a dataset's fields that are searched: all but images."""
    return [field.name for field in dataset.fields if not field.is_image]


def document_of(record: Any) -> Document:
    """Return a record of the server's as it is indexed; its responses, suggestions and vectors must be loaded."""
    return Document(
        record_id=str(record.id),
        external_id=record.external_id,
        status=plain(record.status),
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
    return Response(str(response.id), str(response.user_id), plain(response.status), answers)


def suggestion_of(suggestion: Any) -> Suggestion:
    """Return a suggestion of the server's as it is indexed; its question must be loaded."""
    return Suggestion(
        suggestion.question.name,
        suggestion.value,
        suggestion.score,
        suggestion.agent,
        plain(suggestion.type) if suggestion.type else None,
    )


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


def plain(value: Any) -> str:
    """Return the text of a value that may be a member of an enum."""
    return str(getattr(value, "value", value))

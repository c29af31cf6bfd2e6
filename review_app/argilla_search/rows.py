"""A document as rows, put in and taken out within the caller's transaction.

A value is kept if it can be filtered by: a number, a text of up to LONGEST_VALUE characters, or a list of those. What
cannot be (long answers, spans, rankings) is passed over here as it is by Argilla's own engines.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from review_app.argilla_search.documents import Document, Response, Suggestion
from review_app.argilla_search.filters import OfMetadata, OfSuggestion, bindable, number_of, path_of
from review_app.argilla_search.shuffle import record_number
from review_app.argilla_search.text_terms import EVERY_RECORD, GAP, indexed_text
from review_app.argilla_search.vectors import direction_of

LONGEST_VALUE = 512
# Between the messages of a chat in the text of its field: no phrase reaches over it.
MESSAGE_END = "\x1e"


def insert_document(connection: sqlite3.Connection, tables: str, fields: Sequence[str], document: Document) -> None:
    """Write a record; if it is there, in the place of what was there."""
    n = _written_record(connection, tables, document)
    connection.execute(
        f"insert into {tables}_text (rowid, every_record{''.join(f', field_{at}' for at in range(len(fields)))})"
        f" values (?, ?{', ?' * len(fields)})",
        (n, EVERY_RECORD, *(_text(document.texts.get(field, "")) for field in fields)),
    )
    paths = [(path_of(OfMetadata(name)), value) for name, value in (document.metadata or {}).items()]
    _insert_values(connection, tables, n, paths)
    for suggestion in document.suggestions:
        _insert_values(connection, tables, n, _paths(suggestion))
    for response in document.responses:
        insert_response(connection, tables, n, response)
    for settings_id, vector in (document.vectors or {}).items():
        direction = direction_of(vector)
        if direction is not None:
            connection.execute(
                f"insert into {tables}_vectors (settings_id, n, direction) values (?, ?, ?)",
                (settings_id, n, direction.tobytes()),
            )


def insert_response(connection: sqlite3.Connection, tables: str, n: int, response: Response) -> None:
    """Write a response, in the place of one with its id."""
    named = (n, response.response_id)
    for kind in ("answers", "responses"):
        connection.execute(f"delete from {tables}_{kind} where n = ? and response_id = ?", named)
    connection.execute(
        f"insert into {tables}_responses (n, response_id, user_id, status) values (?, ?, ?, ?)",
        (*named, response.user_id, response.status),
    )
    connection.executemany(
        f"insert into {tables}_answers (n, response_id, user_id, question, value) values (?, ?, ?, ?, ?)",
        [
            (*named, response.user_id, bindable(question), value)
            for question, answer in response.answers.items()
            for value in kept_values(answer)
        ],
    )


def insert_suggestion(connection: sqlite3.Connection, tables: str, n: int, suggestion: Suggestion) -> None:
    """Write a suggestion, in the place of the one for its question; one that says nothing only removes that."""
    paths = _paths(suggestion)
    connection.executemany(f"delete from {tables}_values where n = ? and path = ?", [(n, path) for path, _ in paths])
    _insert_values(connection, tables, n, paths)


def remove_rows(connection: sqlite3.Connection, tables: str, n: int) -> None:
    """Take out all that hangs on a record but its own row."""
    connection.execute(f"delete from {tables}_text where rowid = ?", (n,))
    for kind in ("values", "responses", "answers", "vectors"):
        connection.execute(f"delete from {tables}_{kind} where n = ?", (n,))


def kept_values(value: object) -> list[float | str]:
    """Return the numbers and texts of a JSON value by which it can be filtered, each once."""
    members = value if isinstance(value, list) else [value]
    kept: list[float | str] = []
    for member in members:
        if isinstance(member, bool):
            kept.append(str(member).lower())
        elif isinstance(member, str):
            if len(member) <= LONGEST_VALUE:
                kept.append(bindable(member))
        elif (number := number_of(member)) is not None:
            kept.append(number)
    return list(dict.fromkeys(kept))


def _written_record(connection: sqlite3.Connection, tables: str, document: Document) -> int:
    external_id = None if document.external_id is None else bindable(document.external_id)
    columns = (external_id, document.status, document.inserted_at, document.updated_at)
    found = connection.execute(f"select n from {tables}_records where record_id = ?", (document.record_id,)).fetchone()
    if found is not None:
        remove_rows(connection, tables, found[0])
        connection.execute(
            f"update {tables}_records set external_id = ?, status = ?, inserted_at = ?, updated_at = ? where n = ?",
            (*columns, found[0]),
        )
        return int(found[0])
    return int(
        connection.execute(
            f"insert into {tables}_records (external_id, status, inserted_at, updated_at, record_id, shuffle)"
            " values (?, ?, ?, ?, ?, ?) returning n",
            (*columns, document.record_id, record_number(document.record_id)),
        ).fetchone()[0]
    )


def _text(text: str) -> str:
    return f" {GAP} ".join(indexed_text(part) for part in text.split(MESSAGE_END))


def _paths(suggestion: Suggestion) -> list[tuple[str, object]]:
    said = {
        "value": suggestion.value,
        "score": suggestion.score,
        "agent": suggestion.agent,
        "type": suggestion.type,
    }
    return [(path_of(OfSuggestion(suggestion.question, name)), value) for name, value in said.items()]


def _insert_values(connection: sqlite3.Connection, tables: str, n: int, paths: Iterable[tuple[str, object]]) -> None:
    connection.executemany(
        f"insert into {tables}_values (n, path, value) values (?, ?, ?)",
        [(n, path, value) for path, given in paths for value in kept_values(given)],
    )

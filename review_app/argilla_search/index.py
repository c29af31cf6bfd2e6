"""The search index of one Argilla instance: what is written to it and what is asked of it, without Argilla.

A record keeps its number `n` through all its changes; its rows in the other tables carry it. Every write is one
transaction. A text search is driven by the text table (cross join), for with the records outside it takes seconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from review_app.argilla_search import schema
from review_app.argilla_search.connections import Connections
from review_app.argilla_search.documents import Document, Hit, Hits, Response, Suggestion, Vector
from review_app.argilla_search.filters import Filter, Sort, Sql, condition, order
from review_app.argilla_search.rows import insert_document, insert_response, insert_suggestion, remove_rows
from review_app.argilla_search.shuffle import user_order
from review_app.argilla_search.text_query import match_expression
from review_app.argilla_search.vectors import direction_of, most_alike


class MissingDatasetError(LookupError):
    """The dataset is not in the index: never created, or the file was lost."""

    def __init__(self, dataset_id: str) -> None:
        """Name the dataset and the remedy."""
        super().__init__(
            f"dataset {dataset_id} is not in the search index. Build it: python -m review_app.argilla_search"
        )


class MissingRecordError(LookupError):
    """The record is not in the index: the server was stopped between storing and indexing it."""

    def __init__(self, record_id: str) -> None:
        """Name the record and the remedy."""
        super().__init__(
            f"record {record_id} is not in the search index. Build it: python -m review_app.argilla_search"
        )


class Index:
    """One index file. Methods block and may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it where it is missing or unreadable."""
        self._connections = Connections(path)

    @property
    def path(self) -> Path:
        """Return where the file lies."""
        return self._connections.path

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def make_anew(self) -> None:
        """Empty the index, whatever state the file is in."""
        self._connections.make_anew()

    def replace_damaged(self) -> None:
        """Empty the index after a use in this thread that met damage; what another has replaced already stays."""
        self._connections.replace()

    def answers(self) -> bool:
        """Tell whether the file can be read now."""
        try:
            self._connections.reading().execute("select count(*) from dataset_fields").fetchone()
        except (sqlite3.Error, OSError):
            return False
        return True

    def create_dataset(self, dataset_id: str, fields: Sequence[str]) -> None:
        """Make a dataset's tables, empty, with the fields that are searched."""
        with self._connections.writing() as connection:
            schema.create_tables(connection, dataset_id, fields)

    def begin_rebuild(self, dataset_id: str, fields: Sequence[str]) -> None:
        """Make a dataset's tables, empty, and note that they are not whole before `end_rebuild`."""
        with self._connections.writing() as connection:
            schema.create_tables(connection, dataset_id, fields)
            schema.mark_half(connection, dataset_id)

    def end_rebuild(self, dataset_id: str) -> None:
        """Note that a dataset is whole."""
        with self._connections.writing() as connection:
            schema.unmark_half(connection, dataset_id)

    def is_half(self, dataset_id: str) -> bool:
        """Tell whether a rebuild of the dataset was begun and not ended."""
        tables = schema.tables_of(dataset_id)
        return bool(self._all("select 1 from dataset_fields where dataset_id = ? and place = ?", tables, schema.HALF))

    def delete_dataset(self, dataset_id: str) -> None:
        """Drop a dataset's tables; one that is not there is no error."""
        with self._connections.writing() as connection:
            schema.drop_tables(connection, dataset_id)

    def has_dataset(self, dataset_id: str) -> bool:
        """Tell whether the dataset has tables."""
        name = f"{schema.tables_of(dataset_id)}_records"
        found = self._connections.reading().execute("select 1 from sqlite_master where name = ?", (name,))
        return found.fetchone() is not None

    def put(self, dataset_id: str, documents: Iterable[Document]) -> None:
        """Index records; one that is there is replaced as a whole."""
        tables, fields = self._dataset(dataset_id)
        with self._connections.writing() as connection:
            for document in documents:
                insert_document(connection, tables, fields, document)

    def delete(self, dataset_id: str, record_ids: Iterable[str]) -> None:
        """Take records out; one that is not there is no error."""
        tables, _ = self._dataset(dataset_id)
        with self._connections.writing() as connection:
            for record_id in record_ids:
                n = _number(connection, tables, record_id)
                if n is not None:
                    remove_rows(connection, tables, n)
                    connection.execute(f"delete from {tables}_records where n = ?", (n,))

    def set_status(self, dataset_id: str, record_id: str, status: str) -> None:
        """Change a record's status."""
        tables, _ = self._dataset(dataset_id)
        with self._connections.writing() as connection:
            connection.execute(f"update {tables}_records set status = ? where record_id = ?", (status, record_id))

    def put_response(self, dataset_id: str, record_id: str, response: Response) -> None:
        """Add or replace a response of a record."""
        tables, _ = self._dataset(dataset_id)
        with self._connections.writing() as connection:
            n = _known_number(connection, tables, record_id)
            insert_response(connection, tables, n, response)

    def delete_response(self, dataset_id: str, record_id: str, response_id: str) -> None:
        """Take a response out."""
        tables, _ = self._dataset(dataset_id)
        with self._connections.writing() as connection:
            n = _number(connection, tables, record_id)
            for kind in ("answers", "responses"):
                connection.execute(f"delete from {tables}_{kind} where n = ? and response_id = ?", (n, response_id))

    def put_suggestion(self, dataset_id: str, record_id: str, suggestion: Suggestion) -> None:
        """Add or replace the suggestion for a question of a record."""
        tables, _ = self._dataset(dataset_id)
        with self._connections.writing() as connection:
            n = _known_number(connection, tables, record_id)
            insert_suggestion(connection, tables, n, suggestion)

    def delete_suggestion(self, dataset_id: str, record_id: str, question: str) -> None:
        """Take the suggestion for a question out."""
        self.put_suggestion(dataset_id, record_id, Suggestion(question))

    def statuses(self, dataset_id: str) -> dict[str, int]:
        """Return how many records have each status."""
        tables, _ = self._dataset(dataset_id)
        return dict(self._all(f"select status, count(*) from {tables}_records group by status"))

    def user_statuses(self, dataset_id: str, user_id: str) -> dict[str, int]:
        """Return how many of a user's responses have each status."""
        tables, _ = self._dataset(dataset_id)
        return dict(
            self._all(f"select status, count(*) from {tables}_responses where user_id = ? group by status", user_id)
        )

    def term_counts(self, dataset_id: str, metadata: str, *, limit: int) -> tuple[int, list[tuple[str, int]]]:
        """Return how many values a metadata property has, and (value, count) of the most frequent, ties by value."""
        tables, _ = self._dataset(dataset_id)
        counted = f"select cast(value as text), count(*) from {tables}_values where path = ? group by value"
        counts = self._all(f"{counted} order by count(*) desc, value limit ?", f"metadata/{metadata}", limit)
        total = self._all(f"select count(*) from {tables}_values where path = ?", f"metadata/{metadata}")
        return total[0][0], counts

    def bounds(self, dataset_id: str, metadata: str) -> tuple[float | None, float | None]:
        """Return the least and the greatest number of a metadata property, None and None if it has none."""
        tables, _ = self._dataset(dataset_id)
        found: list[tuple[float | None, float | None]] = self._all(
            f"select min(value), max(value) from {tables}_values where path = ? and value < ''", f"metadata/{metadata}"
        )
        return found[0]

    def search(
        self,
        dataset_id: str,
        *,
        text: str | None = None,
        field: str | None = None,
        filter_: Filter | None = None,
        sorts: Sequence[Sort] = (),
        user_id: str | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Hits:
        """Return one page of the records that hold the text and pass the filter.

        They come in the order of the sorts, unscored; without any by how well they match the text; without a text in
        the user's own shuffle, or for no user in the order they came in, and each has the score 1.
        """
        tables, fields = self._dataset(dataset_id)
        found = _found(tables, fields, text, field, filter_)
        if found is None:
            return Hits((), 0)
        orders = [order(sort, tables) for sort in sorts]
        if not orders and text is not None:
            orders = [Sql("t.rank")]
        by = ", ".join([*(one.text for one in orders), user_order(user_id) if user_id and not orders else "r.n"])
        score = "null" if sorts else "1.0" if text is None else "-t.rank"
        page = self._all(
            f"select r.record_id, {score} {found.text} order by {by} limit ? offset ?",
            *found.values,
            *(value for one in orders for value in one.values),
            limit,
            offset,
        )
        total = self._all(f"select count(*) {found.text}", *found.values)[0][0]
        return Hits(tuple(Hit(record_id, value) for record_id, value in page), total)

    def alike(
        self,
        dataset_id: str,
        settings_id: str,
        vector: Vector,
        *,
        text: str | None = None,
        field: str | None = None,
        filter_: Filter | None = None,
        without: str | None = None,
        n_best: int = 100,
        threshold: float | None = None,
    ) -> Hits:
        """Return the records whose vectors are most like one, best first, within a text and a filter.

        `without` is the record that asks. A vector without direction (zeros) is like nothing.
        """
        tables, fields = self._dataset(dataset_id)
        found, asked = _found(tables, fields, text, field, filter_), direction_of(vector)
        if found is None or asked is None:
            return Hits((), 0)
        connection = self._connections.reading()
        rows = connection.execute(
            f"select v.n, v.direction from {tables}_vectors v where v.settings_id = ?"
            + (f" and v.n in (select r.n {found.text})" if text is not None or filter_ is not None else ""),
            (settings_id, *(found.values if text is not None or filter_ is not None else ())),
        )
        best = most_alike(rows, asked, n_best=n_best + (without is not None), threshold=threshold)
        names = {
            n: connection.execute(f"select record_id from {tables}_records where n = ?", (n,)).fetchone()
            for n, _ in best
        }
        hits = [Hit(names[n][0], score) for n, score in best if names[n] and names[n][0] != without][:n_best]
        return Hits(tuple(hits), len(hits))

    def _dataset(self, dataset_id: str) -> tuple[str, tuple[str, ...]]:
        """Return the start of a dataset's table names and its fields; MissingDatasetError if it has no tables."""
        tables = schema.tables_of(dataset_id)
        fields = self._all(
            "select field from dataset_fields where dataset_id = ? and place >= 0 order by place", tables
        )
        if not fields and not self.has_dataset(dataset_id):
            raise MissingDatasetError(str(dataset_id))
        return tables, tuple(field for (field,) in fields)

    def _all(self, statement: str, *values: float | str) -> list[tuple]:  # type: ignore[type-arg]
        return self._connections.reading().execute(statement, values).fetchall()


def _found(
    tables: str, fields: Sequence[str], text: str | None, field: str | None, filter_: Filter | None
) -> Sql | None:
    """Return from … where … of the records that match, None if none can."""
    where = [condition(filter_, tables)] if filter_ is not None else []
    source = f"from {tables}_records r"
    if text is not None:
        if field is not None and field not in fields:
            raise ValueError(f"the dataset has no searched field {field!r}; there are {', '.join(fields) or 'none'}")
        match = match_expression(text, [schema.column_of(fields.index(field))] if field is not None else ())
        if match is None:
            return None
        source = f"from {tables}_text t cross join {tables}_records r on r.n = t.rowid"
        where.insert(0, Sql(f"{tables}_text match ?", (match,)))
    conditions = " and ".join(f"({part.text})" for part in where)
    return Sql(f"{source} where {conditions or 'true'}", tuple(value for part in where for value in part.values))


def _number(connection: sqlite3.Connection, tables: str, record_id: str) -> int | None:
    found = connection.execute(f"select n from {tables}_records where record_id = ?", (record_id,)).fetchone()
    return None if found is None else int(found[0])


def _known_number(connection: sqlite3.Connection, tables: str, record_id: str) -> int:
    n = _number(connection, tables, record_id)
    if n is None:
        raise MissingRecordError(record_id)
    return n

"""A pytest plugin that points argilla-server's own tests of its search engines at the SQLite one.

Loaded before their conftest: the class they make their engine of is ours, and the OpenSearch client by which they look
at the index from outside answers from our index. What only Elasticsearch has (its mapping, the document it was given)
raises LookedInside, so that such a failure can be told from one of the engine. The other modules of their suite are
left alone but for the cures of `quick_settings`, under which they must pass as well.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import fakeredis
import redis

REDIS = fakeredis.FakeServer()
redis.from_url = lambda *_, **__: fakeredis.FakeStrictRedis(server=REDIS)
redis.Redis.from_url = classmethod(lambda *_, **__: fakeredis.FakeStrictRedis(server=REDIS))

import argilla_server.search_engine  # noqa: E402
import opensearchpy  # noqa: E402
import opensearchpy.helpers  # noqa: E402

from review_app.argilla_search.adapter import SqliteSearch  # noqa: E402
from review_app.argilla_search.documents import Document, Response  # noqa: E402
from review_app.argilla_search.index import Index  # noqa: E402
from review_app.argilla_search.schema import tables_of  # noqa: E402

if os.environ.get("AFREL_WITH_CURES"):
    import review_app.argilla_search.quick_settings  # noqa: F401

INDEX = Index(Path(tempfile.mkdtemp(dir=os.environ["ARGILLA_HOME_PATH"])) / "search.sqlite")


class LookedInside(Exception):  # noqa: N818
    """The test looks at something that Elasticsearch has and this engine has not."""


class Closable:
    """The connection the tests close after each test."""

    async def close(self) -> None:
        """Do nothing."""


class Pointed(SqliteSearch):
    """Our engine, made as the tests make theirs."""

    def __init__(self, **_: Any) -> None:
        """Speak for the index of this run, whatever was configured."""
        super().__init__(INDEX)
        self.client = Closable()
        self._indexed: list[tuple[Any, list[Any]]] = []

    async def index_records(self, dataset: Any, records: Iterable[Any]) -> None:
        """Index, and remember for `_bulk_op_request`."""
        self._indexed.append((dataset, list(records)))
        await super().index_records(dataset, self._indexed[-1][1])

    async def _bulk_op_request(self, actions: list[Mapping[str, Any]]) -> None:
        """Index anew what gained vectors: the tests write them into Elasticsearch's documents themselves."""
        changed = {str(action["_id"]) for action in actions}
        for dataset, records in self._indexed:
            await super().index_records(dataset, [record for record in records if str(record.id) in changed])


class Indices:
    """What a client is asked of indices."""

    def exists(self, *, index: str) -> bool:
        return INDEX.has_dataset(_dataset(index))

    def create(self, *, index: str, body: Any) -> None:  # noqa: ARG002
        INDEX.create_dataset(_dataset(index), ["text"])

    def delete(self, *, index: str) -> None:
        INDEX.delete_dataset(_dataset(index))

    def refresh(self, *, index: str) -> None:
        """Do nothing: what is written is found."""

    def get(self, **_: Any) -> None:
        raise LookedInside("Elasticsearch's mapping of an index")

    def get_mapping(self, **_: Any) -> None:
        raise LookedInside("Elasticsearch's mapping of an index")


class Shelf:
    """What their conftest asks at the end, to delete it: this run's index is in a folder that goes."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.indices: Callable[..., list[str]] = lambda **_: []


class Client:
    """The OpenSearch client by which the tests look from outside."""

    def __init__(self, **_: Any) -> None:
        """Take any configuration."""
        self.indices = Indices()
        self.cat = Shelf()

    def __getattr__(self, name: str) -> Any:
        raise LookedInside(f"Elasticsearch's {name}")

    def search(self, *, index: str, body: Any = None) -> dict[str, Any]:
        """Return which of some records are there; all documents are what this index has not."""
        if body is None:
            raise LookedInside("the documents Elasticsearch was given")
        asked = body["query"]["ids"]["values"]
        there = {row[0] for row in _rows(f"select record_id from {tables_of(_dataset(index))}_records")}
        return {"hits": {"hits": [{"_source": {"id": one}} for one in asked if one in there]}}

    def get(self, *, index: str, id: Any) -> dict[str, Any]:
        """Return a record's responses as the index holds them."""
        tables = tables_of(_dataset(index))
        found = _rows(
            f"select s.response_id, s.status, s.user_id from {tables}_responses s join {tables}_records r using (n)"
            " where r.record_id = ?",
            str(id),
        )
        responses = []
        for response_id, status, user_id in found:
            answers = _rows(f"select question, value from {tables}_answers where response_id = ?", response_id)
            responses.append({"id": response_id, "status": status, "user_id": user_id, **dict(answers)})
        return {"_source": {"responses": responses}}

    def update(self, index: str, *, id: Any, body: Mapping[str, Any]) -> None:
        """Write responses the way the tests do, past the engine."""
        for one in body["doc"]["responses"]:
            answers = {name: value for name, value in one.items() if name not in ("id", "status", "user_id")}
            INDEX.put_response(_dataset(index), str(id), Response(one["id"], one["user_id"], one["status"], answers))


def bulk(*, client: Any, actions: Iterable[Mapping[str, Any]]) -> None:  # noqa: ARG001
    """Write documents the way the tests do, past the engine."""
    for action in actions:
        INDEX.put(_dataset(action["_index"]), [Document(str(action["_id"]), dict(action["fields"]))])


def _dataset(index: str) -> str:
    return index.rpartition(".")[2]


def _rows(statement: str, *values: str) -> list[tuple[Any, ...]]:
    return INDEX._connections.reading().execute(statement, values).fetchall()


argilla_server.search_engine.ElasticSearchEngine = Pointed
opensearchpy.OpenSearch = Client
opensearchpy.helpers.bulk = bulk


def pytest_runtest_logreport(report: Any) -> None:
    """Append the outcome of each test to the file the caller named."""
    if report.when == "call" or report.outcome != "passed":
        text = str(report.longrepr) if report.failed else ""
        last = [line[2:].strip() for line in text.splitlines() if line.startswith("E ")]
        told = {"test": report.nodeid, "outcome": report.outcome, "when": report.when, "why": " ".join(last)[:300]}
        with Path(os.environ["AFREL_OUTCOMES"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")

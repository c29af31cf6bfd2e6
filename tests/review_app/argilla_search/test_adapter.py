"""The engine as argilla-server calls it: its own models, filters and schemas, its registry and its reindexer.

Run where argilla-server 2.8 is installed, which need not be where the rest of the house is:
`python -m pytest --noconftest -m argilla tests/review_app/argilla_search/test_adapter.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

pytest.importorskip("argilla_server")
pytestmark = pytest.mark.argilla

from argilla_server import models  # noqa: E402
from argilla_server.enums import DatasetStatus, SimilarityOrder, SortOrder  # noqa: E402
from argilla_server.search_engine import (  # noqa: E402
    AndFilter,
    MetadataFilterScope,
    Order,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SearchEngine,
    SearchResponses,
    SuggestionFilterScope,
    TermsFilter,
    TextQuery,
)

from review_app.argilla_search.adapter import NAME, SqliteSearch  # noqa: E402
from review_app.argilla_search.index import Index  # noqa: E402

Result = TypeVar("Result")
ROOT = Path(__file__).parents[3]
QUESTION = models.Question(id=uuid4(), name="grade", settings={"type": "label_selection"})
VECTORS = models.VectorSettings(id=uuid4(), name="meaning", dimensions=2)
DATASET = models.Dataset(
    id=uuid4(),
    name="pairs",
    status=DatasetStatus.ready,
    fields=[
        models.Field(name="query", settings={"type": "text"}),
        models.Field(name="talk", settings={"type": "chat"}),
        models.Field(name="extra", settings={"type": "custom"}),
        models.Field(name="photo", settings={"type": "image"}),
    ],
)
ANN, BEN = models.User(id=uuid4(), username="ann"), models.User(id=uuid4(), username="ben")


def done(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


def record(query: str, **more: Any) -> models.Record:
    fields = {"query": query, **more.pop("fields", {})}
    given = {"status": "pending", "inserted_at": datetime(2026, 5, 20), "updated_at": datetime(2026, 5, 20), **more}
    return models.Record(id=uuid4(), fields=fields, dataset_id=DATASET.id, **given)


def response(of: models.Record, user: models.User, status: str, **answers: Any) -> models.Response:
    values = {question: {"value": value} for question, value in answers.items()} or None
    return models.Response(
        id=uuid4(), record=of, record_id=of.id, user_id=user.id, user=user, status=status, values=values
    )


@pytest.fixture
def engine(tmp_path: Path) -> SqliteSearch:
    made = SqliteSearch(Index(tmp_path / "search.sqlite"))
    done(made.create_index(DATASET))
    return made


def ids(found: SearchResponses) -> list[UUID]:
    return [item.record_id for item in found.items]


def test_the_server_finds_the_engine_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGILLA_SEARCH_INDEX", str(tmp_path / "named.sqlite"))

    async def asked() -> tuple[bool, dict[str, Any]]:
        async with SearchEngine.get_by_name(NAME) as engine:
            return await engine.ping(), await engine.info()

    answers, told = done(asked())
    assert answers and told["name"] == "sqlite" and (tmp_path / "named.sqlite").exists()


def test_no_method_of_the_contract_is_missing() -> None:
    asked = [name for name in vars(SearchEngine) if getattr(vars(SearchEngine)[name], "__isabstractmethod__", False)]
    assert len(asked) == 19 and SqliteSearch.__abstractmethods__ == frozenset()
    assert "configure_index_vectors" in vars(SqliteSearch)


def test_every_kind_of_field_is_searched_but_images(engine: SqliteSearch) -> None:
    first = record(
        "红木茶几",
        fields={
            "talk": [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": "old friend"}],
            "extra": {"colour": "crimson"},
            "photo": "data:image/png;base64,invisible",
        },
    )
    second = record("sofa", fields={"talk": None})
    done(engine.index_records(DATASET, [first, second]))

    def found(query: TextQuery | str) -> list[UUID]:
        return ids(done(engine.search(DATASET, query=query)))

    for query in ("茶几", "friend", "crimson", TextQuery(q="there", field="talk")):
        assert found(query) == [first.id]
    for query in ("invisible", "assistant", TextQuery(q="茶几", field="talk")):
        assert found(query) == []


def test_filters_and_sorts_of_the_server_are_understood(engine: SqliteSearch) -> None:
    cheap, dear, bare = record("a", metadata_={"price": 3}), record("b", metadata_={"price": 30}), record("c")
    cheap.suggestions = [models.Suggestion(question=QUESTION, value="yes", score=0.9, agent="x", type="model")]
    for one, user, status in ((cheap, ANN, "submitted"), (dear, BEN, "draft")):
        response(one, user, status, grade="yes")
    done(engine.index_records(DATASET, [cheap, dear, bare]))

    def found(*filters: Any) -> list[UUID]:
        order = [Order(RecordFilterScope("inserted_at"), SortOrder.asc)]
        return ids(done(engine.search(DATASET, filter=AndFilter(list(filters)), sort=order, user_id=ANN.id)))

    assert found(TermsFilter(MetadataFilterScope("price"), ["3"])) == [cheap.id]
    assert found(RangeFilter(MetadataFilterScope("price"), ge=4)) == [dear.id]
    assert found(RangeFilter(SuggestionFilterScope("grade", "score"), ge=0.5)) == [cheap.id]
    assert found(TermsFilter(SuggestionFilterScope("grade", "None"), ["yes"])) == [cheap.id]
    assert found(TermsFilter(SuggestionFilterScope("grade", "type"), ["model"])) == [cheap.id]
    assert found(TermsFilter(ResponseFilterScope(property="status", user=ANN), ["pending"])) == [dear.id, bare.id]
    assert found(TermsFilter(ResponseFilterScope(property="status", user=BEN), ["draft"])) == [dear.id]
    assert found(TermsFilter(ResponseFilterScope(property="status"), ["pending"])) == [bare.id]
    assert found(TermsFilter(ResponseFilterScope("grade", user=ANN), ["yes"])) == [cheap.id]
    assert found(RangeFilter(RecordFilterScope("inserted_at"), ge="2026-05-20", le="2026-05-21")) == [
        cheap.id, dear.id, bare.id,
    ]  # fmt: skip
    by_price = [Order(MetadataFilterScope("price"), SortOrder.desc)]
    assert ids(done(engine.search(DATASET, sort=by_price))) == [dear.id, cheap.id, bare.id]


def test_what_happens_to_a_record_is_followed(engine: SqliteSearch) -> None:
    first, second = record("a"), record("b")
    done(engine.index_records(DATASET, [first, second]))
    given = response(first, ANN, "draft")
    done(engine.update_record_response(given))
    assert done(engine.get_dataset_user_progress(DATASET, ANN)) == {"total": 1, "draft": 1}
    given.status, given.values = "submitted", {"grade": {"value": "no"}}
    done(engine.update_record_response(given))
    done(engine.partial_record_update(first, status="completed"))
    assert done(engine.get_dataset_user_progress(DATASET, ANN)) == {"total": 1, "submitted": 1}
    assert done(engine.get_dataset_progress(DATASET)) == {"total": 2, "completed": 1, "pending": 1}
    done(engine.delete_record_response(given))
    assert done(engine.get_dataset_user_progress(DATASET, ANN)) == {"total": 0}
    suggested = models.Suggestion(record=second, record_id=second.id, question=QUESTION, value="yes")
    by_value = TermsFilter(SuggestionFilterScope("grade", "value"), ["yes"])
    done(engine.update_record_suggestion(suggested))
    assert ids(done(engine.search(DATASET, filter=by_value))) == [second.id]
    done(engine.delete_record_suggestion(suggested))
    assert ids(done(engine.search(DATASET, filter=by_value))) == []
    done(engine.delete_records(DATASET, [first]))
    assert ids(done(engine.search(DATASET))) == [second.id]
    done(engine.delete_index(DATASET))
    assert done(engine.get_dataset_progress(models.Dataset(id=DATASET.id, status=DatasetStatus.draft))) == {}


def test_metrics_come_in_the_servers_own_classes(engine: SqliteSearch) -> None:
    done(engine.index_records(DATASET, [record("a", metadata_={"n": at, "x": at / 2, "t": "k"}) for at in (1, 4)]))

    def metrics(name: str, kind: str) -> dict[str, Any]:
        asked = models.MetadataProperty(name=name, settings={"type": kind}, dataset_id=DATASET.id)
        told: dict[str, Any] = done(engine.compute_metrics_for(asked)).model_dump()
        return told

    assert metrics("n", "integer") == {"min": 1, "max": 4, "type": "integer"}
    assert metrics("x", "float") == {"min": 0.5, "max": 2.0, "type": "float"}
    assert metrics("t", "terms") == {"type": "terms", "total": 2, "values": [{"term": "k", "count": 2}]}
    assert metrics("none", "integer") == {"min": None, "max": None, "type": "integer"}


def test_likeness_to_a_vector_or_a_record_and_unlikeness(engine: SqliteSearch) -> None:
    records = [record(name) for name in "abc"]
    for one, value in zip(records, ([1.0, 0.0], [1.0, 1.0], [-1.0, 0.0]), strict=True):
        one.vectors = [models.Vector(vector_settings_id=VECTORS.id, value=value)]
    a, b, c = records
    done(engine.index_records(DATASET, records))
    assert ids(done(engine.similarity_search(DATASET, VECTORS, value=[2.0, 0.0]))) == [a.id, b.id, c.id]
    assert ids(done(engine.similarity_search(DATASET, VECTORS, record=a))) == [b.id, c.id]
    least = engine.similarity_search(DATASET, VECTORS, record=a, order=SimilarityOrder.least_similar, threshold=0.9)
    assert ids(done(least)) == [c.id]
    with pytest.raises(ValueError, match="either a vector or a record"):
        done(engine.similarity_search(DATASET, VECTORS))
    with pytest.raises(ValueError, match="has no vector of meaning"):
        done(engine.similarity_search(DATASET, VECTORS, record=record("d")))


REBUILT = """
import asyncio, sys
from uuid import uuid4
from argilla_server.database import AsyncSessionLocal
from argilla_server.models import *
from argilla_server.models.base import DatabaseModel
from argilla_server.search_engine import SearchEngine
from review_app.argilla_search.__main__ import main

async def fill():
    async with AsyncSessionLocal() as db:
        connection = await db.connection()
        await connection.run_sync(DatabaseModel.metadata.create_all)
        user = User(first_name="A", username="ann", role="owner", api_key="k" * 80, password_hash="h")
        dataset = Dataset(name="d", status="ready", workspace=Workspace(name="w"), distribution={"strategy": "overlap"})
        dataset.fields = [Field(name="query", title="q", settings={"type": "text"})]
        question = Question(name="grade", title="g", settings={"type": "label_selection"})
        dataset.questions = [question]
        settings = VectorSettings(name="v", title="v", dimensions=2)
        dataset.vectors_settings = [settings]
        for at in range(250):
            record = Record(fields={"query": f"sofa {at} 红木"}, metadata_={"at": at}, dataset=dataset)
            record.suggestions = [Suggestion(value="yes", question=question)]
            record.responses = [Response(values={"grade": {"value": "no"}}, status="submitted", user=user)]
            record.vectors = [Vector(value=[1.0, at], vector_settings=settings)]
            db.add(record)
        await db.commit()
        return dataset, user

async def ask(dataset, user):
    async with SearchEngine.get_by_name("sqlite") as engine:
        found = await engine.search(dataset, query="红木 249", user_id=user.id)
        alike = await engine.similarity_search(dataset, dataset.vectors_settings[0], value=[0.0, 1.0], max_results=5)
        own = await engine.get_dataset_user_progress(dataset, user)
        return found.total, own, len(alike.items), (await engine.search(dataset)).total

dataset, user = asyncio.run(fill())
assert main([]) == 0
asked = asyncio.run(ask(dataset, user))
assert asked == (1, {"total": 250, "submitted": 250}, 5, 250), asked
assert main([str(dataset.id)]) == 0 and asyncio.run(ask(dataset, user)) == asked
assert main(["nonsense"]) == 2
"""


def test_the_servers_own_reindexer_fills_an_index_whose_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "search.sqlite").write_bytes(b"no database" * 1000)
    told = {
        "ARGILLA_HOME_PATH": str(tmp_path),
        "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/argilla.db",
        "PYTHONPATH": str(ROOT),
    }
    ran = subprocess.run([sys.executable, "-c", REBUILT], env={**os.environ, **told}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:] + ran.stdout[-500:]


def test_the_servers_own_api_searches_with_it(tmp_path: Path) -> None:
    told = {
        "ARGILLA_HOME_PATH": str(tmp_path),
        "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/argilla.db",
        "ARGILLA_SEARCH_ENGINE": "sqlite",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(ROOT),
    }
    script = str(Path(__file__).with_name("served.py"))
    ran = subprocess.run([sys.executable, script], env={**os.environ, **told}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    numbers = [str(at) for at in range(10)]
    assert (found["engine"], found["text"], found["dear"]) == ("sqlite", ["3"], ["9", "8", "7"])
    assert found["all"] == found["again"] != numbers and sorted(found["all"]) == numbers
    # angles of (1, n): 4 is 76.0 degrees, 5 is 78.7, 3 is 71.6, 6 is 80.5, then 7, 8, 9; 2 is 63.4, 1 is 45, 0 is 0
    assert found["alike"] == ["5", "3", "6", "7", "8", "9", "2", "1", "0"]
    assert (sorted(found["pending"]), found["graded"]) == ([one for one in numbers if one != "2"], ["2"])
    assert {name: found["progress"][name] for name in ("total", "completed", "pending")} == {
        "total": 10, "completed": 1, "pending": 9,
    }  # fmt: skip
    assert found["price"] == [{"type": "integer", "min": 0, "max": 9}]
    assert found["mine"] == {"total": 9, "submitted": 0, "discarded": 0, "draft": 0, "pending": 9}

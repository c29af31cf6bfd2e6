"""A script for the Argilla server's environment: its own app over HTTP on the engine, told where by ARGILLA_HOME_PATH.

Redis is replaced by fakeredis, and no worker runs: what is asked here waits for no job. Prints what it found as JSON.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import fakeredis
import redis

REDIS = fakeredis.FakeServer()
redis.from_url = lambda *_, **__: fakeredis.FakeStrictRedis(server=REDIS)
redis.Redis.from_url = classmethod(lambda *_, **__: fakeredis.FakeStrictRedis(server=REDIS))

import argilla_server._app  # noqa: E402
from argilla_server import app  # noqa: E402
from argilla_server.database import AsyncSessionLocal  # noqa: E402
from argilla_server.models import User  # noqa: E402
from argilla_server.models.base import DatabaseModel  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

import review_app.argilla_search.adapter  # noqa: E402, F401

KEY = "k" * 80


async def make_database() -> None:
    """Make the server's tables and one owner."""
    async with AsyncSessionLocal() as session:
        await (await session.connection()).run_sync(DatabaseModel.metadata.create_all)
        session.add(User(first_name="Ann", username="ann", role="owner", api_key=KEY, password_hash="none"))
        await session.commit()


def ask(client: TestClient, way: str, path: str, body: Any = None) -> Any:
    """Return the JSON of an answer; anything but success is an error."""
    answer = client.request(way, f"/api/v1/{path}", headers={"X-Argilla-Api-Key": KEY}, json=body)
    assert answer.status_code < 300, (path, answer.status_code, answer.text[:500])
    return answer.json() if answer.text else None


def make_dataset(client: TestClient) -> tuple[str, list[str]]:
    """Return a published dataset of ten records, 0 to 9, and the records' ids."""
    workspace = ask(client, "POST", "workspaces", {"name": "w"})["id"]
    dataset = ask(client, "POST", "datasets", {"name": "d", "workspace_id": workspace})["id"]
    here = f"datasets/{dataset}"
    text = {"type": "text", "use_markdown": False}
    ask(client, "POST", f"{here}/fields", {"name": "query", "title": "q", "required": True, "settings": text})
    grades = {"type": "label_selection", "options": [{"value": grade, "text": grade} for grade in "01"]}
    grade = {"name": "grade", "title": "g", "required": True, "settings": grades}
    question = ask(client, "POST", f"{here}/questions", grade)["id"]
    ask(client, "POST", f"{here}/metadata-properties", {"name": "price", "title": "p", "settings": {"type": "integer"}})
    ask(client, "POST", f"{here}/vectors-settings", {"name": "v", "title": "v", "dimensions": 2})
    ask(client, "PUT", f"{here}/publish")
    records = [
        {
            "fields": {"query": f"红木茶几 sofa {at}"},
            "metadata": {"price": at},
            "external_id": str(at),
            "suggestions": [{"question_id": question, "value": "1", "score": at / 10, "agent": "judge"}],
            "vectors": {"v": [1.0, at]},
        }
        for at in range(10)
    ]
    made = ask(client, "POST", f"{here}/records/bulk", {"items": records})["items"]
    return dataset, [record["id"] for record in made]


def main() -> None:
    """Search a dataset as the UI does, respond, and search again."""
    asyncio.run(make_database())
    argilla_server._app.configure_redis = lambda: None
    with TestClient(app) as client:
        dataset, ids = make_dataset(client)

        def found(**asked: Any) -> list[str]:
            records = ask(client, "POST", f"me/datasets/{dataset}/records/search", asked)
            told = [record["record"]["external_id"] for record in records["items"]]
            assert records["total"] == len(told)
            return told

        def only(kind: str, scope: dict[str, str], **bounds: Any) -> dict[str, Any]:
            return {"and": [{"type": kind, "scope": scope, **bounds}]}

        score = {"scope": {"entity": "suggestion", "question": "grade", "property": "score"}, "order": "desc"}
        price, status = (
            {"entity": "metadata", "metadata_property": "price"},
            {"entity": "response", "property": "status"},
        )
        told = {
            "engine": ask(client, "GET", "status")["search_engine"]["name"],
            "text": found(query={"text": {"q": "茶几 3"}}),
            "all": found(),
            "again": found(),
            "dear": found(filters=only("range", price, ge=7), sort=[score]),
            "alike": found(query={"vector": {"name": "v", "record_id": ids[4]}}),
        }
        answer = {"values": {"grade": {"value": "1"}}, "status": "submitted"}
        response = ask(client, "POST", f"records/{ids[2]}/responses", answer)["id"]
        told["pending"] = found(filters=only("terms", status, values=["pending"]))
        told["graded"] = found(filters=only("terms", {"entity": "response", "question": "grade"}, values=["1"]))
        told["progress"] = ask(client, "GET", f"datasets/{dataset}/progress")
        told["price"] = [
            ask(client, "GET", f"metadata-properties/{one['id']}/metrics")
            for one in ask(client, "GET", f"me/datasets/{dataset}/metadata-properties")["items"]
        ]
        ask(client, "DELETE", f"responses/{response}")
        ask(client, "DELETE", f"records/{ids[0]}")
        told["mine"] = ask(client, "GET", f"me/datasets/{dataset}/metrics")["responses"]
    print(json.dumps(told))


if __name__ == "__main__":
    main()

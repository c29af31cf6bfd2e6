"""A script for the Argilla server's environment: the real server over HTTP on our search engine, until it is killed.

Takes a port. Redis is replaced by fakeredis; users and a workspace are made where the database is new: `root` is the
owner, `ana` and `bo` are annotators of workspace `review`, `una` is known to nobody here, `idle` has no workspace.
"""

from __future__ import annotations

import asyncio
import os
import sys

import fakeredis
import redis

REDIS = fakeredis.FakeServer()
redis.from_url = lambda *_, **__: fakeredis.FakeStrictRedis(server=REDIS)
redis.Redis.from_url = classmethod(lambda *_, **__: fakeredis.FakeStrictRedis(server=REDIS))

import argilla_server._app  # noqa: E402
import uvicorn  # noqa: E402
from argilla_server import app  # noqa: E402
from argilla_server.database import AsyncSessionLocal  # noqa: E402
from argilla_server.models import User, Workspace, WorkspaceUser  # noqa: E402
from argilla_server.models.base import DatabaseModel  # noqa: E402
from sqlalchemy import select  # noqa: E402

import review_app.argilla_search.adapter  # noqa: E402


async def make_database() -> None:
    """Make the server's tables and people, once."""
    async with AsyncSessionLocal() as session:
        await (await session.connection()).run_sync(DatabaseModel.metadata.create_all)
        if (await session.execute(select(User))).scalars().first() is None:
            workspace = Workspace(name="review")
            session.add(workspace)
            await session.flush()
            roles = {"root": "owner", "ana": "annotator", "bo": "annotator", "una": "annotator", "idle": "admin"}
            for name, role in roles.items():
                key = (name * 80)[:80]
                user = User(first_name=name, username=name, role=role, api_key=key, password_hash="none")
                session.add(user)
                await session.flush()
                if name not in ("root", "idle"):
                    session.add(WorkspaceUser(workspace_id=workspace.id, user_id=user.id))
        await session.commit()


if __name__ == "__main__":
    asyncio.run(make_database())
    import review_app.argilla_search.quick_settings  # noqa: F401  # the database is there now

    argilla_server._app.configure_redis = lambda: None
    os.environ.setdefault("ARGILLA_ENABLE_TELEMETRY", "0")
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)

"""The genuine Argilla server on our search, for this machine alone, until SIGTERM.

Its working folder is the server's folder in the workspace. The lock there says that it runs; the port is taken before
the slow part begins, so that a taken one is told at once. The queue and the worker live and end with it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hmac
import json
import logging
import os
import shutil
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from review_app.argilla_local.inside import queue_socket
from review_app.argilla_local.inside.telling import CannotStartError, divert, tell

HOST = "127.0.0.1"
LOCK, NOTE, TEMPORARY = Path("server.lock"), Path("server.json"), Path("tmp")
HEALTH = "/afrel/health"


def main(words: list[str]) -> int:
    """Serve on the port named, until told to stop; say in one line whether the start went well."""
    to_starter = divert()
    try:
        lock = _hold()
        listening = _listen(int(words[0]))
        _serve(listening, to_starter)
    except CannotStartError as error:
        tell(to_starter, error=str(error))
        return 3
    os.close(lock)
    return 0


def _hold() -> int:
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStartError("this workspace's Argilla runs already. Look: afrel argilla status") from None
    return descriptor


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        raise CannotStartError(
            f"port {port} cannot be used ({error.strerror}). Name another: afrel argilla up --port {port + 1}"
        ) from None
    return listening


def _serve(listening: socket.socket, to_starter: int) -> None:
    port = listening.getsockname()[1]
    note = {"url": f"http://{HOST}:{port}", "pid": os.getpid(), "started_at": datetime.now(UTC).isoformat()}
    written = NOTE.with_suffix(".new")
    written.write_text(json.dumps(note), encoding="ascii")
    written.replace(NOTE)
    # the server copies its pages to a temporary folder at every start and leaves them there
    shutil.rmtree(TEMPORARY, ignore_errors=True)
    TEMPORARY.mkdir()
    os.environ["TMPDIR"] = str(TEMPORARY.absolute())
    os.environ["ARGILLA_AUTH_SECRET_KEY"] = Path("secret").read_text(encoding="ascii").strip()
    queue = _open_queue()
    # uvicorn sends itself the signal once more when it has stopped; what comes after it is ours
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _run(listening, note, to_starter)
    if queue is not None:
        queue.stop()


def _open_queue() -> queue_socket.QueueSocket | None:
    url = os.environ["ARGILLA_REDIS_URL"]
    if url == queue_socket.URL:
        queue = queue_socket.QueueSocket()
        queue.start()
        return queue
    import redis

    try:
        redis.from_url(url).ping()
    except (redis.RedisError, ValueError, OSError) as error:
        parts = urlsplit(url)  # which may hold a password
        raise CannotStartError(
            f"no Redis answers at {parts.hostname or parts.path}, which ARGILLA_REDIS_URL names "
            f"({type(error).__name__}). Start it, or unset ARGILLA_REDIS_URL; then: afrel argilla up"
        ) from None
    return None


def _run(listening: socket.socket, note: dict[str, Any], to_starter: int) -> None:
    import argilla_server
    import uvicorn

    import review_app.argilla_search.adapter
    import review_app.argilla_search.quick_settings  # noqa: F401
    from review_app.argilla_local.inside.database import OWNER_KEY, ensure_owner, migrate
    from review_app.argilla_local.inside.worker_watch import WorkerWatch

    migrate()
    worker = WorkerWatch()
    app = argilla_server.app
    _add_health(app, worker, OWNER_KEY.read_text(encoding="ascii").strip())

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await ensure_owner()
            await super().startup(sockets=sockets)
            if self.started:
                worker.start()
                tell(to_starter, ready=True, **note)

    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    asyncio_server = Server(config)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    asyncio.run(asyncio_server.serve(sockets=[listening]))
    if not asyncio_server.started:
        raise CannotStartError("the server ended while it started. Its log says why: afrel argilla logs")
    worker.stop()


def _add_health(app: Any, worker: Any, key: str) -> None:
    """Answer the owner how the worker is, before the pages, which answer whatever nobody else does."""
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def health(request: Request) -> JSONResponse:
        given = request.headers.get("X-Argilla-Api-Key", "")
        if not hmac.compare_digest(given.encode(), key.encode()):
            return JSONResponse({"detail": "the key of the workspace's owner is asked for"}, status_code=401)
        return JSONResponse(worker.state())

    app.router.routes.insert(0, Route(HEALTH, health))

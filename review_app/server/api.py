"""The app's JSON routes: a table row says path, act and function, an adapter makes a checked web route of it.

A function gets a desk, that is who asks and where, and the JSON it was sent; it runs in a thread. What a person did
wrong is told in words, what we did wrong stands in the log and is told as such; no traceback leaves the server.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as WebRoute

from review_app.server.serving import Serving
from review_app.server.site import Site
from review_app.server.visitors import Visitor
from review_app.texts import texts
from review_app.texts.refusals import why_not
from storage.errors import UnavailableError, UserError
from storage.people.accounts import Act, Pin, may
from storage.store import Store
from storage.workspace import Workspace

MAX_BODY_BYTES = 4 << 20  # ten minutes of answers held back while offline are under one
N_THREADS = 32

logger = logging.getLogger("afrel.server")


@dataclass(frozen=True, slots=True)
class Desk:
    """Who asks, in which workspace and language. `store` sees test rows, as human review must."""

    person: Pin
    store: Store
    workspace: Workspace
    language: str


Answer = Callable[[Desk, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """A JSON route. `act` is what the role must allow, None where it is enough to be logged in."""

    method: str
    path: str
    act: Act | None
    answer: Answer


class TooLargeError(Exception):
    """More was sent than is read."""


def web_routes(routes: Sequence[Route], serving: Serving) -> list[WebRoute]:
    """Return the table as routes of the web server. The guard in front has seen to login, origin and csrf."""
    limiter = CapacityLimiter(N_THREADS)
    return [
        WebRoute(serving.site.path(route.path), _endpoint(route, serving, limiter), methods=[route.method])
        for route in routes
    ]


def _endpoint(route: Route, serving: Serving, limiter: CapacityLimiter) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        visitor: Visitor = request.scope["afrel.visitor"]
        language: str = request.scope["afrel.language"]
        if route.act is not None and not may(visitor.person.role, route.act):
            role = texts(language)[f"login.role_{visitor.person.role.value}"]
            return told(403, texts(language)["login.role_may_not"].format(role=role))
        try:
            body = await _read_body(request)
        except TooLargeError:
            return told(413, texts(language)["login.body_too_large"].format(n=MAX_BODY_BYTES >> 20))
        except ValueError:
            return told(400, texts(language)["login.not_json"])
        desk = Desk(visitor.person, serving.stores.open(), serving.workspace, language)
        return await to_thread.run_sync(_answered, route, desk, body, limiter=limiter)

    return endpoint


def _answered(route: Route, desk: Desk, body: dict[str, Any]) -> Response:
    try:
        return JSONResponse(route.answer(desk, body))
    except UnavailableError as error:
        logger.warning("%s %s: %s", route.method, route.path, error)
        return told(503, why_not(desk.language, error))
    except UserError as error:
        return told(400, why_not(desk.language, error))
    except Exception:
        logger.exception("%s %s", route.method, route.path)
        return told(500, texts(desk.language)["login.our_mistake"])


def no_route(site: Site) -> list[WebRoute]:
    """Return the routes that take what no other did, before Streamlit answers it with a page."""

    async def endpoint(request: Request) -> Response:
        return told(404, texts(request.scope["afrel.language"])["login.no_such_page"])

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return [WebRoute(site.path(f"/{area}/{{rest:path}}"), endpoint, methods=methods) for area in ("api", "app")]


def told(status: int, words: str, **more: Any) -> JSONResponse:
    """Return an answer that says in words what is wrong."""
    return JSONResponse({"error": words, **more}, status_code=status)


async def _read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object that was sent, or the query of a GET; ValueError for anything else."""
    if request.method in ("GET", "HEAD"):
        return dict(request.query_params)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise ValueError("not application/json")
    sent = await read_limited(request, MAX_BODY_BYTES)
    try:
        content = json.loads(sent, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


async def read_limited(request: Request, limit: int) -> bytes:
    """Return a request's body; TooLargeError as soon as more than the limit has come."""
    parts, n = [], 0
    try:
        async for part in request.stream():
            n += len(part)
            if n > limit:
                raise TooLargeError
            parts.append(part)
    except ClientDisconnect:
        raise ValueError("the client hung up") from None
    return b"".join(parts)


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)

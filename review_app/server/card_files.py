"""The scripts and styles of the card, as files under `/app/`: exactly those that lie in `review_app.card`."""

from __future__ import annotations

import hashlib
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as WebRoute

from review_app.server.site import Site

TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


def card_routes(site: Site) -> list[WebRoute]:
    """Return the route of these files; a browser asks again each time and is told when nothing changed."""
    folder = resources.files("review_app.card")
    names = {file.name for file in folder.iterdir() if file.name.endswith(tuple(TYPES))}

    async def endpoint(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in names:
            return Response(status_code=404)
        content = (folder / name).read_bytes()
        headers = {
            "etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            "cache-control": "no-cache",
            "content-type": TYPES[name[name.rindex(".") :]],
        }
        held = [mark.strip().removeprefix("W/") for mark in request.headers.get("if-none-match", "").split(",")]
        if headers["etag"] in held:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    return [WebRoute(site.path("/app/{name}"), endpoint, methods=["GET"])]

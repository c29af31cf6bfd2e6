"""In front of everything: which host, from which page, by whom. What is not let through here reaches no route.

Reads need a login. Changes need, besides it, the origin of this app and the login's csrf token. Paths that nobody needs
are not there, Streamlit's own among them. The stream of a page is watched for as long as it is open (`live`).
"""

from __future__ import annotations

import logging
import re
import secrets
from html import escape
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from review_app.server.api import told
from review_app.server.cookies import language_of
from review_app.server.headers import with_security
from review_app.server.live import Who, watch_stream
from review_app.server.markup import page_html, said_html
from review_app.server.pages import PAGES, is_open_to
from review_app.server.report_page import POLICY, REPORTS
from review_app.server.serving import Serving
from review_app.server.visitors import Visitor
from review_app.texts import texts
from storage.errors import UnavailableError

# what is open to who is not logged in; paths are without the prefix
OPEN = {"GET /login", "POST /login", "POST /language", "GET /_stcore/health", "GET /_stcore/host-config"}
OPEN_WITH_OIDC = {"GET /login/with", "GET /auth/login", "GET /oauth2callback"}
STREAM = "/_stcore/stream"
# what a logged-in browser may fetch of Streamlit
_FETCHED = re.compile(r"/(static|media|_stcore/bidi-components)/[^/].*|/_stcore/(health|host-config)|/favicon\.png")
_OURS = re.compile(r"/(api|app)/[^/].*")
CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
FORMS = {"POST /login", "POST /logout", "POST /language"}  # these see to their own tokens
CSRF_HEADER = "x-afrel-csrf"
BY_ITSELF_HEADER = "x-afrel-by-itself"  # a page asks on a timer: nobody need be there
N_THREADS = 16

logger = logging.getLogger("afrel.server")


class Guard:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp, serving: Serving, policy: str) -> None:
        self._app = app
        self._serving = serving
        self._site = serving.site
        self._policy = policy
        self._limiter = CapacityLimiter(N_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = self._under_prefix(scope)
        if scope["type"] == "websocket":
            await self._stream(scope, receive, send)
            return

        policy = POLICY if self.inner(scope["path"]).startswith(REPORTS) else self._policy

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {
                    **message,
                    "headers": with_security(list(message["headers"]), policy, is_secure=self._site.is_secure),
                }
            await send(message)

        request = Request(scope)
        scope["afrel.language"] = language_of(request)
        try:
            refusal = await self._refusal(request, scope)
        except UnavailableError as error:
            logger.warning("%r: %s", scope["path"], error)
            refusal = self._told(request, 503, "store_is_away")
        await (refusal or self._app)(scope, receive, send_secured)

    async def who(self, request: Request, *, is_active: bool) -> Visitor | None:
        """Return the visitor of a request or handshake."""
        token = request.cookies.get(self._site.cookie_name)
        if token is None:
            return None
        visitors = self._serving.visitors
        if visitors.is_fresh:
            return visitors.who(token, is_active=is_active)
        return await to_thread.run_sync(lambda: visitors.who(token, is_active=is_active), limiter=self._limiter)

    def inner(self, path: str) -> str:
        """Return a path without the prefix."""
        return path[len(self._site.prefix) :] or "/"

    def _under_prefix(self, scope: Scope) -> Scope:
        """Return the scope with the prefix on its path, whether or not the proxy in front took it off."""
        prefix, path = self._site.prefix, scope["path"]
        if not prefix or path == prefix or path.startswith(f"{prefix}/"):
            return dict(scope)
        raw = scope.get("raw_path") or path.encode()
        return {**scope, "path": prefix + path, "raw_path": prefix.encode() + raw}

    async def _refusal(self, request: Request, scope: Scope) -> Response | None:
        """Return the answer that ends a request here, None when it may go on."""
        path = self.inner(scope["path"])
        if (foreign := self._foreign(request)) is not None:
            return foreign
        visitor = await self.who(request, is_active=BY_ITSELF_HEADER not in request.headers)
        scope["afrel.visitor"] = visitor
        asked = f"{request.method} {path}"
        if asked in OPEN or (self._serving.oidc is not None and asked in OPEN_WITH_OIDC):
            return None
        if visitor is None:
            return self._log_in_first(request, path)
        sent = request.headers.get(CSRF_HEADER, "")
        is_signed = asked in FORMS or secrets.compare_digest(sent.encode(), visitor.csrf.encode())
        if request.method in CHANGES and not is_signed:
            return self._told(request, 403, "wrong_csrf")
        return self._place(request, path, visitor)

    def _foreign(self, request: Request) -> Response | None:
        """Refuse what was sent to another host, or by a page of another."""
        origin, host = request.headers.get("origin"), request.headers.get("host")
        if not self._site.is_own_host(host):
            return self._told(request, 400, "foreign_host")
        is_own = self._site.is_own_origin(origin, host)
        if not is_own and (origin is not None or request.method in CHANGES):
            return self._told(request, 403, "foreign_origin")
        if self._site.prefix and request.scope["path"] == self._site.prefix:
            return RedirectResponse(self._site.path("/"), status_code=308)
        path = self.inner(request.scope["path"])
        if path.endswith("/") and path.strip("/") in PAGES:
            return RedirectResponse(self._site.path(f"/{path.strip('/')}"), status_code=308)
        return None

    def _place(self, request: Request, path: str, visitor: Visitor) -> Response | None:
        """Refuse what is no place of the app, and pages of other roles."""
        page = path.removeprefix("/")
        if page in PAGES and not is_open_to(page, visitor.person.role):
            role = texts(request.scope["afrel.language"])[f"login.role_{visitor.person.role.value}"]
            return self._told(request, 403, "page_not_yours", role=role)
        is_read = request.method in ("GET", "HEAD")
        is_place = page in PAGES or path == "/" or _FETCHED.fullmatch(path)
        if (is_read and is_place) or _OURS.fullmatch(path) or f"{request.method} {path}" in FORMS:
            return None
        return self._told(request, 404, "no_such_page")

    def _log_in_first(self, request: Request, path: str) -> Response:
        if path.startswith("/api/") or request.method in CHANGES or not _wants_page(request):
            return told(401, texts(request.scope["afrel.language"])["login.login_needed"], login=True)
        page = path.strip("/")
        asked = [f"next={page}"] if page in PAGES else []
        asked += ["said=ended"] if request.cookies.get(self._site.cookie_name) else []
        query = f"?{'&'.join(asked)}" if asked else ""
        return RedirectResponse(self._site.path(f"/login{query}"), status_code=303)

    def _told(self, request: Request, status: int, key: str, **values: Any) -> Response:
        """Return words: as a page to who wants one, else as JSON."""
        language = request.scope["afrel.language"]
        words = texts(language)
        said = words[f"login.{key}"].format(**values)
        if not _wants_page(request):
            return told(status, said)
        link = f'<a href="{escape(self._site.path("/"))}">{escape(words["login.to_your_pages"])}</a>'
        body = f"{said_html(said, is_wrong=True)}\n{link}"
        return HTMLResponse(page_html(language, title="afrel", body=body), status)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a page's stream through when page and browser are this app's own."""
        request = Request({**scope, "type": "http", "method": "GET"})
        origin, host = request.headers.get("origin"), request.headers.get("host")
        is_ours = self._site.is_own_host(host) and self._site.is_own_origin(origin, host)
        if not is_ours or origin is None or self.inner(scope["path"]) != STREAM:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        # Streamlit compares both itself, and asks hosts on the network for its own address when they differ
        netloc = origin.split("//", 1)[1].encode()
        headers = [(name, netloc if name == b"host" else value) for name, value in scope["headers"]]
        await watch_stream(self._app, {**scope, "headers": headers}, receive, send, who=self._watched(request))

    def _watched(self, request: Request) -> Who:
        async def who(*, is_active: bool) -> Visitor | None:
            return await self.who(request, is_active=is_active)

        return who


def _wants_page(request: Request) -> bool:
    """Say whether a person looks at the answer: a browser opening an address."""
    wanted = request.headers.get("accept", "")
    return request.headers.get("sec-fetch-mode", "navigate") == "navigate" and "text/html" in wanted

"""From the provider's word to a login of ours: Streamlit's signed cookie is exchanged and never reaches the browser.

Streamlit talks to the provider and checks its token. Its answer names the person in a cookie that would last a month
and could not be taken back; here it is read and dropped, and the account of the verified e-mail is logged in instead.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route as WebRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.auth_util import encode_provider_token, get_cookie_with_chunks
from streamlit.web.server.server_util import AUTH_COOKIE_NAME, get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

from review_app.server.cookies import NEXT, set_next
from review_app.server.login_page import Door
from review_app.server.serving import Serving
from storage.errors import UnavailableError
from storage.people.accounts import Pin, is_account_name

logger = logging.getLogger("afrel.server")


def oidc_routes(serving: Serving) -> list[WebRoute]:
    """Return the route that begins a log-in with the provider."""

    async def begin(request: Request) -> Response:
        token = encode_provider_token("default")
        response = RedirectResponse(serving.site.path(f"/auth/login?provider={quote(token)}"), status_code=303)
        set_next(response, serving.site, request.query_params.get("next", ""))
        return response

    return [WebRoute(serving.site.path("/login/with"), begin, methods=["GET"])]


class Exchange:
    """Around Streamlit: turns the answer of its callback into a login of ours, or a refusal in words."""

    def __init__(self, app: ASGIApp, serving: Serving, door: Door) -> None:
        self._app = app
        self._serving = serving
        self._door = door
        self._callback = serving.site.path("/oauth2callback")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self._callback:
            await self._app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers.extend(message["headers"])

        await self._app(scope, receive, keep)
        set_cookies = [value for name, value in headers if name.lower() == b"set-cookie"]
        response = await self._exchanged(Request(scope), _person(_values(set_cookies)))
        for value in set_cookies:
            if not value.startswith(AUTH_COOKIE_NAME.encode()):  # the session's, which held the state, is dropped by it
                response.raw_headers.append((b"set-cookie", value))
        await response(scope, receive, send)

    async def _exchanged(self, request: Request, said: Mapping[str, Any] | None) -> Response:
        if said is None:
            return self._door.refused(request, "provider_failed", status=403)
        email = said.get("email")
        if not isinstance(email, str) or said.get("email_verified") is not True:
            logger.warning("log in refused: the provider verified no e-mail of subject %r", said.get("sub"))
            return self._door.refused(request, "unverified_person", status=403)
        account = email.lower()
        try:
            pin = await to_thread.run_sync(self._pin, account)
        except UnavailableError as error:
            logger.warning("log in: %s", error)
            return self._door.refused(request, "store_is_away", status=503)
        if pin is None:
            logger.warning("log in refused: the provider's %r has no account here", account)
            return self._door.refused(request, "unknown_person", status=403, email=email)
        token = self._serving.logins.open(account, pin.public_key)
        return self._door.enter(request, token, request.cookies.get(NEXT))

    def _pin(self, account: str) -> Pin | None:
        return self._serving.visitors.pin(account, at_most=0.0) if is_account_name(account) else None


def _person(cookies: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return what the cookie that Streamlit signed says of the person, None without a sound one."""

    def signed(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, value.encode("latin-1")) if value else None

    found = get_cookie_with_chunks(signed, AUTH_COOKIE_NAME)
    said = json.loads(found) if found else None
    return said if isinstance(said, dict) and said.get("is_logged_in") is True else None


def _values(set_cookies: list[bytes]) -> dict[str, str]:
    """Return the cookies an answer sets, without those it drops."""
    found: dict[str, str] = {}
    for value in set_cookies:
        try:
            cookies = SimpleCookie(value.decode("latin-1"))
        except CookieError:
            continue
        found |= {name: cookie.value for name, cookie in cookies.items() if cookie.value}
    return found

"""The door: the login page, logging in and out, and the choice of language. Plain HTML, served before Streamlit.

The page does not tell whether an account exists: unknown, retired, unpinned and wrong password read and cost the same.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route as WebRoute

from review_app.server.api import TooLargeError, read_limited
from review_app.server.cookies import FORM, drop_login, language_of, set_form, set_language, set_login
from review_app.server.doorstep import Doorstep
from review_app.server.login_html import LoginFields, login_html
from review_app.server.markup import page_html, said_html
from review_app.server.one_time import OneTimeMarks
from review_app.server.pages import PAGES
from review_app.server.serving import Serving
from review_app.server.visitors import Visitor
from review_app.texts import LANGUAGES, texts
from storage.errors import UnavailableError, UserError
from storage.people.keys import unlock
from storage.people.throttle import TooEarlyError

MAX_FORM_BYTES = 16 << 10
N_AT_ONCE = 2  # passwords tried at a time; each takes a core and 64 MiB
N_WAITING = 30
# what the address may ask the page to say: nothing else gets from a link onto the page
SAID = {"out": "logged_out", "everywhere": "logged_out_everywhere", "ended": "ended"}

logger = logging.getLogger("afrel.server")


class _NotInError(Exception):
    """Nobody is logged in by this; `key` names the words why."""

    def __init__(self, key: str, status: int, values: Mapping[str, object] = MappingProxyType({})) -> None:
        super().__init__(key)
        self.key = key
        self.status = status
        self.values = values


class Door:
    """The routes of the door."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._site = serving.site
        self._marks = OneTimeMarks()
        self._doorstep = Doorstep()
        self._limiter = CapacityLimiter(N_AT_ONCE)

    def routes(self) -> list[WebRoute]:
        """Return the routes of login, logout and language."""
        return [
            WebRoute(self._site.path("/login"), self.show, methods=["GET"]),
            WebRoute(self._site.path("/login"), self.log_in, methods=["POST"]),
            WebRoute(self._site.path("/logout"), self.log_out, methods=["POST"]),
            WebRoute(self._site.path("/language"), self.choose_language, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show the login page; who is logged in already goes on."""
        if request.scope.get("afrel.visitor") is not None:
            return RedirectResponse(self._next(request.query_params.get("next")), status_code=303)
        key = SAID.get(request.query_params.get("said", ""))
        return self._page(request, _NotInError(key, 200) if key else None, request.query_params)

    async def log_in(self, request: Request) -> Response:
        """Log in with account and password, and go on to the page that was asked for."""
        form = await _form(request)
        try:
            token = await self._token_for(request, form)
        except _NotInError as refusal:
            return self._page(request, refusal, form)
        return self.enter(request, token, form.get("next"))

    async def _token_for(self, request: Request, form: Mapping[str, str]) -> str:
        """Return the token of a new login; _NotInError says why there is none."""
        account, password = form.get("account", "").strip().lower(), form.get("password", "")
        if not self._marks.take(request.cookies.get(FORM, ""), form.get("mark", "")):
            raise _NotInError("stale_form", 403)
        if not account or not password:
            raise _NotInError("fields_missing", 400)
        address = request.client.host if request.client else None
        if seconds := self._doorstep.knock(address):
            raise _NotInError("wait_address", 429, {"n": seconds})
        if self._limiter.statistics().tasks_waiting >= N_WAITING:
            raise _NotInError("busy", 503)
        try:
            token = await to_thread.run_sync(self._opened, account, password, limiter=self._limiter)
        except TooEarlyError as error:
            raise _NotInError("wait", 429, {"n": error.seconds}) from None
        except UnavailableError as error:
            logger.warning("log in: %s", error)
            raise _NotInError("store_is_away", 503) from None
        if token is None:
            raise _NotInError("wrong", 403)
        self._doorstep.let_in(address)
        return token

    def enter(self, request: Request, token: str, asked: str | None) -> Response:
        """Give the browser its new token, end the one it had before, and go on to the page that was asked for."""
        self._serving.logins.close(request.cookies.get(self._site.cookie_name))
        response = RedirectResponse(self._next(asked), status_code=303)
        set_login(response, self._site, token)
        return response

    def refused(self, request: Request, key: str, *, status: int, **values: object) -> Response:
        """Show the login page with the words why nobody was let in."""
        return self._page(request, _NotInError(key, status, values), {})

    async def log_out(self, request: Request) -> Response:
        """End this login, or all of the account."""
        visitor: Visitor = request.scope["afrel.visitor"]
        form = await _form(request)
        if not secrets.compare_digest(form.get("csrf", "").encode(), visitor.csrf.encode()):
            language = language_of(request)
            said = said_html(texts(language)["login.wrong_csrf"], is_wrong=True)
            return HTMLResponse(page_html(language, title="afrel", body=said), 403)
        self._serving.logins.close(request.cookies[self._site.cookie_name])
        is_everywhere = form.get("everywhere") == "yes"
        if is_everywhere:
            self._serving.logins.close_all(visitor.person.account)
        said = "everywhere" if is_everywhere else "out"
        response = RedirectResponse(self._site.path(f"/login?said={said}"), status_code=303)
        drop_login(response, self._site)
        return response

    async def choose_language(self, request: Request) -> Response:
        """Remember the language and go back to the page."""
        form = await _form(request)
        target = self._site.path("/login") if form.get("from") == "login" else self._next(form.get("next"))
        response = RedirectResponse(target, status_code=303)
        if form.get("language") in LANGUAGES:
            set_language(response, self._site, form["language"])
        return response

    def _opened(self, account: str, password: str) -> str | None:
        """Return the token of a new login, None when account and password do not belong together."""
        serving = self._serving
        if serving.oidc is not None and "@" in account:
            return None  # its password opens its key, not this door
        try:
            key = unlock(serving.home, account, password)
        except TooEarlyError:
            raise
        except UserError as error:
            # people type passwords into the field of the name: only a name that is one may stand in a log
            is_known = serving.visitors.pin(account) is not None
            logger.warning("log in refused: %s", error if is_known else "no such account")
            return None
        pin = serving.visitors.pin(account, at_most=0.0)  # an admin may have added it a moment ago
        if pin is None or pin.public_key != key.public_key:
            logger.warning("log in refused: %s is retired here, or not pinned with this key", account)
            return None
        return serving.logins.open(account, key.public_key)

    def _next(self, asked: str | None) -> str:
        """Return where to go on: a page of the app, nothing a link could have brought in."""
        page = (asked or "").strip("/")
        return self._site.path(f"/{page}" if page in PAGES else "/")

    def _page(self, request: Request, said: _NotInError | None, form: Mapping[str, str]) -> Response:
        """Return the login page with what is to be said; `form` is what was typed or asked for before."""
        language = language_of(request)
        words = texts(language)
        browser = request.cookies.get(FORM, "")
        if not (len(browser) == 43 and browser.isascii()):
            browser = secrets.token_urlsafe(32)
        fields = LoginFields(
            mark=self._marks.give(browser),
            account=form.get("account", "")[:64],
            page=page if (page := form.get("next", "").strip("/")) in PAGES else "",
        )
        provider = self._serving.oidc.name if self._serving.oidc is not None else None
        told = ""
        if said is not None:
            sentence = words[f"login.{said.key}"].format(**{"name": provider, **said.values})
            told = said_html(sentence, is_wrong=said.status != 200)
        html = login_html(language, self._site, fields, told=told, provider=provider)
        response = HTMLResponse(html, said.status if said is not None else 200)
        set_form(response, self._site, browser)
        return response


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form, the first of each name; none of what is too large or no form."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        return {}
    try:
        text = (await read_limited(request, MAX_FORM_BYTES)).decode()
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=20, errors="strict")
    except (TooLargeError, ValueError):
        return {}
    return {name: values[0] for name, values in fields.items()}

"""The cookies of the app: the login, the language, and the browser a login form was given to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from review_app.server.logins import LONGEST
from review_app.server.site import Site
from review_app.texts import LANGUAGES, closest_language

LANGUAGE = "afrel_language"
FORM = "afrel_form"
NEXT = "afrel_next"
A_YEAR = 365 * 24 * 3600


def set_login(response: Response, site: Site, token: str) -> None:
    """Hand a browser its token. Lax: a link in a chat, or the provider's redirect, must find the person logged in."""
    _set(response, site, site.cookie_name, token, max_age=int(LONGEST.total_seconds()))


def drop_login(response: Response, site: Site) -> None:
    """Take the token back."""
    _set(response, site, site.cookie_name, "", max_age=0)


def set_form(response: Response, site: Site, browser: str) -> None:
    """Name the browser a login form is given to."""
    _set(response, site, FORM, browser, max_age=None, same_site="strict")


def set_language(response: Response, site: Site, language: str) -> None:
    """Remember the language a person chose."""
    _set(response, site, LANGUAGE, language, max_age=A_YEAR)


def set_next(response: Response, site: Site, page: str) -> None:
    """Remember the page to go on to after the provider has sent the person back; it is checked when it is read."""
    _set(response, site, NEXT, page if page.isalpha() and page.isascii() else "", max_age=600)


def language_of(request: Request) -> str:
    """Return the language to answer a request in."""
    return chosen_language(request.cookies, request.headers.get("accept-language"))


def chosen_language(cookies: Mapping[str, str], asked: str | None) -> str:
    """Return the language to speak: the one the person chose, else the browser's."""
    chosen = cookies.get(LANGUAGE, "")
    return chosen if chosen in LANGUAGES else closest_language(asked)


def _set(
    response: Response,
    site: Site,
    name: str,
    value: str,
    *,
    max_age: int | None,
    same_site: Literal["lax", "strict"] = "lax",
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=site.cookie_path,
        secure=site.is_secure,
        httponly=True,
        samesite=same_site,
    )

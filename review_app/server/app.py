"""The app put together: Streamlit with our look, our routes before its own, the guard in front of both."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route as WebRoute
from starlette.types import ASGIApp
from streamlit import config

from review_app import views
from review_app.server import adjudicate_routes, list_routes, me_routes, review_routes
from review_app.server.api import Route, no_route, web_routes
from review_app.server.card_files import card_routes
from review_app.server.guard import Guard
from review_app.server.headers import content_policy, inline_scripts
from review_app.server.login_page import Door
from review_app.server.look import LOOK
from review_app.server.markup import language_tag
from review_app.server.oidc_exchange import Exchange, oidc_routes
from review_app.server.pages import PAGES, pages_of
from review_app.server.report_page import report_routes
from review_app.server.script_errors import told_in_words
from review_app.server.serving import Serving, begin
from review_app.server.shell import shell_html
from review_app.server.site import Site
from review_app.texts import streamlit_words

ROUTE_TABLES = (me_routes, review_routes, list_routes, adjudicate_routes)
SCRIPT = Path(str(views.__file__)).with_name("main.py")


def api_routes() -> list[Route]:
    """Return every JSON route of the app."""
    return [route for table in ROUTE_TABLES for route in table.ROUTES]


def build_app(serving: Serving) -> ASGIApp:
    """Return the app as ASGI. One a process: Streamlit holds one."""
    configure(serving.site)
    begin(serving)
    html = shell_html(serving.site)
    door = Door(serving)
    routes = [
        *door.routes(),
        *(oidc_routes(serving) if serving.oidc is not None else []),
        *web_routes(api_routes(), serving),
        *card_routes(serving.site),
        *report_routes(serving),
        *_page_routes(serving.site, html),
        *no_route(serving.site),
    ]
    secrets = serving.oidc.streamlit_secrets(serving.site) if serving.oidc is not None else None
    app: ASGIApp = st.App(SCRIPT, routes=routes, secrets=secrets, on_script_error=told_in_words)
    if serving.oidc is not None:
        app = Exchange(app, serving, door)
    return Guard(app, serving, content_policy(inline_scripts(html)))


def configure(site: Site) -> None:
    """Set all of Streamlit's options: what lies in somebody's files or environment does not count."""
    ours = {
        **LOOK,
        "browser.gatherUsageStats": False,
        "client.allowedOrigins": [],
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "global.developmentMode": False,
        "secrets.files": [],
        "server.baseUrlPath": site.prefix.strip("/"),
        "server.fileWatcherType": "none",
        "server.headless": True,
        "server.maxUploadSize": 1,
        "server.port": site.port,
        "server.showEmailPrompt": False,
    }
    for key, option in config._config_options_template.items():
        if config.is_manually_set(key) and key not in ours:
            config.set_option(key, option.default_val)
    for key, value in ours.items():
        config.set_option(key, value)


def _page_routes(site: Site, html: str) -> list[WebRoute]:
    async def page(request: Request) -> Response:
        language = request.scope["afrel.language"]
        words = escape(json.dumps(streamlit_words(language), ensure_ascii=False))
        spoken = html.replace('<html lang="en">', f'<html lang="{language_tag(language)}" data-words="{words}">')
        return HTMLResponse(spoken, headers={"cache-control": "no-cache"})

    async def first_page(request: Request) -> Response:
        first = pages_of(request.scope["afrel.visitor"].person.role)[0]
        return RedirectResponse(site.path(f"/{first}"), status_code=303)

    named = [WebRoute(site.path(f"/{name}"), page, methods=["GET"]) for name in PAGES]
    return [*named, WebRoute(site.path("/"), first_page, methods=["GET"])]

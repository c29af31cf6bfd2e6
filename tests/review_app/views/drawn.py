"""Draw a page as Streamlit does, without a browser: for one person of the shop, in a language."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from tests.review_app.tier_shop import Shop


def drawn(shop: Shop, view: str, account: str, language: str = "en") -> AppTest:
    """Return a page, drawn once."""
    app = AppTest.from_function(_script, default_timeout=60, args=(view, str(shop.workspace.root), account, language))
    return app.run()


def words(app: AppTest) -> str:
    """Return all words on the page that no field holds, as they are read."""
    return source(app).replace("\\", "").replace("\u2060", "")


def source(app: AppTest) -> str:
    """Return what Streamlit is given to make those words of, with the marks that keep Markdown away."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "code", "text")
    return "\n".join(str(one.value) for kind in kinds for one in getattr(app, kind))


def button(app: AppTest, label: str) -> Any:
    """Return the button of a label."""
    (found,) = [one for one in app.button if one.label == label]
    return found


def field(app: AppTest, label: str, kind: str = "text_input", place: int = 0) -> Any:
    """Return the field of a label, one of several by its place."""
    return [one for one in getattr(app, kind) if one.label == label][place]


def _script(view: str, root: str, account: str, language: str) -> None:
    from importlib import import_module
    from pathlib import Path

    import streamlit as st

    from review_app.page import Page
    from review_app.server.logins import Logins
    from review_app.server.serving import Serving, begin
    from review_app.server.site import Site
    from review_app.server.stores import Stores
    from review_app.server.visitors import Visitors
    from storage.errors import UserError
    from storage.people.accounts import pin_from_row
    from storage.workspace import Workspace, afrel_home

    workspace = Workspace.open(Path(root))
    stores = Stores(workspace)
    site, logins = Site("http://shop.example", 8500), Logins(afrel_home(), workspace.root)
    begin(Serving(workspace, afrel_home(), site, stores, logins, Visitors(logins, stores), None))
    pins = {row["account"]: pin_from_row(row) for row in stores.open().read("accounts").to_pylist()}
    try:
        import_module(f"review_app.views.{view}").draw(Page(pins[account], workspace, stores.open(), language))
    except UserError as error:
        st.error(str(error))
    finally:
        stores.close()

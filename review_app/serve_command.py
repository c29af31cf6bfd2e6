"""`afrel serve`: the review app in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from storage.errors import UserError
from storage.session import Session


def serve(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8500,
    address: Annotated[
        str, typer.Option(help="The address to listen on; this machine alone by default.")
    ] = "127.0.0.1",
    url: Annotated[
        str | None, typer.Option(help="How browsers reach it through your proxy, such as https://shop.example/afrel.")
    ] = None,
) -> None:
    """Open the review app in the browser, for everybody who has an account, until you stop it.

    Example: afrel -w shop serve
    """
    from review_app.server.running import serve_until_stopped
    from review_app.server.site import LOOPBACK, Site, site_at

    session: Session = ctx.obj
    workspace = session.workspace
    is_local = address in LOOPBACK
    if not is_local and not (url or "").startswith("https://"):
        raise UserError(
            f"--address {address} lets the network in, and passwords would travel in the clear. Put a proxy with TLS "
            f"in front and say how browsers reach it: afrel serve --address {address} --url https://NAME (docs/app.md)"
        )
    site = site_at(url, port) if url else Site(f"http://{'localhost' if address == '::1' else address}:{port}", port)
    if not session.pins():
        raise UserError(
            f"{workspace.root} has no accounts, so nobody could log in. Make the first one: "
            f"afrel -w {workspace.root} account add NAME --role admin"
        )
    serve_until_stopped(workspace, site, address=address)

"""Run the app in this process until it is stopped: bind first, so that a taken port is told in words."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys

import uvicorn

from review_app.server.app import build_app
from review_app.server.logins import Logins
from review_app.server.oidc import read_oidc
from review_app.server.serving import Serving
from review_app.server.site import Site
from review_app.server.stores import Stores
from review_app.server.visitors import Visitors
from storage.errors import UserError
from storage.workspace import Workspace, afrel_home

STOP_SECONDS = 3
SWITCH_SECONDS = 0.001  # a receipt is told soon, whatever else is drawn or read for somebody else
MAX_STREAM_MESSAGE_BYTES = 26 << 20


def serve_until_stopped(workspace: Workspace, site: Site, *, address: str) -> None:
    """Serve the app; returns after Ctrl+C or a request to end. UserError when it cannot begin."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    listener = listen(address, site.port)
    home = afrel_home()
    stores = Stores(workspace)
    try:
        logins = Logins(home, workspace.root)
    except OSError as error:
        raise UserError(f"logins cannot be kept in {home}: {error.strerror}. Mend that, or set AFREL_HOME") from None
    visitors = Visitors(logins, stores)
    serving = Serving(workspace, home, site, stores, logins, visitors, read_oidc(workspace))
    app = build_app(serving)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=MAX_STREAM_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # most messages are small, and a core is dear
            ws_ping_interval=30,
            ws_ping_timeout=30,
            timeout_graceful_shutdown=STOP_SECONDS,
            timeout_keep_alive=75,
        )
    )
    signal.signal(signal.SIGTERM, _interrupt)
    sys.setswitchinterval(SWITCH_SECONDS)
    print(f"The review app of {workspace.root} is open: {site.url}/", file=sys.stderr)
    print("Ctrl+C stops it and logs nobody out.", file=sys.stderr, flush=True)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn has stopped cleanly and passes the signal on
    finally:
        listener.close()
        stores.close()
    print("The review app has stopped.", file=sys.stderr)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket; UserError when port or address are not to be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # named as TCP, asyncio sends small answers at once; else each waits some 40 ms for company
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} of {address} is in use. Take another: afrel serve --port {port + 1}"
            ) from None
        raise UserError(f"{address} port {port} cannot be served: {error.strerror}. Take another --address") from None
    return listener

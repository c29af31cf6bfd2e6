"""Where browsers reach the app: which hosts and origins are its own, under which path, with which cookie.

Loopback names are always its own, at any port, so that a tunnel works; a name on the network only when `--url` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from storage.errors import UserError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Site:
    """The app's address. `url` is as browsers write it, without a slash at the end; `prefix` is its path."""

    url: str
    port: int

    @property
    def prefix(self) -> str:
        return urlsplit(self.url).path

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_secure(self) -> bool:
        return self.url.startswith("https:")

    @property
    def cookie_name(self) -> str:
        """Return the login cookie's name; browsers hold the prefixed ones to what they promise.

        Plain ports of one host share their cookies, so the port keeps two servers apart.
        """
        if not self.is_secure:
            return f"afrel_login_{self.port}"
        return "__Secure-afrel_login" if self.prefix else "__Host-afrel_login"

    @property
    def cookie_path(self) -> str:
        return self.prefix or "/"

    def path(self, inner: str) -> str:
        """Return a path of the app, such as `/login`, as browsers see it."""
        return f"{self.prefix}{inner}"

    def is_own_host(self, host: str | None) -> bool:
        """Say whether a `Host` header names this app."""
        name = _hostname(f"//{host or ''}")
        return name is not None and (name in LOOPBACK or name == _hostname(self.url))

    def is_own_origin(self, origin: str | None, host: str | None) -> bool:
        """Say whether an `Origin` header is a page of this app; none, and `null`, are not."""
        if origin is None:
            return False
        if origin == self.origin:
            return True
        is_tunnel = not self.is_secure and _hostname(f"//{host or ''}") in LOOPBACK
        return is_tunnel and origin == f"http://{host}"


def site_at(url: str, port: int) -> Site:
    """Return the site of a `--url`; UserError for what is no address of an app."""
    parts = urlsplit(url)
    is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
    try:
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_whole = False
    if is_whole and parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise UserError(
            f"--url {url!r} is not encrypted, so passwords would travel in the clear. Let a proxy serve it by TLS and "
            f"give that address: --url https://{parts.netloc}{parts.path}"
        )
    path = parts.path.rstrip("/")
    steps = path.split("/")[1:]
    is_simple = all(step and set(step) <= _IN_A_STEP and step.strip(".") for step in steps)
    if not (is_plain and is_whole and is_simple):
        raise UserError(
            f"--url {url!r} is not an address of the app: give scheme, host and path as browsers write them, such as "
            "https://shop.example/afrel"
        )
    return Site(f"{parts.scheme}://{parts.netloc.lower()}{path}", port)


_IN_A_STEP = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~")


def _hostname(url: str) -> str | None:
    """Return the host of an address in lower case; None where there is none, or more than a host and a port."""
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        return None
    is_only_host = not (parts.username or parts.password) and port_is_sound
    return parts.hostname.lower().rstrip(".") if parts.hostname and is_only_host else None

"""What every answer tells the browser to forbid: strangers' scripts, frames, hosts, guesses at types."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

# a page may not widen these; Cache-Control is added where an answer says nothing of it
_FIXED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with no-referrer, browsers send forms with the origin null
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def content_policy(inline_scripts: Iterable[str]) -> str:
    """Return the Content-Security-Policy of pages that hold these inline scripts.

    `blob:` is how Streamlit loads a component's own script, inline styles are how it draws.
    """
    hashes = [f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inline_scripts]
    return "; ".join(
        [
            "default-src 'self'",
            " ".join(["script-src 'self'", *hashes, "blob:"]),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ]
    )


def inline_scripts(html: str) -> list[str]:
    """Return the texts of a page's inline scripts."""
    return [text for text in re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", html, flags=re.S) if text]


def with_security(headers: Headers, policy: str, *, is_secure: bool) -> Headers:
    """Return an answer's headers with ours in place of its own of the same names; behind TLS no cookie goes without."""
    ours = {**_FIXED, "content-security-policy": policy}
    names = {name.encode() for name in ours}
    kept = [(name, value) for name, value in headers if name.lower() not in names]
    if is_secure:
        kept = [(name, _bound_to_tls(value) if name.lower() == b"set-cookie" else value) for name, value in kept]
    if not any(name.lower() == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    return [*kept, *((name.encode(), value.encode()) for name, value in ours.items())]


def _bound_to_tls(cookie: bytes) -> bytes:
    """Return a cookie with `Secure`: Streamlit's own would go without, as it does not know of the proxy."""
    attributes = [part.strip().lower() for part in cookie.split(b";")[1:]]
    return cookie if b"secure" in attributes else cookie + b"; Secure"

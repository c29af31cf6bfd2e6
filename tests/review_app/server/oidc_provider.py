"""A small OpenID Connect provider on loopback: discovery, authorize, token with an RS256 id token, keys.

It checks what a provider checks (client, secret, redirect address, code once, PKCE) and says of the person what the
test tells it to.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "afrel-app", "a secret of the client"


@dataclass
class Provider:
    """Whom it knows and how it misbehaves; tests change both."""

    redirect_uri: str
    issuer: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    signs_with_a_foreign_key: bool = False
    refuses: str | None = None
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    foreign_key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    n_tokens: int = 0

    def authorize(self, asked: dict[str, str]) -> str:
        """Return where the browser is sent after the person has confirmed."""
        assert asked["client_id"] == CLIENT and asked["redirect_uri"] == self.redirect_uri
        assert asked["response_type"] == "code" and "openid" in asked["scope"].split()
        if self.refuses is not None:
            return f"{self.redirect_uri}?{urlencode({'error': self.refuses, 'state': asked['state']})}"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, asked: dict[str, str], authorization: str) -> dict[str, Any]:
        """Exchange a code, once, for tokens."""
        basic = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        assert basic == f"{CLIENT}:{SECRET}", basic
        begun = self.codes.pop(asked["code"])
        verifier = hashlib.sha256(asked["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(verifier).decode().rstrip("=") == begun["code_challenge"]
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": "42", "iat": now, "exp": now + 300, "nonce": begun["nonce"],
            **self.person, **self.overrides,
        }  # fmt: skip
        key = self.foreign_key if self.signs_with_a_foreign_key else self.key
        self.n_tokens += 1
        signed = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, key)
        return {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": signed,
        }

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }


@contextmanager
def run_provider(redirect_uri: str) -> Iterator[Provider]:
    """Run a provider until the test is done with it."""
    provider = Provider(redirect_uri)

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("location", provider.authorize(asked))
                self.end_headers()
                return
            told = {"/.well-known/openid-configuration": provider.discovery()}
            told["/keys"] = {"keys": [provider.key.as_dict(private=False)]}
            self._send(told[parts.path])

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(sent).items()}
            self._send(provider.token(asked, self.headers.get("authorization", "")))

        def _send(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()

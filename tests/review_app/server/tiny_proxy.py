"""A reverse proxy of a few lines, with TLS: what nginx or Caddy do in front of the app, one request a connection."""

from __future__ import annotations

import datetime
import ipaddress
import selectors
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Proxy:
    """How it passes requests on; may be changed while it runs."""

    port: int
    upstream_port: int
    prefix: str
    strips_prefix: bool = False
    passes_host: bool = True

    def rewritten(self, head: bytes) -> bytes:
        """Return a request's head as it is sent on."""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, version = first.split(" ", 2)
        if self.strips_prefix:
            path = path.removeprefix(self.prefix) or "/"
        is_upgrade = any(line.lower().startswith("upgrade:") for line in lines)
        kept = [line for line in lines if is_upgrade or not line.lower().startswith("connection:")]
        if not self.passes_host:
            kept = [f"Host: 127.0.0.1:{self.upstream_port}" if x.lower().startswith("host:") else x for x in kept]
        more = [] if is_upgrade else ["Connection: close"]
        return "\r\n".join([f"{method} {path} {version}", *more, *kept]).encode("latin-1")


def certificate(folder: Path) -> Path:
    """Write a certificate for localhost with its key; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@contextmanager
def run_proxy(proxy: Proxy, certificate_path: Path) -> Iterator[Proxy]:
    """Run the proxy until the test is done with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path)
    listener = socket.create_server(("127.0.0.1", proxy.port), backlog=128)

    def accept() -> None:
        while True:
            try:
                browser, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_pass_on, args=(proxy, context, browser), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _pass_on(proxy: Proxy, context: ssl.SSLContext, browser: socket.socket) -> None:
    with suppress(OSError), browser, context.wrap_socket(browser, server_side=True) as inside:
        received = b""
        while b"\r\n\r\n" not in received:
            part = inside.recv(65536)
            if not part:
                return
            received += part
        head, rest = received.split(b"\r\n\r\n", 1)
        with socket.create_connection(("127.0.0.1", proxy.upstream_port)) as upstream:
            upstream.sendall(proxy.rewritten(head) + b"\r\n\r\n" + rest)
            _pump(inside, upstream)
            inside.unwrap()  # a stream of TLS that just stops looks cut off


def _pump(inside: ssl.SSLSocket, upstream: socket.socket) -> None:
    """Copy both ways until one side ends."""
    with selectors.DefaultSelector() as ready:
        ready.register(inside, selectors.EVENT_READ, upstream)
        ready.register(upstream, selectors.EVENT_READ, inside)
        while True:
            for key, _ in ready.select():
                source, target = key.fileobj, key.data
                content = source.recv(65536)  # type: ignore[union-attr]
                if not content:
                    return
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    content += source.recv(65536)
                target.sendall(content)

"""A workspace with an account of every role, and `afrel serve` as a process of its own with clients that log in."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from curation.init_commands import init
from storage.clock import now
from storage.people.accounts import Pin, Role, pin_from_row, retired
from storage.people.keys import Cost, create_key
from storage.rows import AccountRow
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import PASSWORD, ROOT, stop_store_process
from tests.review_app.review_rows import add_pair

CHEAP = Cost(iterations=1, memory_kib=64)
PEOPLE = {
    "ana": Role.REVIEWER,
    "dora": Role.ADJUDICATOR,
    "cleo": Role.CURATOR,
    "eli": Role.ENGINEER,
    "root": Role.ADMIN,
}
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Shop:
    """A workspace and the home of its keys."""

    root: Path
    home: Path

    def account_row(self, name: str, role: str, public_key: str) -> AccountRow:
        return AccountRow(
            account_event_id=f"{name}:{time.time_ns()}",
            account=name,
            role=role,
            public_key=public_key,
            pseudonym=f"person_{name}",
            by_account="root",
            created_at=now(),
        )

    def add_person(self, store: Store, name: str, role: Role) -> None:
        public_key = create_key(self.home, name, PASSWORD, cost=CHEAP)
        store.append({"accounts": [self.account_row(name, role.value, public_key)]})

    def newcomer(self, role: Role) -> str:
        """Add an account that no other test knows; return its name."""
        name = f"new-{secrets.token_hex(4)}"
        with self.store() as store:
            self.add_person(store, name, role)
        return name

    def store(self) -> Store:
        """Connect as another process would."""
        return Store.connect(Workspace.open(self.root))

    def pin(self, name: str) -> Pin:
        with self.store() as store:
            rows = store.read("accounts").to_pylist()
        return next(pin_from_row(row) for row in rows if row["account"] == name)

    def set_role(self, name: str, role: Role) -> None:
        with self.store() as store:
            store.append({"accounts": [self.account_row(name, role.value, self.pin(name).public_key)]})

    def retire(self, name: str) -> None:
        with self.store() as store:
            pin = self.pin(name)
            store.append({"accounts": [self.account_row(name, retired(pin.role), pin.public_key)]})


def make_shop(folder: Path) -> Shop:
    """Make a workspace with two candidates to review and one account of every role."""
    shop = Shop(folder / "shop", folder / "home")
    init(shop.root)
    with Store.embedded(shop.root) as store:
        for name, role in PEOPLE.items():
            shop.add_person(store, name, role)
        for n in (1, 2):
            add_pair(store, n)
    return shop


@dataclass
class ServedApp:
    """A running server. `url` is how browsers reach it, `port` where it listens."""

    shop: Shop
    url: str
    port: int
    log_path: Path
    opened: list[httpx.Client] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return "/".join(self.url.split("/")[:3])

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    @property
    def cookie(self) -> str:
        return f"afrel_login_{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        """Return a browser of sorts at an address of its own: it keeps cookies, follows nothing, sends its origin."""
        address = f"198.51.{100 + len(self.opened) // 250}.{len(self.opened) % 250 + 1}"
        own = {"origin": self.origin, "x-forwarded-for": address}
        client = httpx.Client(base_url=self.url, headers={**own, **headers}, timeout=30)
        self.opened.append(client)
        return client

    def logged_in(self, account: str) -> httpx.Client:
        """Return a client that is logged in, with the csrf token of its login."""
        client = self.client()
        answer = log_in(client, account)
        assert answer.status_code == 303, answer.text
        assert "login" not in answer.headers["location"]
        client.headers["x-afrel-csrf"] = csrf_of(client, self.cookie)
        return client


def csrf_of(client: httpx.Client, cookie: str) -> str:
    from review_app.server.logins import csrf_of as derived

    return derived(client.cookies[cookie])


def log_in(
    client: httpx.Client,
    account: str,
    password: str = PASSWORD,
    *,
    headers: Mapping[str, str] | None = None,
    **more: str,
) -> httpx.Response:
    """Fetch the login page and send its form, as a person does."""
    form = mark_of(client.get("login").text)
    fields = {"mark": form, "account": account, "password": password, "next": "", **more}
    return client.post("login", data=fields, headers=headers)


def mark_of(html: str) -> str:
    found = re.search(r'name="mark" value="([^"]+)"', html)
    assert found is not None, html
    return found[1]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def serve(
    shop: Shop, *options: str, url: str | None = None, port: int | None = None, env: Mapping[str, str] | None = None
) -> Iterator[ServedApp]:
    """Run `afrel serve` until the test is done with it."""
    port = port or free_port()
    log_path = shop.home.parent / f"serve-{port}.log"
    command = [sys.executable, "-m", "afrel", "-w", str(shop.root), "serve", "--port", str(port), *options]
    command += ["--url", url] if url else []
    environment = {**os.environ, "AFREL_HOME": str(shop.home), "PYTHONPATH": str(ROOT), **(env or {})}
    with log_path.open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=shop.home.parent)
    app = ServedApp(shop, url or f"http://127.0.0.1:{port}", port, log_path)
    try:
        _wait_until_ready(process, app)
        yield app
    finally:
        for client in app.opened:
            client.close()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _wait_until_ready(process: subprocess.Popen[bytes], app: ServedApp) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, app.log
        try:
            if httpx.get(f"http://127.0.0.1:{app.port}/_stcore/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(app.log)


def tear_down(shop: Shop) -> None:
    """Leave no store process behind."""
    stop_store_process(shop.root)

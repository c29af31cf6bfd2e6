"""A small shop served for real: a workspace with accounts and candidates, the app as its own process, a browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from curation.init_commands import init
from storage.people.accounts import Role
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import PASSWORD, ROOT
from tests.review_app.chromium import SLOW
from tests.review_app.server import served_app

ROLES = {
    "root": "admin",
    "ana": "reviewer",
    "bo": "reviewer",
    "dora": "adjudicator",
    "cleo": "curator",
    "eli": "engineer",
}
STAMP: dict[str, Any] = {"run_id": "run_1"}
STEPS = [
    ["intent", "red sofa under 2 m"],
    ["document", "a leather sofa"],
    ["category", "type agrees"],
    ["rules", "[r_00000000000000aa]"],
    ["verdict", "partly: a size conflicts"],
]


@dataclass
class Shop:
    """A workspace folder, its home of keys, and the server when it runs."""

    root: Path
    home: Path
    port: int = 0
    more: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "AFREL_HOME": str(self.home),
            "AFREL_PASSWORD_FILE": str(self.home / "password"),
            "PYTHONPATH": str(ROOT),
        }

    def afrel(self, *words: str, account: str | None = None) -> str:
        """Run a verb on the workspace."""
        front = ["-w", str(self.root), *(["--as", account] if account else [])]
        command = [sys.executable, "-m", "afrel", *front, *words]
        return subprocess.run(command, env=self.env, check=True, capture_output=True, text=True, timeout=120).stdout

    def store(self) -> Store:
        return Store.connect(Workspace.open(self.root), sees_test=True)

    def start(self) -> None:
        """Serve the workspace; returns once it answers."""
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", self.port))
            self.port = free.getsockname()[1]
        log = (self.root.parent / "serve.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "afrel", "-w", str(self.root), "serve", "--port", str(self.port), *self.more],
            env=self.env,
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/login", timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.root.parent / "serve.log").read_text()) from None
                time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def responses(self, account: str, *, n: int = 0) -> list[dict[str, Any]]:
        """Return what an account's acts are in the store, the first first; wait a while for n of them to be there.

        A browser says saved before it has found what another tab left behind.
        """
        deadline = time.monotonic() + SLOW / 1000
        while True:
            with self.store() as store:
                rows = store.read("own_trail", account=account, before="9999-01-01", n=1000).to_pylist()
            if len(rows) >= n or time.monotonic() > deadline:
                return list(reversed(rows))
            time.sleep(0.2)


def make_shop(folder: Path, *, n_pairs: int = 120) -> Shop:
    """Make a workspace with all roles and n candidates of one query each, the first most in need of an answer."""
    shop = Shop(folder / "shop", folder / "home")
    shop.home.mkdir(parents=True)
    (shop.home / "password").write_text(PASSWORD)
    (shop.home / "password").chmod(0o600)
    init(shop.root)
    people = served_app.Shop(shop.root, shop.home)
    with Store.embedded(shop.root) as store:
        for name, role in ROLES.items():
            people.add_person(store, name, Role(role))
        add_rule(store)
        numbered = [candidate_rows(n) for n in range(n_pairs)]
        tables = numbered[0] if numbered else {}
        store.append({table: [row for rows in numbered for row in rows[table]] for table in tables})
    return shop


def add_rule(store: Store) -> None:
    rule = {
        "rule_id": "r_00000000000000aa",
        "text": "Where a size conflicts, the grade is 1.",
        "condition": "n_number_conflicts > 0",
        "grade": 1,
        "origin": "mined",
        **_stamp(),
    }
    approval = {
        "approval_id": "a_rule",
        "kind": "rule",
        "content_id": rule["rule_id"],
        "decision": "approve",
        "account": "cleo",
        "sequence": 1,
        "created_at": _stamp()["created_at"],
    }
    store.append({"rules": [rule], "approvals": [approval]})


def add_candidate(store: Store, n: int, *, of: int | None = None, is_audited: bool = False, **texts: Any) -> str:
    """Add candidate n: a query, a doc, a suggestion of grade 1, a vote; return its id. `texts` replace what it says.

    `of` numbers the query it shares with others; it has one of its own otherwise.
    """
    rows = candidate_rows(n, of=of, is_audited=is_audited, **texts)
    store.append(rows)
    return str(rows["candidates"][0]["candidate_id"])


def candidate_rows(
    n: int, *, of: int | None = None, is_audited: bool = False, **texts: Any
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of candidate n by table."""
    said: Mapping[str, Any] = {
        "query": f"red leather sofa {n}",
        "title": f"Nordli sofa {n}, cognac leather",
        "body": "A three-seat sofa of soft leather. 228 cm wide.",
        "fields": {"brand": "Nordli", "width": "228 cm", "colour": "cognac"},
        "steps": STEPS,
        "confidence": 0.5 + n / 1000,
        "terms": ["red", "leather", "sofa"],
        "missing": ["red"],
        **texts,
    }
    number = f"{0 if is_audited else 8}{n:015x}"  # an audit draws by the first digits
    stamp = _stamp()
    query_id = f"q_{number if of is None else f'9{of:015x}'}"
    pair = {"pair_id": f"p_{number}", "query_id": query_id, "doc_id": f"d_{number}", "split": "train"}
    features = {
        "pair_id": pair["pair_id"],
        "query_terms": said["terms"],
        "missing_terms": said["missing"],
        "query_attributes": [],
        "doc_attributes": [],
        "matched_fields": [],
        "conflicting_fields": ["colour"],
        "n_number_conflicts": 1,
        **dict.fromkeys(_COUNTS, 1),
        **dict.fromkeys(_SHARES, 0.5),
        "is_cjk_query": False,
        "has_negation": False,
    }
    candidate_id = f"c_{number}"
    return {
            "queries": [
                {"query_id": pair["query_id"], "text": said["query"], "root_query_id": pair["query_id"],
                 "split": "train", "source": "shop", **stamp}
            ],
            "docs": [
                {"doc_id": pair["doc_id"], "title": said["title"], "body": said["body"],
                 "fields": json.dumps(said["fields"], ensure_ascii=False), "source": "shop", **stamp}
            ],
            "pairs": [{**pair, "origin": "import", "source": "shop", **stamp}],
            "pair_features": [{**features, **stamp}],
            "rule_votes": [
                {"rule_vote_id": f"v_{number}", "rule_id": "r_00000000000000aa", "pair_id": pair["pair_id"],
                 "grade": 1, **stamp}
            ],
            "candidates": [
                {"candidate_id": candidate_id, "pair_id": pair["pair_id"], "grade": 1,
                 "steps": json.dumps(said["steps"], ensure_ascii=False), "rule_ids": ["r_00000000000000aa"],
                 "confidence": said["confidence"], "proposer": "lexical", **stamp}
            ],
            "screenings": [
                {"screening_id": f"s_{number}", "candidate_id": candidate_id, "screen": "all", "is_passed": True,
                 "reason": "no screen objects", **stamp}
            ],
        }  # fmt: skip


_COUNTS = (
    "n_query_terms",
    "n_doc_terms",
    "n_title_characters",
    "n_title_parts",
    "n_negated_present",
    "n_query_numbers",
    "n_number_matches",
    "n_attribute_matches",
    "n_attribute_conflicts",
)
_SHARES = (
    "term_overlap",
    "title_overlap",
    "body_overlap",
    "phrase_overlap",
    "gram_overlap",
    "longest_match_rate",
    "length_ratio",
)


def _stamp() -> dict[str, Any]:
    from storage.clock import now

    return {**STAMP, "created_at": now()}


def log_in(browser: Browser, shop: Shop, account: str, *, path: str = "/review", **options: Any) -> Page:
    """Return a page of a browser of its own, logged in and at a path."""
    context: BrowserContext = browser.new_context(viewport={"width": 1366, "height": 800}, **options)
    context.set_default_timeout(SLOW)
    page = context.new_page()
    enter(page, shop, account, path=path)
    return page


def enter(page: Page, shop: Shop, account: str, *, path: str = "/review") -> None:
    """Log in on a page and open a path."""
    page.goto(f"{shop.url}{path}")
    page.locator('input[autocomplete="username"]').fill(account)
    page.locator('input[type="password"]').fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    if not page.url.endswith(path):
        page.goto(f"{shop.url}{path}")

"""Reviewers without a browser: each logs in, holds as many cards as the page would, and sends an answer a second.

They speak what the card speaks: the login form, the session's cookie and csrf token, one act per POST to /api/acts,
and, when `Hand` says so, a POST to /api/claim that names what is held and asks for a gulp of what is missing. All are
threads of one process of their own, which sleep nearly always, over `http.client`, so that they leave the cores to
what is measured. Times run from the sending. Somebody who is held up for longer than their pace answers less and does
not catch up, as people do: that shows in how many responses there were, not in the times.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import random
import re
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from typing import Any
from urllib.parse import urlencode

from benchmarks.review.hand import Hand
from review_app.server.logins import csrf_of

TIMEOUT_SECONDS = 10.0  # the card's own
RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
JITTER = 0.25  # of a person's interval: nobody answers to the beat
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Client:
    """One person's connection, kept open; a broken one is opened again by the next request."""

    def __init__(self, port: int, account: str) -> None:
        self._port = port
        self.account = account
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        self._cookies: dict[str, str] = {}
        self._csrf = ""
        self.n_retries = 0

    def log_in(self, password: str) -> None:
        """Log in through the form."""
        _, page = self._request("GET", "/login")
        mark = re.search(r'name="mark" value="([^"]+)"', page.decode())
        assert mark is not None, "the login page has no form"
        fields = {"mark": mark[1], "account": self.account, "password": password, "next": "review"}
        status, _ = self._request("POST", "/login", urlencode(fields).encode(), FORM)
        token = self._cookies.get(f"afrel_login_{self._port}")
        if status != 303 or token is None:
            raise RuntimeError(f"{self.account} was not let in: {status}")
        self._csrf = csrf_of(token)

    def get(self, path: str) -> None:
        """Ask for a path; RuntimeError when it is refused."""
        status, answer = self._request("GET", path)
        if status != 200:
            raise RuntimeError(f"GET {path}: {status} {answer[:200]!r}")

    def insist(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send JSON until it is answered, as the card does; RuntimeError when it is refused or a minute is over."""
        sent, give_up_at = json.dumps(body).encode(), time.monotonic() + PATIENCE_SECONDS
        headers = {"content-type": "application/json", "x-afrel-csrf": self._csrf}
        while True:
            try:
                status, answer = self._request("POST", path, sent, headers)
                if status == 200:
                    return dict(json.loads(answer))
                trouble = f"{status} {answer[:200]!r}"
                is_final = status < 500 and status != 429
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                trouble, is_final = repr(error), False
            if is_final or time.monotonic() > give_up_at:
                raise RuntimeError(f"POST {path} by {self.account}: {trouble}")
            self.n_retries += 1
            time.sleep(RETRY_SECONDS)

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        whole = {**(headers or {}), "origin": f"http://127.0.0.1:{self._port}", "cookie": cookie}
        self._connection.request(method, path, body, whole)
        answer = self._connection.getresponse()
        for one in answer.headers.get_all("set-cookie") or []:
            name, _, value = one.split(";", 1)[0].partition("=")
            self._cookies[name] = value
        return answer.status, answer.read()

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Sent:
    """An act that was acknowledged, as its sender knows it."""

    account: str
    session: str
    sequence: int
    candidate_id: str
    grade: int


@dataclass(slots=True)
class Worked:
    """What one client did. `n_given_again`: cards it was given although it held or had answered their pair."""

    account: str
    session: str
    sent: list[Sent] = field(default_factory=list)
    acts: list[float] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)
    n_idle: int = 0
    n_given_again: int = 0
    n_retries: int = 0
    refused: list[str] = field(default_factory=list)
    trouble: str | None = None  # why it stopped before the end


@dataclass(frozen=True, slots=True)
class Shift:
    """Who works how long at which pace. `seed` draws grades and moments."""

    port: int
    accounts: tuple[str, ...]
    password: str
    seconds: float
    per_second: float
    seed: int


@dataclass(slots=True)
class Crew:
    """All clients of a shift when it is over, with the CPU seconds of their process."""

    worked: list[Worked]
    cpu_seconds: float


class Working:
    """A shift in a process of its own: everybody logs in and takes a hand of cards, then waits for `begin`."""

    def __init__(self, shift: Shift) -> None:
        context = multiprocessing.get_context("spawn")
        self._shift = shift
        self._results: Queue[Crew | str] = context.Queue()
        self._barrier: Barrier = context.Barrier(2)
        self._process = context.Process(target=_work_shift, args=(shift, self._barrier, self._results), daemon=True)
        self._process.start()

    def begin(self) -> None:
        """Let the shift begin; it has logged in by then."""
        self._barrier.wait(timeout=120)

    def end(self) -> Crew:
        """Wait for the shift's end; RuntimeError when it could not begin."""
        found = self._results.get(timeout=self._shift.seconds + 2 * PATIENCE_SECONDS)
        self._process.join()
        if isinstance(found, str):
            raise RuntimeError(f"the clients stopped: {found}")
        return found


def _work_shift(shift: Shift, barrier: Barrier, results: Queue[Crew | str]) -> None:
    try:
        clients = [Client(shift.port, account) for account in shift.accounts]
        hands = [Hand(random.Random(f"{shift.seed}:{client.account}")) for client in clients]
        for client, hand in zip(clients, hands, strict=True):
            client.log_in(shift.password)
            _claim(client, hand)
        barrier.wait(timeout=120)
        results.put(_work_together(shift, clients, hands))
    except BaseException as error:
        barrier.abort()
        results.put(f"{type(error).__name__}: {error}")
        raise


def _work_together(shift: Shift, clients: Sequence[Client], hands: Sequence[Hand]) -> Crew:
    worked = [Worked(client.account, secrets.token_hex(8)) for client in clients]
    began = time.monotonic()

    def run(client: Client, hand: Hand, own: Worked) -> None:
        try:
            _work(client, hand, own, shift, began)
        except Exception as error:  # the others work on, and what they saw counts
            own.trouble = f"{type(error).__name__}: {error}"
        finally:
            own.n_retries = client.n_retries
            client.close()

    before = time.process_time()
    threads = [threading.Thread(target=run, args=pair) for pair in zip(clients, hands, worked, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Crew(worked, time.process_time() - before)


def _work(client: Client, hand: Hand, own: Worked, shift: Shift, began: float) -> None:
    """Answer and claim at the pace until the time is over."""
    rng = random.Random(f"{shift.seed}:{client.account}")
    due = began + rng.random() / shift.per_second
    hand.begin()
    while due < began + shift.seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        if (card := hand.take(1 / shift.per_second)) is not None:
            own.acts.append(_answer(client, own, card, rng))
        else:
            own.n_idle += 1
        if hand.n_due:
            asked = time.monotonic()
            _claim(client, hand)
            own.claims.append(time.monotonic() - asked)
        due = max(due + (1 + rng.uniform(-JITTER, JITTER)) / shift.per_second, time.monotonic())
    own.n_given_again = hand.n_given_again


def _claim(client: Client, hand: Hand) -> None:
    """Ask for the next gulp of cards."""
    held = [card["candidate_id"] for card in hand.cards]
    told = client.insist("/api/claim", {"n": hand.n_due, "held": held, "is_blind": False})
    hand.fill(told["cards"], told["n_waiting"])


def _answer(client: Client, own: Worked, card: dict[str, Any], rng: random.Random) -> float:
    """Send one answer, mostly the suggestion's; return the seconds until its receipt."""
    suggestion = card["suggestion"]
    is_accepted = suggestion is not None and rng.random() < 0.8
    grade = suggestion["grade"] if is_accepted else rng.randrange(4)
    sequence = len(own.sent) + len(own.refused) + 1
    act = {
        "session": own.session,
        "sequence": sequence,
        "candidate_id": card["candidate_id"],
        "act": "submitted",
        "at": time.time() * 1000,
        "grade": grade,
        "seconds": 1.0,
    }
    if is_accepted:
        act["steps"] = suggestion["steps"]
    asked = time.monotonic()
    told = client.insist("/api/acts", {"acts": [act]})
    taken = time.monotonic() - asked
    (receipt,) = told["receipts"]
    if receipt["refused"] is not None:
        own.refused.append(receipt["refused"])
    else:
        own.sent.append(Sent(own.account, own.session, sequence, card["candidate_id"], grade))
    return taken

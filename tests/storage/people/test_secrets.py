"""Passwords and keys are said, logged and kept nowhere: do what could betray them, then look everywhere."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import ROOT, stop_store_process
from tests.storage.process.running_store import wait_until

pytestmark = pytest.mark.slow  # each runs a dozen commands, and each of those opens a key by argon2id

PASSWORD = "correct-horse-canary-7f3a"
WRONG = "wrong-guess-canary-3e8d"
KEYS = {"OPENAI_API_KEY": "sk-canary-openai-9b1c", "SHOP_LLM_KEY": "canary-shop-llm-5d2e"}
SECRETS = (PASSWORD, WRONG, *KEYS.values())


class Shop:
    """A workspace with the admin `root`, whose every output is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "w"
        self.said: list[str] = []
        self.env = {
            **os.environ,
            **KEYS,
            "AFREL_HOME": str(folder / "home"),
            "AFREL_WORKSPACE": str(self.workspace),
            "AFREL_PASSWORD_FILE": str(folder / "password"),
            "PYTHONPATH": str(ROOT),
        }
        self.set_password(PASSWORD)
        self.run("init", str(self.workspace))
        self.run("account", "add", "root", "--role", "admin")

    def set_password(self, password: str | bytes) -> None:
        path = self.folder / "password"
        path.write_bytes(password if isinstance(password, bytes) else password.encode())
        path.chmod(0o600)

    def run(self, *words: str, status: int = 0, **env: str) -> str:
        """Run `afrel …`, hold its exit status, and return all it said."""
        done = subprocess.run(
            [sys.executable, "-m", "afrel", *words],
            capture_output=True,
            text=True,
            env={**self.env, **env},
            cwd=self.folder,
            timeout=120,
        )
        self.said.append(done.stdout + done.stderr)
        assert done.returncode == status, self.said[-1]
        return self.said[-1]

    def store_pid(self) -> int:
        found = subprocess.run(
            ["pgrep", "-f", f"storage.process.server {self.workspace}"], capture_output=True, text=True
        )
        (pid,) = found.stdout.split()
        return int(pid)

    def betrayed(self) -> list[str]:
        """Return where a secret stands: in what was said, and in any file but the one that holds the password."""
        places = [f"said {number}" for number, text in enumerate(self.said) if any(s in text for s in SECRETS)]
        for path in self.folder.rglob("*"):
            if path.is_file() and path != self.folder / "password":
                content = path.read_bytes()
                places += [str(path) for secret in SECRETS if secret.encode() in content]
        return places


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    stop_store_process(shop.workspace)


def test_the_search_itself_finds_a_secret(shop: Shop) -> None:
    (shop.workspace / "store.log").open("a").write(KEYS["OPENAI_API_KEY"])
    shop.said.append(f"your password {WRONG}")
    assert shop.betrayed() == ["said 2", str(shop.workspace / "store.log")]


def test_everyday_commands_help_and_json_betray_nothing(shop: Shop) -> None:
    shop.run("--as", "root", "account", "add", "ana", "--role", "reviewer")
    for words in (
        ("--help",),
        ("account", "--help"),
        ("account", "add", "--help"),
        ("label", "--help"),
        ("account", "list", "--json"),
        ("account", "list"),
        ("account", "pins"),
        ("status", "--json"),
        ("sql", "select * from people", "--json"),
        ("--as", "root", "account", "retire", "ana"),
    ):
        shop.run(*words)
    assert shop.betrayed() == []


def test_wrong_passwords_and_unreadable_ones_betray_nothing(shop: Shop) -> None:
    retire = ("--as", "root", "account", "retire", "root")
    for password, said in ((WRONG, "opens with this password"), (WRONG.encode() + b"\xff", "cannot be read")):
        shop.set_password(password)
        assert said in shop.run(*retire, status=2)
    for _ in range(8):  # the wait doubles: on a slow machine the first ones are over before the next guess
        shop.set_password(WRONG)
        last = shop.run(*retire, status=2)
        if "Try again in" in last:
            break
    assert "Try again in" in last
    assert f"there is no account '{WRONG}'" not in shop.run("--as", "nobody", "account", "retire", "root", status=2)
    assert shop.betrayed() == []


def test_a_damaged_key_file_betrays_nothing_not_even_what_is_sealed(shop: Shop) -> None:
    key = shop.folder / "home" / "keys" / "root.json"
    sound = key.read_text()
    sealed = sound.split('"sealed": "')[1][:96]
    for damaged in (sound[:-40], sound.replace("argon2id", "argon2id\\"), "", sound.replace(sealed, sealed[:-2])):
        key.write_text(damaged)
        said = shop.run("--as", "root", "account", "retire", "root", status=2)
        assert "is damaged" in said and sealed[:20] not in said
    key.write_text(sound)
    assert shop.betrayed() == []


# Put before everything on the import path, it makes the next fsync of the process fail as nobody expects.
FAULT = """
import os
def fsync(descriptor):
    raise RuntimeError("the disk caught fire")
os.fsync = fsync
"""


def test_a_crash_while_the_password_is_in_hand_shows_a_traceback_without_it(shop: Shop) -> None:
    (shop.folder / "fault").mkdir()
    (shop.folder / "fault" / "sitecustomize.py").write_text(FAULT)
    shop.run("status")  # the store process is up already and does not catch it
    said = shop.run("--as", "root", "account", "retire", "root", status=1, PYTHONPATH=f"{shop.folder / 'fault'}:{ROOT}")
    assert "Traceback" in said and "the disk caught fire" in said and "unlock" in said
    assert shop.betrayed() == []


class RepeatsWhatItWasSent(BaseHTTPRequestHandler):
    """A model server that refuses, and tells why with the key it was given."""

    def do_POST(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.end_headers()
        refusal = {"error": {"message": f"wrong key: {self.headers['Authorization']}", "type": "auth"}}
        self.wfile.write(json.dumps(refusal).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def repeating_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), RepeatsWhatItWasSent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("refusal", "status"), [(None, 1), (400, 1), (401, 2)])
def test_a_model_server_that_repeats_the_key_or_is_not_there_betrays_none(
    shop: Shop, repeating_server: int, refusal: int | None, status: int
) -> None:
    host = f"127.0.0.1:{repeating_server}/{refusal}" if refusal else "127.0.0.1:9"
    (shop.workspace / "afrel.toml").write_text(
        f'[llm]\nmodel = "m"\nbase_url = "http://{host}/v1"\nkey_variable = "SHOP_LLM_KEY"\nmax_retries = 0\n'
    )
    (shop.folder / "pairs.csv").write_text("query,title\nred sofa,Sofa\n")
    shop.run("ingest", "pairs.csv", "--map", "query=query,title=title")
    shop.run("label", "--provider", "openai", status=status)
    shop.run("sql", "select * from llm_calls", "--json")
    assert shop.betrayed() == []


def environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(pair.decode().split("=", 1) for pair in pairs if pair)


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_no_secret_stands_in_the_title_of_a_process(shop: Shop) -> None:
    shop.run("--as", "root", "account", "add", "ana", "--role", "reviewer")
    title = command(shop.store_pid())
    assert str(shop.workspace) in title
    assert not [secret for secret in SECRETS if secret in title]


def test_the_store_process_has_no_secret_of_whoever_started_it_in_its_environment(shop: Shop) -> None:
    shop.run("status")
    given = environment(shop.store_pid())
    assert not set(KEYS) & set(given)
    assert not {name for name in given if name.startswith("AFREL_")}


def test_the_console_has_no_environment_and_no_sql_in_its_title(shop: Shop) -> None:
    shop.run("status")
    statement = f"select '{WRONG}', count(*) from range(1000000000000) r(i) where hash(i) = 1"
    asking = subprocess.Popen(
        [sys.executable, "-m", "afrel", "sql", statement, "--seconds", "20"],
        env=shop.env,
        cwd=shop.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        child = _child_of(asking.pid, "storage.sql.console_child")
        assert wait_until(lambda: _seconds_of_work(child) > 0.3)
        title, given = command(child), environment(child)
    finally:
        asking.send_signal(signal.SIGINT)
        asking.communicate(timeout=30)
    assert "storage.sql.console_child" in title and WRONG not in title
    assert set(given) <= {"MALLOC_ARENA_MAX", "ARROW_DEFAULT_MEMORY_POOL", "LC_CTYPE"}


def _child_of(pid: int, title: str) -> int:
    found: list[int] = []

    def is_there() -> bool:
        children = subprocess.run(["pgrep", "-P", str(pid), "-f", title], capture_output=True, text=True)
        found[:] = map(int, children.stdout.split())
        return bool(found)

    assert wait_until(is_there, seconds=30)
    return found[0]


def _seconds_of_work(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_password_that_is_typed_is_not_shown(shop: Shop) -> None:
    env = {name: value for name, value in shop.env.items() if name != "AFREL_PASSWORD_FILE"}
    words = [sys.executable, "-m", "afrel", "--as", "root", "account", "add", "ana", "--role", "reviewer"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, words, env)
    shown = ""
    for prompt in ("Password of root: ", "New password of ana: ", "Again: "):
        shown += _read_until(terminal, prompt)
        os.write(terminal, f"{PASSWORD}\n".encode())
    shown += _read_until(terminal, "known to others as")
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] in (0, signal.SIGHUP)
    shop.said.append(shown)
    assert shop.betrayed() == []


def _read_until(terminal: int, wanted: str) -> str:
    shown = ""
    until = time.monotonic() + 60
    while wanted not in shown:
        assert time.monotonic() < until, shown
        shown += os.read(terminal, 4096).decode()
    return shown

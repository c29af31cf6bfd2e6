"""`afrel serve`: what it says, what it refuses, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from afrel import app
from curation.init_commands import init
from storage.errors import UserError
from tests.conftest import ROOT, stop_store_process
from tests.review_app.server.served_app import Shop, free_port


def refused(shop: Shop, *words: str, root: Path | None = None) -> str:
    """Return the words a command line is refused with."""
    with pytest.raises(UserError) as error:
        CliRunner().invoke(app, ["-w", str(root or shop.root), "serve", *words], catch_exceptions=False)
    return str(error.value)


def test_a_taken_port_is_told_with_the_next_command(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refused(shop, "--port", str(port))
    assert told == f"port {port} of 127.0.0.1 is in use. Take another: afrel serve --port {port + 1}"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--address", "0.0.0.0"], "lets the network in, and passwords would travel in the clear"),
        (["--address", "::", "--url", "http://shop.example"], "passwords would travel in the clear"),
        (["--url", "http://shop.example/afrel"], "give that address: --url https://shop.example/afrel"),
        (["--url", "shop.example"], "is not an address of the app"),
        (["--address", "203.0.113.7", "--url", "https://shop.example"], "cannot be served"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_would_not_be_safe_or_cannot_be_is_refused_in_words(shop: Shop, options: list[str], told: str) -> None:
    assert told in refused(shop, "--port", str(free_port()), *options)


def test_a_workspace_without_accounts_is_told_how_to_make_the_first(shop: Shop, tmp_path: Path) -> None:
    init(tmp_path / "empty")
    try:
        told = refused(shop, root=tmp_path / "empty")
    finally:
        stop_store_process(tmp_path / "empty")
    assert f"afrel -w {tmp_path}/empty account add NAME --role admin" in told


def test_a_home_that_cannot_be_written_is_told(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AFREL_HOME", str(tmp_path / "file" / "home"))
    assert "logins cannot be kept in" in refused(shop, "--port", str(free_port()))


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_and_stops_cleanly_when_asked(shop: Shop, signal_number: signal.Signals) -> None:
    port = free_port()
    env = {**os.environ, "AFREL_HOME": str(shop.home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "afrel", "-w", str(shop.root), "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = [process.stderr.readline(), process.stderr.readline()]
    assert said[0] == f"The review app of {shop.root} is open: http://127.0.0.1:{port}/\n"
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            httpx.get(f"http://127.0.0.1:{port}/login")
            break
        except httpx.TransportError:
            time.sleep(0.05)
    process.send_signal(signal_number)
    rest = process.stderr.read()
    assert process.wait(timeout=60) == 0
    assert "The review app has stopped." in rest and "Traceback" not in rest


def test_what_lies_in_streamlits_own_files_and_variables_does_not_count(tmp_path: Path) -> None:
    """A stray setting must not open uploads, other origins or the network."""
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text(
        "[server]\nenableCORS = false\nenableXsrfProtection = false\nenableStaticServing = true\n"
        "[browser]\ngatherUsageStats = true\n[client]\nshowErrorDetails = 'full'\n"
    )
    code = (
        "from streamlit import config\nfrom review_app.server.app import configure\n"
        "from review_app.server.site import Site\nconfigure(Site('http://127.0.0.1:8500', 8500))\n"
        "print([config.get_option(key) for key in ('server.enableCORS', 'server.enableXsrfProtection', 'server."
        "enableStaticServing', 'browser.gatherUsageStats', 'client.showErrorDetails', 'server.enableAgentApi')])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "STREAMLIT_SERVER_ENABLE_AGENT_API": "true", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "[True, True, False, False, 'none', False]", done.stderr

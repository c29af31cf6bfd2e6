"""Fixtures everybody uses: a store in a temporary folder, a workspace with accounts, the command line as a process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.store import Store

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "a password for tests"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store that nothing was put into; copying it takes less than half of making another."""
    folder = tmp_path_factory.mktemp("empty") / "store"
    folder.mkdir()
    Store.embedded(folder).close()
    return folder


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """A store in this process."""
    folder = tmp_path / "store"
    shutil.copytree(empty_store, folder)
    with Store.embedded(folder, sees_test=True) as opened:
        yield opened


Afrel = Callable[..., "subprocess.CompletedProcess[str]"]


def stop_store_process(folder: Path) -> None:
    """End the store process of a workspace, so that no test leaves one behind."""
    found = subprocess.run(["pgrep", "-f", f"storage.process.server {folder}"], capture_output=True, text=True)
    for pid in found.stdout.split():
        os.kill(int(pid), signal.SIGTERM)


@pytest.fixture
def afrel(tmp_path: Path) -> Iterator[Afrel]:
    """Run `afrel …` as a user would: a process of its own, keys in a home of its own.

    `afrel("status", workspace=w, account="ana")`; `ok=False` lets it fail.
    """
    password_file = tmp_path / "password"
    password_file.write_text(PASSWORD)
    password_file.chmod(0o600)
    env = {
        **os.environ,
        "AFREL_HOME": str(tmp_path / "home"),
        "AFREL_PASSWORD_FILE": str(password_file),
        "PYTHONPATH": str(ROOT),
    }
    env.pop("AFREL_WORKSPACE", None)
    used: set[Path] = set()

    def run(
        *words: str | Path,
        workspace: Path | None = None,
        account: str | None = None,
        ok: bool = True,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        front = [*(["-w", str(workspace)] if workspace else []), *(["--as", account] if account else [])]
        if workspace is not None:
            used.add(workspace)
        if words and words[0] in ("init", "demo"):
            used.add(Path(words[1]))
        done = subprocess.run(
            [sys.executable, "-m", "afrel", *front, *map(str, words)],
            capture_output=True,
            text=True,
            env=env,
            cwd=tmp_path,
            timeout=timeout,
        )
        if ok:
            assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    yield run
    for folder in used:
        stop_store_process(folder.resolve())

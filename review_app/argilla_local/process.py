"""The Argilla server's process: started in a session of its own, so that it outlives the command; stopped by its lock.

What it says goes to the log. Whether its start went well it says in one line, which is waited for.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from review_app.argilla_local.home import Running, ServerHome
from storage.errors import UserError

BOOT = Path(__file__).parent / "inside" / "boot.py"
SERVING = "review_app.argilla_local.inside.serving"
REINDEXING = "review_app.argilla_search.__main__"
QUEUE = "unix:///proc/self/cwd/queue.sock"
REDIS_VARIABLE = "ARGILLA_REDIS_URL"
DEFAULT_PORT = 6900
STARTING_SECONDS = 180.0  # of which a busy machine needs some; an idle one needs 10
STOPPING_SECONDS = 50.0  # the server waits for jobs, at most 40 s
MOST_LOG_BYTES = 10 << 20


def start(home: ServerHome, python: Path, port: int) -> Running:
    """Start the server and wait until it answers; UserError says why it does not."""
    if home.log.exists() and home.log.stat().st_size > MOST_LOG_BYTES:
        home.log.replace(home.log.with_suffix(".log.1"))
    with home.log.open("ab") as log:
        process = subprocess.Popen(
            [str(python), "-I", str(BOOT), SERVING, str(port)],
            cwd=home.path,
            env=_environment(port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    said = _first_line(process)
    if said is not None and "error" in said:
        process.wait(10)
        raise UserError(str(said["error"]))
    if said is None:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        last = next((line for line in reversed(home.last_lines(50)) if line.strip()), "it said nothing")
        raise UserError(f"Argilla did not start: {last[:300]}. All it said: afrel argilla logs")
    return Running(str(said["url"]), int(str(said["pid"])), str(said["started_at"]))


def stop(home: ServerHome, running: Running) -> bool:
    """Stop the server with its worker; False when it had to be killed."""
    with suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    if wait_until(lambda: not home.is_up(), STOPPING_SECONDS):
        return True
    with suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGKILL)  # its worker ends with it
    if not wait_until(lambda: not home.is_up(), 10.0):
        raise UserError(f"Argilla's process {running.pid} cannot be ended. See what holds it: afrel argilla logs")
    return False


def reindex(home: ServerHome, python: Path) -> None:
    """Build the search index anew from the server's database, whether or not the server runs."""
    done = subprocess.run(
        [str(python), "-I", str(BOOT), REINDEXING],
        cwd=home.path,
        env=_environment(DEFAULT_PORT),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
    )
    if done.returncode:
        raise UserError(
            "the index was not built, for the reason above. Mend it and run it again: afrel argilla reindex"
        )


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so; False when it is not within so many seconds."""
    give_up_at = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.1)
    return True


def _first_line(process: subprocess.Popen[bytes]) -> dict[str, object] | None:
    """Return the one line the server says, None when it ends, or takes too long, without a word."""
    assert process.stdout is not None
    with process.stdout as told:
        if not select.select([told], [], [], STARTING_SECONDS)[0]:
            return None
        line = told.readline()
    return dict(json.loads(line)) if line else None


def _environment(port: int) -> dict[str, str]:
    """Return the server's environment: this one without what is meant for others, and paths by the working folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARGILLA_", "PYTHON", "AFREL_"))}
    return {
        **kept,
        "ARGILLA_HOME_PATH": ".",
        "ARGILLA_DATABASE_URL": "sqlite+aiosqlite:///argilla.db?check_same_thread=False",
        "ARGILLA_DATABASE_SQLITE_TIMEOUT": "30",
        "ARGILLA_SEARCH_ENGINE": "sqlite",
        "ARGILLA_SEARCH_INDEX": "search.sqlite",
        "ARGILLA_CORS_ORIGINS": json.dumps([f"http://127.0.0.1:{port}", f"http://localhost:{port}"]),
        REDIS_VARIABLE: os.environ.get(REDIS_VARIABLE) or QUEUE,
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }

"""The Argilla server's own Python environment, made once for all workspaces of a user, in the user's cache.

Its libraries are older than afrel's, so they cannot live together. It is believed only when the mark that is written
last is there: one that was killed half way is made anew, with what pip has downloaded already. Other pins are another
environment.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from storage.errors import UserError
from storage.progress_bar import Bar

PINS = Path(__file__).with_name("server-environment.txt")
GIVEN = "AFREL_ARGILLA_PYTHON"  # the python of an environment that somebody made already
PYTHONS = ((3, 13), (3, 12), (3, 11))  # for which the pins have wheels
MARK = "afrel-ready"
_NEEDED = ("argilla-server", "fakeredis")
_ASK = "import importlib.metadata as m, sys; print(*(m.version(one) for one in sys.argv[1:]))"


def environment_folder() -> Path:
    """Return where the environment lies or will lie."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "afrel" / f"argilla-{sha256(PINS.read_bytes()).hexdigest()[:12]}"


def find_environment() -> Path | None:
    """Return the environment's python, None when it is not made yet; UserError for a given one that will not do."""
    given = os.environ.get(GIVEN)
    if given:
        return _checked(Path(given))
    folder = environment_folder()
    python = folder / "bin" / "python"
    # a python that was updated away leaves a link to nothing
    return python if (folder / MARK).exists() and python.exists() else None


def make_environment(tell: Bar) -> Path:
    """Make the environment and return its python: minutes, and half a gigabyte. UserError says what pip said."""
    folder = environment_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    tell("waiting for another installation", 0, 0)
    with _held(folder.with_name(f"{folder.name}.lock")) as lock:
        found = find_environment()
        if found is not None:
            return found
        log = folder.with_name(f"{folder.name}.log")
        shutil.rmtree(folder, ignore_errors=True)
        tell("making an environment", 0, 0)
        with log.open("w", encoding="utf-8") as said:
            making = [str(_find_python()), "-I", "-m", "venv", str(folder)]
            done = subprocess.run(making, stdout=said, stderr=subprocess.STDOUT, pass_fds=(lock,))
        if done.returncode:
            raise _refusal(log)
        _install(folder / "bin" / "python", tell, log, lock=lock)
        (folder / MARK).touch()
    return folder / "bin" / "python"


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """Hold a lock file; who inherits it holds it too, so that nobody builds where a killed call's pip builds."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _install(python: Path, tell: Bar, log: Path, *, lock: int) -> None:
    n_packages = sum(not line.startswith("#") for line in PINS.read_text(encoding="ascii").splitlines())
    words = ["install", "--progress-bar", "off", "--no-input", "--retries", "3", "--no-deps", "-r", str(PINS)]
    n_collected = 0
    with (
        log.open("a", encoding="utf-8") as said,
        subprocess.Popen(
            [str(python), "-I", "-m", "pip", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=(lock,),
        ) as pip,
    ):
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                said.write(line)
                said.flush()
                n_collected += line.startswith("Collecting ")
                is_last = line.startswith("Installing collected")
                tell("installing packages" if is_last else "getting packages", n_collected, n_packages)
        except BaseException:
            pip.terminate()
            raise
    if pip.returncode:
        raise _refusal(log)


def _refusal(log: Path) -> UserError:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    errors = [line for line in lines if line.lower().startswith("error")]
    told = (errors or [line for line in lines if line] or ["nothing was said"])[-1][:300]
    return UserError(
        f"the Argilla server's environment could not be installed: {told} (all of it: {log}). It needs the network, or "
        "a package index of yours in PIP_INDEX_URL. Run it again, it goes on from what was downloaded: afrel argilla up"
    )


def _find_python() -> Path:
    if sys.version_info[:2] in PYTHONS:
        return Path(sys.executable)
    for major, minor in PYTHONS:
        found = shutil.which(f"python{major}.{minor}")
        if found:
            return Path(found)
    raise UserError(
        f"Argilla's server needs Python 3.11, 3.12 or 3.13; this is {sys.version_info.major}.{sys.version_info.minor} "
        "and none of them is on the PATH. Install one, then: afrel argilla up"
    )


def _checked(python: Path) -> Path:
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _ASK, *_NEEDED], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        raise UserError(
            f"{GIVEN} names {python}, which has not {' and '.join(_NEEDED)}. Unset it, and an environment is made: "
            "afrel argilla up"
        ) from None
    version = done.stdout.split()[0]
    if not version.startswith("2.8."):
        raise UserError(
            f"{GIVEN} names {python} with argilla-server {version}, and 2.8 is what is started here. Unset it, and an "
            "environment is made: afrel argilla up"
        )
    return python

"""Whether the process that a row names still runs: by host, boot, process id and the moment it started.

A process id alone is given to another process sooner or later, and after a restart of the machine at once; the four
together are given once.
"""

from __future__ import annotations

import fcntl
import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def own_process() -> str:
    """Return the name of this process: host/boot/process id/start, as a row holds it."""
    return f"{platform.node()}/{_boot()}/{os.getpid()}/{_started(os.getpid())}"


def is_alive(process: str) -> bool | None:
    """Say whether a process runs; None when it ran on another host, which cannot be seen from here."""
    try:
        host, boot, number, started = process.rsplit("/", 3)
        process_id = int(number)
    except ValueError:
        return None
    if host != platform.node():
        return None
    return boot == _boot() and _started(process_id) == started


def session_members(leader: str) -> list[int]:
    """Return the living processes of the session that a process leads or led, but not that process itself.

    A session outlives its leader, and as long as it does the leader's number is given to nobody else.
    """
    if is_alive(leader) is None:
        return []
    _, boot, number, started = leader.rsplit("/", 3)
    if boot != _boot() or _started(int(number)) not in ("", started):
        return []
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(path)
        if fields and fields[0] not in ("Z", "X") and fields[3] == number and path.parent.name != number:
            found.append(int(path.parent.name))
    return found


def is_locked(path: Path) -> bool:
    """Say whether a living process holds a file's lock."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def booted_at() -> datetime | None:
    """Return when this machine started, UTC without zone; None where the kernel does not say."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    seconds = next((int(line.split()[1]) for line in lines if line.startswith("btime ")), None)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(process_id: int) -> str:
    """Return the start of a process in ticks since boot; empty when there is none or it is dead and not yet reaped."""
    fields = _stat(Path(f"/proc/{process_id}/stat"))
    return "" if not fields or fields[0] in ("Z", "X") else fields[19]


def _stat(path: Path) -> list[str]:
    """Return the fields of a process behind its name: the state first, then parent, group, session; none when gone."""
    try:
        # the name of the program stands in brackets and may hold blanks
        return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []

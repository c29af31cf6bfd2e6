"""The client's side of the socket: asks, asks again after a break, and starts the store process where there is none."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import UnavailableError, UserError
from storage.process.answer_file import receive_file
from storage.process.socket_path import peer_uid, short_path
from storage.process.wire import WireError, receive, send

START_SECONDS = 120.0  # a start after a crash may have a long journal to put back
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
CANNOT_WRITE = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC}
HANDOVER_BYTES = 16 << 20  # larger tables travel as a Parquet file in the hand-over folder


class SocketTransport:
    """The store process of a workspace, over its Unix socket. Reconnects, and restarts the process, by itself."""

    def __init__(self, root: Path, *, patience: float = START_SECONDS) -> None:
        """Ask the store of a workspace; `patience` is how many seconds a broken connection is tried again."""
        self._root = root
        self._patience = patience
        self._peer: socket.socket | None = None

    def ask(
        self, verb: str, params: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> tuple[Any, dict[str, pa.Table]]:
        files, small = self._hand_over(tables)
        if files:
            params = {**params, "files": files}
        give_up_at = time.monotonic() + self._patience
        try:
            while True:
                try:
                    peer = self._connected(give_up_at)
                    send(peer, {"verb": verb, "params": params}, small)
                    head, rows = receive(peer)
                    if head.get("is_file"):
                        rows = {"rows": receive_file(peer)}
                    break
                except (WireError, OSError) as error:
                    self.close()
                    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
                        raise UnavailableError(
                            f"{self._root} cannot be written: {error.strerror}. Mend that first"
                        ) from error
                    if time.monotonic() > give_up_at:
                        raise UnavailableError(
                            f"the store process of {self._root} does not answer ({error}); its log is "
                            f"{self._root / 'store.log'}"
                        ) from error
        finally:
            for name in files.values():
                (self._root / "handover" / name).unlink(missing_ok=True)
        if "user_error" in head:
            raise (UnavailableError if head.get("is_unavailable") else UserError)(head["user_error"])
        if "error" in head:
            raise RuntimeError(f"store process: {head['error']}")
        return head["ok"], rows

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def _hand_over(self, tables: Mapping[str, pa.Table]) -> tuple[dict[str, str], dict[str, pa.Table]]:
        """Write large tables as Parquet into the hand-over folder; return their file names and the small ones."""
        files, small = {}, {}
        for table, rows in tables.items():
            if rows.nbytes <= HANDOVER_BYTES:
                small[table] = rows
                continue
            files[table] = f"{uuid.uuid4().hex}.parquet"
            (self._root / "handover").mkdir(exist_ok=True)
            pq.write_table(rows, self._root / "handover" / files[table], compression="zstd")
        return files, small

    def _connected(self, give_up_at: float) -> socket.socket:
        if self._peer is not None:
            return self._peer
        started: subprocess.Popen[bytes] | None = None
        while True:
            peer = socket.socket(socket.AF_UNIX)
            try:
                with short_path(self._root) as path:
                    peer.connect(path)
                self._refuse_strangers(peer)
                self._peer = peer
                return peer
            except (FileNotFoundError, ConnectionRefusedError) as error:
                peer.close()
                if time.monotonic() > give_up_at:
                    raise UnavailableError(
                        f"the store process of {self._root} did not come up in {self._patience:.0f} s; "
                        f"its log is {self._root / 'store.log'}"
                    ) from error
                if started is None or started.poll() is not None:
                    self._raise_if_refused(started)
                    started = start_server(self._root)
                time.sleep(0.02)

    def _refuse_strangers(self, peer: socket.socket) -> None:
        """Say nothing to a process of another user: who may write to the folder could have put a socket there."""
        if (uid := peer_uid(peer)) != os.getuid():
            peer.close()
            raise UnavailableError(
                f"the socket in {self._root} belongs to user {uid}, you are {os.getuid()}. Only one user of the "
                "machine works in a workspace: become that user, or keep others out of the folder (chmod 700)"
            )

    def _raise_if_refused(self, started: subprocess.Popen[bytes] | None) -> None:
        if started is not None and started.returncode == 2:
            raise UnavailableError((self._root / "store.error").read_text(encoding="utf-8"))


def start_server(root: Path) -> subprocess.Popen[bytes]:
    """Start the store process of a workspace, detached from this one."""
    with open(root / "store.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "storage.process.server", str(root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_environment(),
        )


def path_with_code() -> str:
    """Return a PYTHONPATH on which a process finds this very code first, wherever it starts."""
    here = str(Path(__file__).resolve().parent.parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    return f"{here}{os.pathsep}{inherited}" if inherited else here


def _environment() -> dict[str, str]:
    """Return what the store process needs of this environment, and none of the keys and passwords in it."""
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "PYTHONPATH": path_with_code(),
        "OMP_NUM_THREADS": "1",
    }

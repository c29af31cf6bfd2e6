"""The store process: owns the database of one workspace, serves it on a Unix socket, leaves when idle.

    python -m storage.server WORKSPACE [--idle SECONDS]

Started on demand by the first client. An exclusive lock on `store.lock` makes it the only one; a second start sees
the lock and leaves. One thread per connection; appends meet in a queue and one writer commits them in groups.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import queue
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from storage.errors import UserError
from storage.owner import Owner, Tables
from storage.socket_path import SOCKET_NAME, short_path
from storage.wire import WireError, receive, send

IDLE_SECONDS = 60.0
MAX_GROUP = 64


class StoreServer:
    """Serves one owner. `run` returns when nobody has been connected for `idle_seconds`."""

    def __init__(self, owner: Owner, listener: socket.socket, *, idle_seconds: float) -> None:
        self._owner = owner
        self._listener = listener
        self._idle_seconds = idle_seconds
        self._appends: queue.SimpleQueue[tuple[Tables, Future[dict[str, int]]]] = queue.SimpleQueue()
        self._n_connected = 0
        self._last_seen = time.monotonic()
        self._counting = threading.Lock()

    def run(self) -> None:
        """Accept connections until idle."""
        threading.Thread(target=self._commit_in_groups, daemon=True).start()
        self._listener.settimeout(min(0.5, self._idle_seconds))
        while True:
            try:
                peer, _ = self._listener.accept()
            except TimeoutError:
                with self._counting:
                    if self._n_connected == 0 and time.monotonic() - self._last_seen > self._idle_seconds:
                        return
                continue
            with self._counting:
                self._n_connected += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer:
                if _peer_uid(peer) != os.getuid():
                    return
                while True:
                    head, tables = receive(peer)
                    self._answer(peer, head, tables)
        except WireError:
            pass  # the peer is gone or talks another language: it is cut off, nobody else notices
        except OSError:
            pass  # it left while being answered; what it appended is committed and its retry will be dropped
        finally:
            with self._counting:
                self._n_connected -= 1
                self._last_seen = time.monotonic()

    def _answer(self, peer: socket.socket, head: Mapping[str, Any], tables: dict[str, pa.Table]) -> None:
        try:
            result, rows = self._do(head, tables)
        except UserError as error:
            send(peer, {"user_error": str(error)})
        except duckdb.FatalException as error:
            # the database in this process is lost (a full disk); the file is not: the next client starts anew
            traceback.print_exc()
            reason = str(error).splitlines()[0]
            send(peer, {"user_error": f"the store stopped: {reason}. Free the disk, then run the command again"})
            os._exit(3)
        except Exception as error:
            traceback.print_exc()
            send(peer, {"error": f"{type(error).__name__}: {error}"})
        else:
            send(peer, {"ok": result}, rows)

    def _do(self, head: Mapping[str, Any], tables: dict[str, pa.Table]) -> tuple[Any, dict[str, pa.Table]]:
        """Do what a frame asks; return the JSON answer and the rows."""
        verb, params = head.get("verb"), head.get("params", {})
        if verb == "append":
            done: Future[dict[str, int]] = Future()
            self._appends.put(({**tables, **params.get("files", {})}, done))
            return done.result(), {}
        if verb == "read":
            rows = self._owner.read(params["name"], params["params"], sees_test=bool(params["sees_test"]))
            return None, {"rows": rows}
        if verb == "claim":
            rows = self._owner.claim(params["account"], params["n"], params["session"], params["sequence"])
            return None, {"rows": rows}
        if verb == "update_run":
            self._owner.update_run(params["run_id"], params["values"])
            return None, {}
        if verb == "publish":
            return str(self._owner.publish()), {}
        if verb == "rebuild":
            return self._owner.rebuild(), {}
        raise UserError(f"the store has no verb {verb!r}")

    def _commit_in_groups(self) -> None:
        while True:
            group = [self._appends.get()]
            while len(group) < MAX_GROUP and not self._appends.empty():
                group.append(self._appends.get())
            outcomes = self._owner.append([tables for tables, _ in group])
            for (_, done), outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    done.set_exception(outcome)
                else:
                    done.set_result(outcome)


def _peer_uid(peer: socket.socket) -> int:
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _listen(root: Path) -> socket.socket:
    """Bind the socket, readable by its owner only. The lock is held, so an old socket file is nobody's."""
    (root / SOCKET_NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        with short_path(root) as path:
            listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


def main() -> int:
    """Own one workspace until idle; 0 also when another process owns it already."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS)
    given = parser.parse_args()
    lock = os.open(given.root / "store.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    try:
        owner = Owner(given.root)
    except UserError as error:
        (given.root / "store.error").write_text(str(error), encoding="utf-8")
        return 2
    (given.root / "store.error").unlink(missing_ok=True)
    StoreServer(owner, _listen(given.root), idle_seconds=given.idle).run()
    (given.root / SOCKET_NAME).unlink(missing_ok=True)
    owner.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The store process: owns the database of one workspace, serves it on a Unix socket, leaves when idle.

    python -m storage.process.server WORKSPACE [--idle SECONDS]

Started on demand by the first client; a second start sees that the workspace is owned and leaves. One thread a
connection; writes go through the intake.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa

from storage.errors import UnavailableError, UserError
from storage.process.answer_file import gather, send_file
from storage.process.intake import Intake
from storage.process.owner import Owner
from storage.process.ownership import Ownership, TakenError
from storage.process.requests import Asked
from storage.process.socket_path import SOCKET_NAME, peer_uid, short_path
from storage.process.wire import WireError, receive, send
from storage.reads import READS
from storage.safekeeping.erasure import KINDS

IDLE_SECONDS = 60.0
SWITCH_SECONDS = 0.001  # a thread that only has to acknowledge gets its turn soon, whatever others compute


class StoreServer:
    """Serves one owner. `run` returns when nobody has been connected for `idle_seconds`."""

    def __init__(self, owner: Owner, ownership: Ownership, listener: socket.socket, *, idle_seconds: float) -> None:
        self._owner = owner
        self._ownership = ownership
        self._intake = Intake(owner)
        self._listener = listener
        self._idle_seconds = idle_seconds
        self._n_connected = 0
        self._last_seen = time.monotonic()
        self._counting = threading.Lock()
        self._acts: Mapping[str, Callable[[Asked], Any]] = {
            "update_run": self._update_run,
            "update_job": self._update_job,
            "publish": self._publish,
            "rebuild": self._rebuild,
            "examine": self._examine,
            "backup": self._back_up,
        }

    def run(self) -> None:
        """Accept connections until idle; then fold what is left."""
        self._listener.settimeout(min(0.5, self._idle_seconds))
        while True:
            if not self._ownership.beat():
                print("another host has taken the workspace: this process leaves it alone", file=sys.stderr)
                os._exit(5)
            try:
                peer, _ = self._listener.accept()
            except TimeoutError:
                with self._counting:
                    if self._n_connected == 0 and time.monotonic() - self._last_seen > self._idle_seconds:
                        break
                continue
            except OSError:  # no descriptor is free: those who are connected go on, and one will leave
                time.sleep(0.05)
                continue
            with self._counting:
                self._n_connected += 1
            try:
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()
            except RuntimeError:  # no thread is to be had: this peer tries again
                self._left(peer)
        self._listener.close()
        self._intake.stop()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer:
                if peer_uid(peer) != os.getuid():
                    return
                while True:
                    head, tables = receive(peer)
                    self._answer(peer, head, tables)
        except WireError:
            pass  # the peer is gone or talks another language: it is cut off, nobody else notices
        except OSError:
            pass  # it left while being answered; what it appended is committed and its retry will be dropped
        finally:
            self._left(peer)

    def _left(self, peer: socket.socket) -> None:
        peer.close()
        with self._counting:
            self._n_connected -= 1
            self._last_seen = time.monotonic()

    def _answer(self, peer: socket.socket, head: Mapping[str, Any], tables: dict[str, pa.Table]) -> None:
        try:
            if head.get("verb") == "erase":
                self._erase(peer, Asked.of(head))
                return
            result, rows = self._do(head, tables)
        except UserError as error:
            is_unavailable = {"is_unavailable": True} if isinstance(error, UnavailableError) else {}
            send(peer, {"user_error": str(error), **is_unavailable})
        except duckdb.FatalException as error:
            # the database in this process is lost (a full disk); the file is not: the next client starts anew
            traceback.print_exc()
            reason = str(error).splitlines()[0]
            told = f"the store stopped: {reason}. Free the disk, then run the command again"
            send(peer, {"user_error": told, "is_unavailable": True})
            os._exit(3)
        except Exception as error:
            traceback.print_exc()
            send(peer, {"error": f"{type(error).__name__}: {error}"})
        else:
            if rows is None or isinstance(rows, pa.Table):
                send(peer, {"ok": result}, {} if rows is None else {"rows": rows})
            else:
                send(peer, {"ok": result, "is_file": True})
                send_file(peer, rows)

    def _erase(self, peer: socket.socket, asked: Asked) -> None:
        """Erase and answer; the file is a new one then, so this process ends and the next client starts another."""
        self._intake.wait_until_folded()
        with self._owner.paused():
            erased = self._owner.erase(
                kind=asked.choice("kind", KINDS),
                value=asked.text("value"),
                account=asked.text("account"),
                reason=asked.text("reason") if asked.params.get("reason") is not None else None,
                run_id=asked.text("run_id"),
                is_dry=asked.flag("is_dry"),
            )
            if erased.rewritten is None:
                send(peer, {"ok": erased.to_mapping()})
                return
            with suppress(OSError):
                send(peer, {"ok": erased.to_mapping()})
            os._exit(0)

    def _do(self, head: Mapping[str, Any], tables: dict[str, pa.Table]) -> tuple[Any, pa.Table | BinaryIO | None]:
        """Do what a frame asks; return the JSON answer and the rows, if it has any."""
        asked = Asked.of(head)
        if asked.verb == "append":
            return self._intake.append(tables, asked.texts("files")), None
        if asked.verb == "read":
            return None, self._read(asked)
        if asked.verb == "claim":
            account, session, among = asked.text("account"), asked.text("session"), asked.list_of_texts("among")
            return None, self._intake.claim(account, asked.count("n"), session, asked.count("sequence"), among)
        if asked.verb in self._acts:
            return self._acts[asked.verb](asked), None
        raise UserError(f"the store has no verb {asked.verb!r}")

    def _read(self, asked: Asked) -> pa.Table | BinaryIO:
        name, params, sees_test = asked.text("name"), asked.mapping("params"), asked.flag("sees_test")
        if not (name in READS and READS[name].is_steady):
            self._intake.wait_until_folded()
        with self._owner.answering(name, params, sees_test=sees_test) as reader:
            return gather(reader, self._owner.handover_dir)

    def _update_run(self, asked: Asked) -> None:
        values = asked.mapping("values")
        if not values.keys().isdisjoint({"run_id", "job_id"}):
            raise UserError("a run's run_id cannot be set")
        self._intake.update_run(asked.text("run_id"), values)

    def _update_job(self, asked: Asked) -> None:
        values = asked.mapping("values")
        if "job_id" in values:
            raise UserError("a job's job_id cannot be set")
        self._intake.update_job(asked.text("job_id"), values)

    def _publish(self, _: Asked) -> str:
        return str(self._intake.publish())

    def _rebuild(self, _: Asked) -> dict[str, int]:
        self._intake.wait_until_folded()
        return self._owner.rebuild()

    def _examine(self, _: Asked) -> list[dict[str, Any]]:
        self._intake.wait_until_folded()
        return [finding.to_mapping() for finding in self._owner.examine()]

    def _back_up(self, asked: Asked) -> dict[str, Any]:
        self._intake.wait_until_folded()
        return self._owner.back_up(Path(asked.text("target"))).to_mapping()


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
    try:
        ownership = Ownership(given.root)
        owner = Owner(given.root)
    except TakenError:
        return 0
    except UserError as error:
        (given.root / "store.error").write_text(str(error), encoding="utf-8")
        return 2
    (given.root / "store.error").unlink(missing_ok=True)
    sys.setswitchinterval(SWITCH_SECONDS)
    StoreServer(owner, ownership, _listen(given.root), idle_seconds=given.idle).run()
    (given.root / SOCKET_NAME).unlink(missing_ok=True)
    owner.checkpoint()
    owner.close()
    ownership.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Frames on the store's socket: a length, a JSON head, then Arrow streams. Nothing else is understood.

Frame: 4 bytes head length, 8 bytes body length (big endian), head (JSON object), body. The head names, for each table
in the body, its length. Lengths are checked before a byte of them is read.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

MAX_HEAD_BYTES = 1 << 20
MAX_BODY_BYTES = 1 << 30
_LENGTHS = struct.Struct(">IQ")


class WireError(Exception):
    """The peer broke off or sent what is no frame."""


def send(peer: socket.socket, head: Mapping[str, Any], tables: Mapping[str, pa.Table] | None = None) -> None:
    """Send one frame."""
    streams = {name: _to_stream(table) for name, table in (tables or {}).items()}
    full = {**head, "tables": [[name, len(stream)] for name, stream in streams.items()]}
    text = json.dumps(full, default=str).encode()
    body = b"".join(streams.values())
    peer.sendall(_LENGTHS.pack(len(text), len(body)) + text + body)


def receive(peer: socket.socket) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """Receive one frame; WireError when the peer is gone or the frame is none."""
    head_length, body_length = _LENGTHS.unpack(_exactly(peer, _LENGTHS.size))
    if head_length > MAX_HEAD_BYTES or body_length > MAX_BODY_BYTES:
        raise WireError(f"frame of {head_length} + {body_length} bytes is larger than allowed")
    try:
        head = json.loads(_exactly(peer, head_length))
        body = memoryview(_exactly(peer, body_length))
        tables, at = {}, 0
        for name, length in head.pop("tables"):
            tables[str(name)] = pa.ipc.open_stream(body[at : at + length]).read_all()
            at += length
    except (ValueError, TypeError, KeyError, AttributeError, pa.ArrowInvalid) as error:
        raise WireError(f"not a frame: {error}") from error
    return head, tables


def _to_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _exactly(peer: socket.socket, n: int) -> bytes:
    parts = bytearray()
    while len(parts) < n:
        try:
            part = peer.recv(min(n - len(parts), 1 << 20))
        except OSError as error:
            raise WireError(f"the connection broke: {error}") from error
        if not part:
            raise WireError("the connection was closed")
        parts += part
    return bytes(parts)

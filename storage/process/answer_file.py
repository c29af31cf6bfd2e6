"""An answer too large for a frame: an Arrow file without a name, whose descriptor goes over the socket.

Neither side holds it in memory: the store writes it as DuckDB tells it, the client maps it. It has no name, so whatever
is killed leaves nothing behind.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from storage.errors import UserError
from storage.process.wire import WireError

FRAME_BYTES = 16 << 20  # of an answer that travels in its frame


def gather(reader: pa.RecordBatchReader, folder: Path) -> pa.Table | BinaryIO:
    """Return an answer as a table, or as an open file made in `folder` when it is larger than a frame should be."""
    batches: list[pa.RecordBatch] = []
    n_bytes = 0
    for batch in reader:
        batches.append(batch)
        n_bytes += batch.nbytes
        if n_bytes > FRAME_BYTES:
            return _write(chain(batches, reader), reader.schema, folder)
    return pa.Table.from_batches(batches, reader.schema)


def _write(batches: Iterator[pa.RecordBatch], schema: pa.Schema, folder: Path) -> BinaryIO:
    with ExitStack() as failing:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - whoever asked closes it
        failing.callback(_close, file)
        try:
            with pa.ipc.new_file(file, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            file.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise UserError(
                f"the disk of {folder} has no room for the answer. Free some, then run the command again"
            ) from error
        failing.pop_all()
    return file


def _close(file: BinaryIO) -> None:
    """Close a file that may hold what its disk has no room for."""
    with suppress(OSError):
        file.close()


def send_file(peer: socket.socket, file: BinaryIO) -> None:
    """Give the peer an open file, after the frame that announces it."""
    with file:
        socket.send_fds(peer, [b"f"], [file.fileno()])


def receive_file(peer: socket.socket) -> pa.Table:
    """Take the file that a frame announced, and return its table, which lies on disk and not in memory."""
    try:
        mark, descriptors, flags, _ = socket.recv_fds(peer, 1, 1)
    except OSError as error:
        raise WireError(f"the connection broke: {error}") from error
    if mark != b"f" or len(descriptors) != 1 or flags & socket.MSG_CTRUNC:
        for descriptor in descriptors:
            os.close(descriptor)
        raise WireError("the file of an answer did not come")
    try:
        mapped = mmap.mmap(descriptors[0], 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptors[0])
    table = pa.ipc.open_file(pa.py_buffer(mapped)).read_all()
    table.validate(full=True)
    return table

"""Write an answer as a Parquet file: whole and on disk under its name, or not at all.

The parent writes, never the process that ran the SQL. Types stay; what Arrow has no type for is text already.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from storage.durable import sync
from storage.errors import UserError
from storage.sql.query_results import QueryResult

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_target(path: Path, *, is_forced: bool) -> None:
    """Raise UserError where `write_parquet` could not write: better before a long query than after it."""
    if path.is_dir():
        raise UserError(f"{path} is a folder. Name a file in it: {path / 'answer.parquet'}")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to write {path.name} in. Make it: mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"the folder {path.parent} cannot be written. Name a file elsewhere")
    if not is_forced and os.path.lexists(path):
        raise _exists(path)


def write_parquet(result: QueryResult, path: Path, *, is_forced: bool) -> None:
    """Write a result whole; UserError when the file is there and not `is_forced`, or rows of the answer are missing."""
    if result.is_truncated:
        raise UserError(
            f"the answer has more than {result.table.num_rows:,} rows, so {path} would lack some; nothing was written. "
            "Allow more: --max-rows N, or take as many on purpose: limit N"
        )
    check_target(path, is_forced=is_forced)
    with _file_errors(path):
        beside = path.with_name(f".afrel-{secrets.token_hex(8)}.parquet")
        try:
            with beside.open("xb") as file:
                pq.write_table(result.table, file)
            sync(beside)
            _put(beside, path, is_forced=is_forced)
            sync(path.parent)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise UserError(f"Parquet cannot hold this answer: {error}. Cast the column it names: x::varchar") from None
        finally:
            beside.unlink(missing_ok=True)


def _put(beside: Path, path: Path, *, is_forced: bool) -> None:
    """Give a finished file its name; over another one only when forced."""
    if not is_forced:
        try:
            os.link(beside, path)  # unlike a rename it fails where somebody was quicker
            return
        except FileExistsError:
            raise _exists(path) from None
        except OSError:  # a file system without hard links
            if os.path.lexists(path):
                raise _exists(path) from None
    os.replace(beside, path)


def _exists(path: Path) -> UserError:
    return UserError(f"{path} is there already. Replace it: --force, or name another file")


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}. Name a file elsewhere") from None

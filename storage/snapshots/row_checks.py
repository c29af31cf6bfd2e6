"""Check the rows of a snapshot's data files: that they are whole, where they belong, and what their hashes say.

All files are read as one stream and checked on two threads, so that the end of a small file holds nothing up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from storage.snapshots.files import ROWS_AT_A_TIME, in_parallel
from storage.snapshots.rows import NO_KEYS, ROW_SCHEMA, hash_rows

ROW_HASHES = pa.schema([ROW_SCHEMA.field("row_hash")])


class FileRows:
    """A data file, `name` in its snapshot, and what was found in it. Unless it `is_read`, only hashes are taken."""

    def __init__(self, name: str, path: Path, tier: int, split: str, *, is_read: bool) -> None:
        self.name, self.tier, self.split = name, tier, split
        self._path = path
        self._is_read = is_read
        self._columns = ROW_SCHEMA if is_read else ROW_HASHES
        self._required = [field.name for field in self._columns if not field.nullable]
        self._held = [NO_KEYS["row_hash"]]
        self._null: set[str] = set()
        self._wrong: set[str] = set()
        self._unreadable: str | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with the file and its rows."""
        if self._unreadable:
            return [self._unreadable]
        if self._null:
            return [f"it has nulls in {', '.join(name for name in self._required if name in self._null)}"]
        return sorted(self._wrong)

    def hashes(self) -> pl.Series | None:
        """Return the row hashes the file holds, in its order; None when they cannot be read."""
        return None if self._unreadable or self._null else pl.concat(self._held)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; a file that cannot be read ends early, and `problems` says why."""
        try:
            with pq.ParquetFile(self._path) as file:
                if file.schema_arrow.names != ROW_SCHEMA.names or file.schema_arrow.types != ROW_SCHEMA.types:
                    self._unreadable = "its columns are not those of snapshot rows"
                    return
                yield from file.iter_batches(ROWS_AT_A_TIME, columns=self._columns.names, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            self._unreadable = f"it is no readable Parquet file: {str(error).splitlines()[0]}"

    def check(self, batch: pa.RecordBatch) -> tuple[pl.Series, list[str], list[str]]:
        """Return the hashes a batch holds, the required columns with nulls in it, and what is wrong with its rows."""
        rows = pl.DataFrame(batch)
        nulls = [name for name in self._required if rows[name].null_count()]
        wrong = [] if nulls else list(self._row_problems(rows))
        return _compact(batch.column("row_hash")), nulls, wrong

    def _row_problems(self, rows: pl.DataFrame) -> Iterator[str]:
        if not (self._is_read and rows["row_hash"].equals(hash_rows(rows))):
            if not rows["row_hash"].str.contains("^[0-9a-f]{64}$").all():
                yield "a row hash is none"
            elif self._is_read:
                yield "a row is not what its hash says"
        if self._is_read and not ((rows["tier"] == self.tier) & (rows["split"] == self.split)).all():
            yield "it holds rows of another tier or split"

    def note(self, hashes: pl.Series, nulls: list[str], wrong: list[str]) -> None:
        """Keep what a batch's check found, batch by batch in their order."""
        self._held.append(hashes)
        self._null.update(nulls)
        self._wrong.update(wrong)


def _compact(column: pa.StringArray) -> pl.Series:
    """Return a copy in no more memory than it needs: what Parquet was read into is up to twenty times as large."""
    return pl.Series("row_hash", column.take(pa.array(range(len(column)), pa.int32())))


def checked(files: Sequence[FileRows], on_rows: Callable[[int], None]) -> Sequence[FileRows]:
    """Read and check all files; return them. `on_rows` is told how many rows are checked so far."""
    batches = ((file, batch) for file in files for batch in file.batches())
    n_rows = 0
    for file, found in in_parallel(lambda one: (one[0], one[0].check(one[1])), batches):
        file.note(*found)
        n_rows += len(found[0])
        on_rows(n_rows)
    return files

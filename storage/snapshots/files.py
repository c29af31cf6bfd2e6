"""Write a snapshot's rows in the order its files hold them, in bounded memory: by tier and split, then by hash.

Rows come in any order and stay in memory up to a limit. Beyond it they lie on disk, parted by the first digit of
their hash; hashes are uniform, so each part is small enough to be sorted by itself, and the parts follow each other.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from storage.snapshots.rows import ROW_SCHEMA

GROUP_ROWS = 1 << 15  # a row group of a file
ROWS_AT_A_TIME = 1 << 13  # hashed at once: four times as many cost up to half as much again, for memory
HELD_BYTES = 1 << 30
_REPEATING = ["tier", "split", "grade", "rule_ids.list.element", "judgment_origin", "source", "operator"]
_N_THREADS = 2
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class RowOrder:
    """Takes hashed rows, gives them back by tier and split, sorted by hash. `scratch` is a folder of its own."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._held: list[pl.DataFrame] = []
        self._n_held_bytes = 0
        self._n_spills = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows that have their `row_hash`."""
        self._held.append(rows)
        self._n_held_bytes += int(rows.estimated_size())
        if self._n_held_bytes > HELD_BYTES:
            self._spill()

    def rows_of(self, tier: int, split: str) -> Iterator[pl.DataFrame]:
        """Yield the rows of a tier's split, by hash."""
        if not self._n_spills:
            is_asked = (pl.col("tier") == tier) & (pl.col("split") == split)
            yield from (rows.filter(is_asked).sort("row_hash") for rows in [pl.concat(self._held)] if self._held)
            return
        if self._held:
            self._spill()
        for digit in "0123456789abcdef":
            parts = [pl.read_ipc(path) for path in self._scratch.glob(f"{tier}-{split}-{digit}-*")]
            if parts:
                yield pl.concat(parts).sort("row_hash")

    def clear(self) -> None:
        """Let go of all rows, in memory and on disk."""
        self._held, self._n_held_bytes = [], 0
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _spill(self) -> None:
        self._scratch.mkdir(parents=True, exist_ok=True)
        rows = pl.concat(self._held).with_columns(pl.col("row_hash").str.head(1).alias("digit"))
        for key, part in rows.partition_by("tier", "split", "digit", as_dict=True, maintain_order=False).items():
            name = "-".join(map(str, (*key, self._n_spills)))
            part.select(ROW_SCHEMA.names).write_ipc(self._scratch / name)
        self._held, self._n_held_bytes = [], 0
        self._n_spills += 1


def batches(rows: pa.Table | pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield rows some ten thousand at a time."""
    for table in [rows] if isinstance(rows, pa.Table) else (pa.Table.from_batches([batch]) for batch in rows):
        yield from table.to_batches(max_chunksize=ROWS_AT_A_TIME)


def write_rows(path: Path, rows: Iterable[pl.DataFrame]) -> None:
    """Write sorted rows as a data file of a snapshot; no file when there is none."""
    writer: pq.ParquetWriter | None = None
    try:
        for frame in rows:
            for part in frame.iter_slices(GROUP_ROWS):
                if writer is None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    writer = pq.ParquetWriter(path, ROW_SCHEMA, compression="zstd", use_dictionary=_REPEATING)
                writer.write_table(part.select(ROW_SCHEMA.names).to_arrow().cast(ROW_SCHEMA))
    finally:
        if writer is not None:
            writer.close()


def write_in_order(path: Path, table: pa.Table, column: str) -> None:
    """Write a table sorted by a column, some ten thousand rows at a time."""
    places = pl.DataFrame(table.select([column])).with_row_index("place").sort(column, maintain_order=True)["place"]
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for start in range(0, max(1, table.num_rows), GROUP_ROWS):
            writer.write_table(table.take(places.slice(start, GROUP_ROWS).to_arrow()))


def in_parallel(work: Callable[[_Given], _Made], given: Iterable[_Given]) -> Iterator[_Made]:
    """Yield what `work` makes of each, in order, on two threads; only a few are under way, so memory is bounded."""
    with ThreadPoolExecutor(_N_THREADS) as pool:
        waiting: deque[Future[_Made]] = deque()
        for one in given:
            waiting.append(pool.submit(work, one))
            if len(waiting) > _N_THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

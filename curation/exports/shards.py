"""Parquet files of a bounded number of rows, named `<split>-00000-of-00012.parquet` once all are written."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

SHARD_ROWS = 500_000
GROUP_ROWS = 1 << 15


class Shards:
    """Takes tables of one schema and parts them into files of a folder, which is made when there is a row."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema, *, shard_rows: int = SHARD_ROWS) -> None:
        self._folder, self._split, self._schema, self._shard_rows = folder, split, schema, shard_rows
        self._paths: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._n_held = 0
        self.n_rows = 0

    def add(self, table: pa.Table) -> None:
        """Take rows."""
        while table.num_rows:
            if self._writer is None:
                self._open()
            assert self._writer is not None
            taken = table.slice(0, self._shard_rows - self._n_held)
            self._writer.write_table(taken.cast(self._schema), row_group_size=GROUP_ROWS)
            self._n_held += taken.num_rows
            self.n_rows += taken.num_rows
            table = table.slice(taken.num_rows)
            if self._n_held == self._shard_rows:
                self._close()

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._paths.append(self._folder / f"{self._split}.part-{len(self._paths)}")
        self._writer = pq.ParquetWriter(self._paths[-1], self._schema, compression="zstd")
        self._n_held = 0

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()
        if kind is None:
            for place, path in enumerate(self._paths):
                path.rename(self._folder / f"{self._split}-{place:05d}-of-{len(self._paths):05d}.parquet")

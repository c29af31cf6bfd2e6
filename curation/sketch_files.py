"""Sketches kept beside the store, so that what was screened before is not read and hashed again.

`sketches/<kind>/` holds parts that are written once, under a name with their checksum; a part that is damaged, cut
short or of another layout counts as absent and goes with the next writing. Everything here is derived: whoever
deletes the folder pays with time only. A part appears under its name at once, so a kill leaves all of it or nothing.
"""

from __future__ import annotations

import os
import re
import secrets
import time
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.shingles import TokenSets
from curation.sketches import LAYOUT, N_BANDS, Sketches, concat_sketches

MAX_PARTS = 16  # beyond, they are written as one
_LEFT_OVER_SECONDS = 3600
_NAME = re.compile(r"[0-9a-f]{8}-([0-9a-f]{8})\.arrow")
_LAYOUT_KEY = b"layout"


def read_kept(folder: Path) -> Sketches:
    """Return all sketches a folder holds, each id once."""
    found = concat_sketches([part for path in _parts(folder) if (part := _read(path)) is not None])
    first = {text_id: row for row, text_id in reversed(list(enumerate(found.ids)))}
    if len(first) == len(found):
        return found
    return found.take(np.array(sorted(first.values()), dtype=np.int64))  # two screened at the same time


def keep(folder: Path, new: Sketches) -> None:
    """Add sketches to a folder; what cannot be read in it is removed, many parts become one."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = _parts(folder)
    readable = [path for path in parts if _read(path) is not None]
    going = set(parts) - set(readable)
    if len(readable) >= MAX_PARTS:
        new = concat_sketches([read_kept(folder), new])
        going = set(parts)
    going |= {path for path in folder.glob(".*.part") if _is_left_over(path)}
    if len(new):
        going.discard(_write(folder, new))
    for path in going:
        path.unlink(missing_ok=True)


def _parts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.arrow"))


def _write(folder: Path, sketches: Sketches) -> Path:
    table = pa.table(
        {
            "id": pa.array(sketches.ids, pa.large_string()),
            "tokens": pa.LargeListArray.from_arrays(
                pa.array(sketches.sets.offsets), pa.array(np.ascontiguousarray(sketches.sets.tokens))
            ),
            "bands": pa.FixedSizeListArray.from_arrays(pa.array(sketches.bands.ravel()), N_BANDS),
        }
    ).replace_schema_metadata({_LAYOUT_KEY: LAYOUT.encode()})
    written = folder / f".{secrets.token_hex(4)}.part"
    with pa.OSFile(str(written), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    path = folder / f"{secrets.token_hex(4)}-{_checksum(written)}.arrow"
    os.replace(written, path)
    return path


def _read(path: Path) -> Sketches | None:
    """Return a part's sketches, None when it is not whole or not of this layout."""
    named = _NAME.fullmatch(path.name)
    try:
        if named is None or _checksum(path) != named[1]:
            return None
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
    except FileNotFoundError:  # another screening has just made one of many parts
        return None
    if (table.schema.metadata or {}).get(_LAYOUT_KEY) != LAYOUT.encode():
        return None
    return concat_sketches([_sketches(batch) for batch in table.to_batches()])


def _sketches(batch: pa.RecordBatch) -> Sketches:
    tokens = batch.column("tokens")
    offsets = tokens.offsets.to_numpy()
    sets = TokenSets(tokens.values.to_numpy()[offsets[0] : offsets[-1]], offsets - offsets[0])
    bands = batch.column("bands").flatten().to_numpy().reshape(-1, N_BANDS)
    return Sketches(batch.column("id").to_pylist(), sets, bands)


def _is_left_over(path: Path) -> bool:
    """Whether whoever was writing a part is long gone; another screening may be writing one now."""
    try:
        return time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS
    except FileNotFoundError:
        return False


def _checksum(path: Path) -> str:
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            total = zlib.crc32(block, total)
    return f"{total:08x}"

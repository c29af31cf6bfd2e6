"""Sources in a form that others agreed on: which files there are, in which order, which column plays which role.

Quepid's ratings, TREC qrels, the layout of BEIR, a Hugging Face dataset on disk. Each file becomes a part that goes the
way of every CSV: checked row by row, what cannot be taken set aside with its line. Texts come before the judgments that
name them, and a query's split, which only its judgments know, comes with its text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from curation.ingest_files import LINE, QRELS_COLUMNS, Reject, SourceRows, read_csv, read_file, read_qrels, text_columns
from curation.splits import normalise_split
from storage.errors import UserError
from storage.snapshots.verify import sha256_of

FORMATS = ("quepid", "qrels", "beir", "hf")
QRELS_MAP = "query_id=query_id,doc_id=doc_id,grade=grade"
QUEPID_MAP = "query=query,doc_id=docid,grade=rating"
BEIR_MAP = "query_id=query-id,doc_id=corpus-id,grade=score,split=split"
_BEIR_JUDGMENTS = ("query-id", "corpus-id", "score")


@dataclass(frozen=True, slots=True)
class Part:
    """A file to ingest, or the shards of one split: its name, rows, map of roles, and the hash of its bytes."""

    path: Path
    rows: SourceRows
    columns: str
    digest: str


def read_parts(path: Path, name: str | None, *, columns: str | None) -> Iterator[Part]:
    """Yield the parts of a source in the order they are to be ingested; UserError when it is not of this format.

    `columns` replaces the map of roles where a format leaves room for one: it must for Hugging Face datasets, whose
    columns are anybody's, and cannot for BEIR, whose are fixed.
    """
    if name is None:
        if path.is_dir():
            raise UserError(f"{path} is a folder. Say what lies in it: --format beir, or --format hf with --map …")
        yield _part(path, read_file(path), columns)
    elif name == "quepid":
        yield _quepid(path, columns)
    elif name == "qrels":
        yield _part(path, _not_empty(path, read_qrels(_file(path))), columns or QRELS_MAP)
    elif name == "beir":
        if columns is not None:
            raise UserError("--map has no place with --format beir, whose columns are fixed. Leave it out")
        yield from _beir(path)
    elif name == "hf":
        yield from _hf(path, columns)
    else:
        raise UserError(
            f"--format {name!r} is none of {', '.join(FORMATS)}. Leave it out to go by the file's extension"
        )


def _part(path: Path, rows: SourceRows, columns: str | None) -> Part:
    if columns is None:
        if not set(QRELS_COLUMNS) <= set(rows.frame.columns):
            raise UserError(f"{path} needs --map. Its columns: {', '.join(rows.frame.columns[1:])}")
        columns = QRELS_MAP
    return Part(path, rows, columns, _digest([path]))


def _quepid(path: Path, columns: str | None) -> Part:
    rows = _not_empty(path, read_csv(_file(path)))
    lowered = {name: name.strip().casefold() for name in rows.frame.columns if name != LINE}
    wanted = ("query", "docid", "rating")
    missing = [name for name in wanted if list(lowered.values()).count(name) != 1]
    if missing and columns is None:
        raise UserError(
            f"{path} is no Quepid export of ratings: it has not one column each of {', '.join(wanted)}. Its columns: "
            f"{', '.join(lowered)}. Map them yourself: afrel ingest FILE --format quepid --map …"
        )
    named = rows.frame if columns else rows.frame.rename({k: v for k, v in lowered.items() if v in wanted})
    return Part(path, SourceRows(named, rows.rejects), columns or QUEPID_MAP, _digest([path]))


def _beir(path: Path) -> Iterator[Part]:
    corpus, queries = path / "corpus.jsonl", path / "queries.jsonl"
    judged = sorted((path / "qrels").glob("*.tsv")) if path.is_dir() else []
    missing = [str(file.relative_to(path)) for file in (corpus, queries) if not file.is_file()]
    missing += [] if judged else ["qrels/*.tsv"]
    if missing:
        raise UserError(f"{path} has not the layout of BEIR: there is no {', '.join(missing)}. Check the folder")
    judgments = {file: _beir_judgments(file) for file in judged}
    yield _beir_corpus(corpus)
    rows = read_file(queries)
    _require(queries, rows, ("_id", "text"))
    # a query that several files judge belongs to the first of them; its rows in the others are set aside
    splits = pl.concat([part.frame.select("query-id", "split") for part in judgments.values()])
    frame = rows.frame.join(splits.unique("query-id", keep="first"), left_on="_id", right_on="query-id", how="left")
    yield Part(
        queries, SourceRows(frame, rows.rejects), "query_id=_id,query=text,split=split", _digest([queries, *judged])
    )
    for file, part in judgments.items():
        yield Part(file, part, BEIR_MAP, _digest([file]))


def _beir_judgments(path: Path) -> SourceRows:
    split = normalise_split(path.stem)
    if split is None:
        raise UserError(f"{path} is named after no split. Rename it: train.tsv, dev.tsv or test.tsv")
    rows = read_file(path)
    _require(path, rows, _BEIR_JUDGMENTS)
    return SourceRows(rows.frame.with_columns(pl.lit(split).alias("split")), rows.rejects)


def _beir_corpus(path: Path) -> Part:
    rows = read_file(path)
    _require(path, rows, ("_id", "text"))
    frame, rejects = _expand_fields(rows.frame)
    columns = "doc_id=_id,body=text" + (",title=title" if "title" in frame.columns else "")
    columns += "".join(f",field.{name[6:]}={name}" for name in frame.columns if name.startswith("field."))
    return Part(path, SourceRows(frame, (*rows.rejects, *rejects)), columns, _digest([path]))


def _expand_fields(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    """Give each field of docs that afrel exported a column; rows whose fields are no JSON object are set aside."""
    if "fields" not in frame.columns:
        return frame, []
    held, rejects, kept = [], [], []
    for line, text in zip(frame[LINE].to_list(), frame["fields"].to_list(), strict=True):
        try:
            fields = json.loads(text or "{}")
        except ValueError:
            fields = None
        is_sound = isinstance(fields, dict) and not any("," in name or "=" in name for name in fields)
        kept.append(is_sound)
        if is_sound:
            held.append(fields)
        else:
            rejects.append(Reject(line, "bad_fields", text, None))
    frame = frame.filter(pl.Series(kept, dtype=pl.Boolean)).drop("fields")
    names = sorted({name for fields in held for name in fields})
    columns = [pl.Series(f"field.{name}", [fields.get(name) for fields in held], dtype=pl.String) for name in names]
    return frame.with_columns(columns), rejects


def _hf(path: Path, columns: str | None) -> Iterator[Part]:
    """Yield a part for each split: folders of `save_to_disk`, or Parquet shards named `<split>-…`."""
    if not path.exists():
        raise UserError(f"there is nothing at {path}. Check the path: afrel ingest FOLDER --format hf --map …")
    shards = list(_shards(path))
    if not shards:
        raise UserError(
            f"{path} holds no dataset on disk: neither Parquet shards nor what `save_to_disk` writes. Check the folder"
        )
    by_split: dict[str, list[Path]] = {}
    for split, file in shards:
        by_split.setdefault(split, []).append(file)
    for split, files in by_split.items():
        frame = text_columns(pl.concat([_read_shard(file) for file in files], how="diagonal_relaxed"))
        if columns is None:
            raise UserError(
                f"{path} needs --map. Its columns: {', '.join(name for name in frame.columns if name != LINE)}"
            )
        named = columns
        roles = {part.partition("=")[0].strip() for part in columns.split(",")}
        if normalise_split(split) and "split" not in roles and "split" not in frame.columns:
            frame, named = frame.with_columns(pl.lit(split).alias("split")), f"{columns},split=split"
        yield Part(path / split, _not_empty(path, SourceRows(frame, ())), named, _digest(files))


def _shards(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield (split, file) of a dataset on disk; the split is empty where nothing names one."""
    if path.is_file():
        yield _split_of_shard(path), path
        return
    states = sorted(path.rglob("state.json"))
    for state in states:
        try:
            content = json.loads(state.read_text(encoding="utf-8"))
            files = [state.parent / str(file["filename"]) for file in content["_data_files"]]
            split = str(content.get("_split") or ("" if state.parent == path else state.parent.name))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{state} is not what `save_to_disk` writes: {error}. Save the dataset again") from error
        yield from ((split, file) for file in files)
    if not states:
        yield from ((_split_of_shard(file), file) for file in sorted(path.rglob("*.parquet")))


def _split_of_shard(path: Path) -> str:
    """Return the word before `-00000-of-00012` or the file's name where it is a split's, else the folder's or none."""
    for word in (path.stem.split("-")[0], path.parent.name):
        if normalise_split(word):
            return word
    return ""


def _read_shard(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
            frame = pl.from_arrow(reader.read_all())
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not a readable shard: {str(error).splitlines()[0]}. Save the dataset again"
        ) from error
    assert isinstance(frame, pl.DataFrame)
    return frame


def _file(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"there is no file {path}. Check the path: afrel ingest FILE --format …")
    return path


def _not_empty(path: Path, rows: SourceRows) -> SourceRows:
    if rows.frame.is_empty() and not rows.rejects:
        raise UserError(f"{path} holds no rows. Check that it is the file you meant")
    return rows


def _require(path: Path, rows: SourceRows, names: Iterable[str]) -> None:
    missing = [name for name in names if name not in rows.frame.columns]
    if missing:
        held = ", ".join(name for name in rows.frame.columns if name != LINE)
        raise UserError(f"{path} lacks the columns {', '.join(missing)}; it has {held}. Check that it is of BEIR")


def _digest(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of a file's bytes; of several files, that of their hashes."""
    each = [sha256_of(path) for path in paths]
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()

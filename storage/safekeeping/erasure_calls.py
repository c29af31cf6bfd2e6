"""Which LLM calls asked about an erased text, told by their requests: in the store and on the workers' spools.

A call whose candidate is known is reached through it. Others (failures, replies that were never used) are told by
their prompt: untrusted text stands there escaped and on a line of its own, alone or after a label, so a line that is
the whole text names it, while a text that merely occurs in a longer one does not.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from storage import durable
from storage.ids import canonical_json
from storage.safekeeping.erasure_rows import named
from storage.safekeeping.erasure_scope import MARK
from storage.spool import SUFFIX, spools

BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts that are erased, as they are compared: whole, in NFC, blanks as one."""

    texts: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Wording:
        """Gather texts; what is erased already names nothing."""
        return cls(frozenset(filter(None, map(normal, texts))) - {MARK})

    def is_asked_about(self, request: str | None) -> bool:
        """Say whether a stored request has one of the texts as a line."""
        return any(line in self.texts for line in _lines(request))

    def is_in_record(self, record: str | None) -> bool:
        """Say whether a rejected record (a JSON object) has one of the texts as a value."""
        try:
            values = json.loads(record or "{}").values()
        except (ValueError, AttributeError):
            return False
        return any(isinstance(value, str) and normal(value) in self.texts for value in values)


def normal(text: str) -> str:
    """Return a text as queries and docs are identified by: NFC, runs of blanks as one, trimmed."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def wording_reached(connection: duckdb.DuckDBPyConnection, *, also: str | None) -> Wording:
    """Return the texts of the queries and the titles of the docs that are reached, and one more."""
    rows = connection.execute(
        "select text from queries where query_id in (from erased_queries) "
        "union all select title from docs where doc_id in (from erased_docs)"
    ).fetchall()
    return Wording.of([*(text for (text,) in rows), *([also] if also else [])])


def reach_calls(connection: duckdb.DuckDBPyConnection, wording: Wording) -> None:
    """Add the calls no candidate is known of that asked about one of the texts."""
    unused = (
        "select llm_call_id, request from llm_calls "
        "where llm_call_id not in (select llm_call_id from candidates where llm_call_id is not null)"
    )
    _add_told(connection, unused, "erased_calls", wording.is_asked_about)


def reach_rejects(connection: duckdb.DuckDBPyConnection, wording: Wording) -> None:
    """Add the rejected records with one of the texts in them."""
    _add_told(connection, "select ingest_reject_id, record from ingest_rejects", "erased_rejects", wording.is_in_record)


def clean_spools(folder: Path, *, erased_ids: frozenset[str], wording: Wording) -> tuple[int, list[Path]]:
    """Blank erased calls on the spools of workers that are gone; return how many, and the living workers' spools.

    A cleaned spool gets a name of its own before the old one goes: who opened the old one and waits for its lock then
    finds it gone, and never reads what it said.
    """
    n_blanked, living = 0, []
    for path, content in spools(folder):
        if content is None:
            living.append(path)
            continue
        lines = content.decode("utf-8", "surrogatepass").splitlines(keepends=True)
        cleaned = [_blanked(line, erased_ids, wording) for line in lines]
        n = sum(line != before for line, before in zip(cleaned, lines, strict=True))
        if n:
            beside = path.with_name(f"{path.stem}.cleaned")
            beside.unlink(missing_ok=True)
            durable.write_new(beside, "".join(cleaned))
            beside.rename(path.with_name(f"{path.stem}-{os.urandom(2).hex()}{SUFFIX}"))
            path.unlink()
            durable.sync(folder)
            n_blanked += n
    return n_blanked, living


def _blanked(line: str, erased_ids: frozenset[str], wording: Wording) -> str:
    try:
        record: Mapping[str, Any] = json.loads(line)
        request, call_id = record.get("request"), record.get("llm_call_id")
    except (ValueError, AttributeError):
        return "\n"  # torn by a crash: nobody takes it in, and nobody can tell what it holds
    if call_id not in erased_ids and not wording.is_asked_about(request):
        return line
    reply = None if record.get("reply") is None else MARK
    return canonical_json({**record, "request": "{}", "reply": reply, "failure": "erased"}) + "\n"


def _lines(request: str | None) -> Iterator[str]:
    """Yield each line of a request's messages as it was before it was escaped: whole, and without its label."""
    try:
        messages = json.loads(request or "{}").get("messages", [])
        contents = [str(content) for _, content in messages]
    except (ValueError, AttributeError, TypeError):
        return
    for content in contents:
        for line in content.splitlines():
            text = normal(line.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
            yield text
            _, colon, rest = text.partition(": ")
            if colon:
                yield rest


def _add_told(
    connection: duckdb.DuckDBPyConnection, sql: str, into: str, is_told: Callable[[str | None], bool]
) -> None:
    """Add the first column of the rows whose second column is told."""
    cursor = connection.cursor()
    told: list[str] = []
    try:
        for batch in cursor.sql(sql).to_arrow_reader(BATCH):
            ids, texts = batch.column(0).to_pylist(), batch.column(1).to_pylist()
            told += [one for one, text in zip(ids, texts, strict=True) if is_told(text)]
    finally:
        cursor.close()
    with named(connection, "told", pa.table({"id": pa.array(told, pa.string())})):
        connection.execute(f"insert into {into} select distinct id from told except from {into}").fetchall()

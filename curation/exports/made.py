"""Make the whole of an export in a folder: files, then the card that counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.exports.card import Stated, card
from curation.exports.facts import facts_of
from curation.exports.formats import LineFormat, TableFormat
from curation.exports.given import given_away, given_by_store
from curation.exports.source import Source
from curation.exports.writing import Part, parts_of_all, write_card, write_lines, write_tables
from storage.errors import UserError
from storage.progress import Watch, unwatched

if TYPE_CHECKING:
    from storage.store import Store


def make(
    folder: Path,
    source: Source,
    formats: Sequence[TableFormat | LineFormat],
    *,
    store: Store | None,
    licences: Mapping[str, str],
    keeps_personal: bool,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Write files and card into a folder; return rows by format and split, texts masked, rows left out by reason.

    Without a store, formats made of people's acts are left out; UserError when one was all that was asked for, and when
    nothing came out.
    """
    formats = [one for one in formats if store is not None or not _rests_on_store(one)]
    if not formats:
        raise UserError(
            "this format is made of people's answers, which lie in the workspace and not in a snapshot. "
            "Export it there: afrel -w DIR export preference"
        )
    given = given_away(source) if store is None else given_by_store(source, store, keeps_personal=keeps_personal)
    tables = [one for one in formats if isinstance(one, TableFormat)]
    parts = write_tables(folder, source, tables, given, keeps_personal=keeps_personal, watch=watch)
    for one in formats:
        if isinstance(one, LineFormat):
            parts += write_lines(folder, source, one, given, keeps_personal=keeps_personal, watch=watch)
    rows = _rows_by_format(parts)
    if not any(rows.values()):
        left_out = "; ".join(f"{n} {reason}" for reason, n in given.left_out.items()) or "nobody answered these pairs"
        raise UserError(
            f"nothing to export as {formats[0].name} from {source.manifest.snapshot_id}: {left_out}. "
            "See what was answered: afrel status"
        )
    stated = Stated(licences, keeps_personal, has_store=store is not None)
    write_card(folder, card(source, formats, parts, given, facts=facts_of(source), stated=stated))
    return {"rows": rows, "masked": given.n_masked, "left_out": dict(given.left_out)}


def _rests_on_store(one: TableFormat | LineFormat) -> bool:
    return isinstance(one, TableFormat) and one.acts is not None


def _rows_by_format(parts: Sequence[Part]) -> dict[str, dict[str, int]]:
    rows: dict[str, dict[str, int]] = {part.format: {} for part in parts}
    for name, of_format in rows.items():
        for part in parts_of_all(parts, name):
            if part.n_rows:
                of_format[part.split] = of_format.get(part.split, 0) + part.n_rows
    return rows

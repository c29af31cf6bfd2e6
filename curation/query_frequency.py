"""How often queries are asked, from a file of counts: what a query weighs when pairs are shared out."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

from curation.ingest import normal_text, query_id_of
from curation.ingest_files import LINE, read_file
from storage.errors import UserError

COLUMNS = ("query", "frequency")
UNLISTED = 1.0  # a query nobody counted is taken to be asked once, not never


def read_frequencies(path: Path) -> dict[str, float]:
    """Return query_id -> frequency of a CSV or TSV file with columns query and frequency; spellings are summed.

    UserError for a file that cannot be read whole, and for a frequency that is no number from 0 on.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}. Name one: afrel pool --frequency FILE, a CSV of query,frequency")
    rows = read_file(path)
    missing = [name for name in COLUMNS if name not in rows.frame.columns]
    if missing:
        raise UserError(
            f"{path} has no column {' and no column '.join(missing)}; it has {', '.join(rows.frame.columns[1:])}. "
            "It takes the columns query and frequency"
        )
    wrong = [f"line {reject.line}: {reject.reason.replace('_', ' ')}" for reject in rows.rejects]
    found: defaultdict[str, float] = defaultdict(float)
    for line, text, written in rows.frame.select(LINE, *COLUMNS).iter_rows():
        frequency = _number(written)
        if frequency is None:
            wrong.append(f"line {line}: {written!r} is no frequency")
        elif not normal_text(text):
            wrong.append(f"line {line}: the query is empty")
        else:
            found[query_id_of(text)] += frequency
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise UserError(f"{path}: {'; '.join(wrong[:5])}{more}. Mend the file and run the command again")
    return dict(found)


def weight_of(frequency: float) -> float:
    """Return what a query weighs: ln(1 + frequency), so that a thousand times as common weighs a few times as much."""
    return math.log1p(frequency)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None

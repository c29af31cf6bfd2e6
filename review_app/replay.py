"""Recorded answers, replayed where the queue asks for them: for demonstrations and for moving from another tool.

A record names query and doc as their source does. Answers nobody asked for stay in the file and are counted: a pair
meets a person only as often as the review policy wants. The session is the file's hash, the counter its line, so a
second replay adds nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from review_app.decisions import Response, ResponseAct, Turn
from storage.errors import UserError
from storage.grades import Scale


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded answer. `account` is None in a file of adjudications."""

    line: int
    query_ref: str
    doc_ref: str
    account: str | None
    act: ResponseAct
    grade: int | None
    reason: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of recorded answers and the session name its content gives."""

    session: str
    records: tuple[Recorded, ...]


def read_recording(path: Path, scale: Scale, *, needs_reviewer: bool) -> Recording:
    """Read a JSONL recording; UserError with all bad lines at once (the first ten shown)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--replay {path} cannot be read: {error}") from error
    records, wrong = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            records.append(_record(number, json.loads(line), scale, needs_reviewer))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        raise UserError(f"--replay {path} has {len(wrong)} bad lines; nothing was replayed. {'; '.join(wrong[:10])}")
    if not records:
        raise UserError(f"--replay {path} holds no answers")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Recording(f"replay:{digest}", tuple(records))


def _record(number: int, record: Mapping[str, Any], scale: Scale, needs_reviewer: bool) -> Recorded:
    for name in ("query_id", "doc_id", *(("reviewer",) if needs_reviewer else ())):
        if not record.get(name):
            raise ValueError(f"no {name}")
    act = ResponseAct(record.get("act", ResponseAct.SUBMITTED))
    if act is ResponseAct.WITHDRAWN:
        raise ValueError("a recording holds answers; leave out what was withdrawn")
    grade = record.get("grade")
    if act is ResponseAct.SUBMITTED and (isinstance(grade, bool) or grade not in scale):
        raise ValueError(f"grade {grade!r} is off the scale {list(scale.values)}")
    if act is ResponseAct.DISCARDED and not record.get("reason"):
        raise ValueError("a discarded pair needs a reason")
    return Recorded(
        number,
        str(record["query_id"]),
        str(record["doc_id"]),
        record.get("reviewer"),
        act,
        grade if act is ResponseAct.SUBMITTED else None,
        record.get("reason"),
        record.get("seconds"),
    )


def asked_for(recording: Recording, open_rows: Sequence[Mapping[str, Any]], *, used_lines: set[int]) -> list[Response]:
    """Return the recorded answers the queue asks for now: at most `n_open` per candidate, unused lines only.

    Nobody answers a pair twice: a recorded answer must not take the place of one that stands.
    """
    by_pair: dict[tuple[str, str], list[Recorded]] = {}
    for record in recording.records:
        if record.line not in used_lines:
            by_pair.setdefault((record.query_ref, record.doc_ref), []).append(record)
    responses = []
    for row in open_rows:
        first_of = {record.account: record for record in reversed(by_pair.get((row["query_ref"], row["doc_ref"]), []))}
        fresh = [record for account, record in first_of.items() if account not in row["answered_by"]]
        for record in sorted(fresh, key=lambda record: record.line)[: row["n_open"]]:
            used_lines.add(record.line)
            turn = Turn(
                candidate_id=row["candidate_id"],
                pair_id=row["pair_id"],
                account=str(record.account),
                session=recording.session,
                sequence=record.line,
                seconds=record.seconds,
                is_replayed=True,
            )
            responses.append(Response(turn, record.act, grade=record.grade, reason=record.reason))
    return responses

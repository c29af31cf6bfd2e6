"""A candidate as a record of Argilla: the pair's texts as fields, what the machine proposes as suggestions.

A blind audit carries no suggestion and nothing that would tell one. Reasons for asking that speak of what somebody else
answered stay here, as on the review card. Fields are made of the store alone, so that pull can tell a changed text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.completion import steps_from_json
from review_app.argilla_bridge.likeness import NAME as LIKENESS
from review_app.argilla_bridge.likeness import likeness_vector
from review_app.argilla_bridge.settings import (
    ATTRIBUTES,
    BODY,
    CANNOT_TELL,
    CAUSE,
    COMMENT,
    CONFIDENCE,
    GRADE,
    OPERATOR,
    QUERY,
    RATIONALE,
    RULES,
    TITLE,
    clean,
    cut,
)
from review_app.decisions import ResponseAct
from storage.ids import digest

BLIND = "blind_audit"
TOLD_CAUSES = ("rule_conflict", "low_confidence")
CARRIED = "carried"  # metadata that no property names, so that Argilla's UI does not show it
MOST_FIELD_CHARACTERS = 20_000  # the UI draws whole fields; a megabyte in one freezes it
MOST_AGENT_CHARACTERS = 200  # Argilla's bound
_NO_AGENT_SIGN = re.compile(r"[^a-zA-Z0-9_:./ -]")


@dataclass(frozen=True, slots=True)
class Carried:
    """An answer the store holds of somebody with an Argilla user, who must not be asked again."""

    user_id: str
    act: ResponseAct
    grade: int | None = None
    steps: str | None = None
    reason: str | None = None


def fields_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts a record shows of a pair; an empty one is left out, a very long one cut with a word about it."""
    attributes = "\n".join(f"{name}: {value}" for name, value in json.loads(row["fields"] or "{}").items())
    texts = {QUERY: row["query"], TITLE: row["title"], BODY: row["body"], ATTRIBUTES: attributes}
    shown = {name: cut(text, MOST_FIELD_CHARACTERS) for name, text in texts.items()}
    return {name: text for name, text in shown.items() if text or name == QUERY}


def record_of(
    row: Mapping[str, Any], question_ids: Mapping[str, str], carried: Sequence[Carried] = ()
) -> dict[str, Any]:
    """Return the record of a candidate as the interface takes it; `question_ids` are the dataset's, by name."""
    causes = str(row["cause"]).split(", ")
    is_blind = BLIND in causes
    responses = [_response(one) for one in carried]
    metadata: dict[str, Any] = {} if is_blind else _metadata(row, causes)
    if responses:
        metadata[CARRIED] = [carried_mark(one["user_id"], one["status"], one["values"]) for one in responses]
    fields = fields_of(row)
    vector = likeness_vector(list(fields.values()))
    record: dict[str, Any] = {
        "external_id": row["candidate_id"],
        "fields": fields,
        "metadata": metadata,
        "suggestions": [] if is_blind else _suggestions(row, question_ids),
    }
    if vector is not None:
        record["vectors"] = {LIKENESS: vector}
    return {**record, "responses": responses} if responses else record


def rationale_text(steps: str | None) -> str:
    """Return stored steps as the lines a reviewer reads and may edit; empty where there are none."""
    return "\n".join(f"{step.label}: {clean(step.text)}" for step in steps_from_json(steps))


def agent_name(proposer: str | None) -> str | None:
    """Return a proposer's name as Argilla allows it, None where no letter or digit is left."""
    name = _NO_AGENT_SIGN.sub("_", proposer or "")[:MOST_AGENT_CHARACTERS]
    return name if re.search(r"[a-zA-Z0-9]", name) else None


def score_of(confidence: float | None) -> float | None:
    """Return a confidence as a score, None where it is no number from 0 to 1."""
    if confidence is None or not math.isfinite(confidence) or not 0 <= confidence <= 1:
        return None
    return float(confidence)


def carried_mark(user_id: str, status: str, values: Mapping[str, Any] | None) -> str:
    """Return what tells an answer that was sent along from one that was given in Argilla."""
    return f"{user_id}:{digest([status, values or {}])[:16]}"


def _metadata(row: Mapping[str, Any], causes: Sequence[str]) -> dict[str, Any]:
    confidence = score_of(row["confidence"])
    metadata = {
        RULES: list(row["rule_ids"] or []),
        CAUSE: [cause for cause in causes if cause in TOLD_CAUSES],
        OPERATOR: row["operator"],
        CONFIDENCE: confidence,
    }
    return {name: value for name, value in metadata.items() if value not in (None, [])}


def _suggestions(row: Mapping[str, Any], question_ids: Mapping[str, str]) -> list[dict[str, Any]]:
    values = {GRADE: str(row["grade"]), RATIONALE: rationale_text(row["steps"])}
    made: dict[str, Any] = {"type": "model", "agent": agent_name(row["proposer"])}
    score = score_of(row["confidence"])
    return [
        # the confidence is the grade's; nobody said how sure the words are
        {"question_id": question_ids[name], "value": value, **made, "score": score if name == GRADE else None}
        for name, value in values.items()
        if value
    ]


def _response(carried: Carried) -> dict[str, Any]:
    if carried.act is ResponseAct.DISCARDED:
        values = {COMMENT: {"value": clean(carried.reason)}} if carried.reason else None
        return {"user_id": carried.user_id, "status": "discarded", "values": values}
    grade = CANNOT_TELL if carried.act is ResponseAct.CANNOT_TELL else str(carried.grade)
    values = {GRADE: {"value": grade}}
    if carried.steps:
        values[RATIONALE] = {"value": rationale_text(carried.steps)}
    return {"user_id": carried.user_id, "status": "submitted", "values": values}

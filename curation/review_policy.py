"""Why a pair meets a second pair of eyes: causes as predicates over review facts, data that a workspace may change.

Overlap is one: a pair meets one person unless a cause asks for more. The owner of the store evaluates the causes, in
the transaction of each fact; here they are only declared, read and checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from curation.config_tables import raise_mistakes, repeated, table_mistakes
from storage.errors import UserError
from storage.ids import content_id
from storage.process.maintained import JUDGED_COLUMN, REVIEW_FACT_COLUMNS
from storage.rows import ReviewCauseRow
from storage.sql.predicate_parts import columns_named

OVERLAP = 1


@dataclass(frozen=True, slots=True)
class Cause:
    """A named reason for `n_required` answers in place of one."""

    cause: str
    predicate: str
    n_required: int


DEFAULT_CAUSES = (
    # An expert overturned a suggestion the machine was sure of: one of the two is badly wrong.
    Cause("revised", "n_revised > 0 and confidence >= 0.7", 2),
    Cause("rule_conflict", "n_vote_grades > 1", 2),
    Cause("low_confidence", "confidence < 0.3", 2),
    # Blind: no reviewer is told; it measures agreement where nothing else asked for it.
    Cause("blind_audit", "audit_draw < 0.05", 2),
)
_KEYS: dict[str, type] = {"cause": str, "predicate": str, "n_required": int}


def checked_causes(tables: Sequence[Mapping[str, Any]] = ()) -> tuple[Cause, ...]:
    """Return the causes of `[[review_causes]]` tables, the default ones where there are none.

    UserError names all mistakes of all tables together.
    """
    mistakes: list[str] = []
    for number, table in enumerate(tables, start=1):
        mistakes += table_mistakes(
            f"[[review_causes]] {number}",
            table,
            keys=_KEYS,
            names=("cause",),
            predicate_key="predicate",
            columns=REVIEW_FACT_COLUMNS,
        )
    mistakes += repeated("[[review_causes]]", "cause", [table.get("cause") for table in tables if "cause" in table])
    raise_mistakes(mistakes)
    return tuple(Cause(**table) for table in tables) or DEFAULT_CAUSES


def check_judges(causes: Sequence[Cause], standing: Sequence[Mapping[str, Any]]) -> None:
    """Raise UserError where a cause lets judges order the queue and no judge has a passing card.

    `standing` are the rows of the read of that name. The owner counts the word of judges with a passing card only, so
    this says early what would otherwise be a cause that never holds.
    """
    asking = [cause.cause for cause in causes if JUDGED_COLUMN in columns_named(cause.predicate, REVIEW_FACT_COLUMNS)]
    if not asking or any(row["is_passed"] for row in standing):
        return
    failed = "; ".join(f"{row['judge']} failed {', '.join(row['failed'])}" for row in standing)
    raise UserError(
        f"[[review_causes]] {', '.join(asking)} would have judges order the queue ({JUDGED_COLUMN}), "
        f"and no judge has a passing card{f' ({failed})' if failed else ''}. "
        "Measure one: afrel judge card --model MODEL, or take the cause out of afrel.toml"
    )


def cause_rows(causes: Sequence[Cause], at: datetime, *, dropped: Sequence[str] = ()) -> list[ReviewCauseRow]:
    """Return causes as rows of the store; a dropped one is overruled by a cause that never holds."""
    return [
        ReviewCauseRow(
            review_cause_id=content_id("rc", cause.cause, cause.predicate, cause.n_required, at.isoformat()),
            cause=cause.cause,
            predicate=cause.predicate,
            n_required=cause.n_required,
            created_at=at,
        )
        for cause in [*causes, *(Cause(name, "1 = 0", OVERLAP) for name in dropped)]
    ]

"""What an answer from Argilla runs into: the same person's answer given here, or a pair that had all it asked for.

Neither is a reason to drop an answer: a fact is a fact, the later word of a person stands, and agreement counts both.
But nobody should have to find out by chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from review_app.decisions import Response


@dataclass(frozen=True, slots=True)
class Conflict:
    """An answer that somebody should look at. `words` say what it runs into."""

    candidate_id: str
    account: str
    words: str


def find_conflicts(
    responses: Sequence[Response], rows: Mapping[str, Mapping[str, Any]], standing: Sequence[Mapping[str, Any]]
) -> list[Conflict]:
    """Return the conflicts of new answers with the answers that stand on their pairs, each answer's at most one.

    `rows` give each candidate's status and how many answers it asks for; `standing` are the store's.
    """
    by_pair: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for one in standing:
        by_pair[one["pair_id"]][one["account"]] = one
    found = []
    answered = {pair_id: set(people) for pair_id, people in by_pair.items()}
    for response in sorted(responses, key=lambda one: one.turn.acted_at):
        turn, row = response.turn, rows[response.turn.candidate_id]
        said = _said(response.act.value, response.grade)
        own = by_pair[turn.pair_id].get(turn.account)
        people = answered.setdefault(turn.pair_id, set())
        words = None
        if (
            own is not None
            and not own["is_pulled"]
            and (own["act"], own["grade"]) != (response.act.value, response.grade)
        ):
            later = "this answer" if turn.acted_at > own["created_at"] else "the one given here"
            words = (
                f"said {_said(own['act'], own['grade'])} here and {said} in Argilla; the later stands, which is {later}"
            )
        elif turn.account not in people and row["status"] == "settled":
            words = f"answered {said} after the pair was settled"
        elif turn.account not in people and len(people) >= row["n_required"]:
            words = (
                f"is one more than the {row['n_required']} the policy asks: {said} beside {', '.join(sorted(people))}"
            )
        people.add(turn.account)
        if words is not None:
            found.append(Conflict(turn.candidate_id, turn.account, words))
    return found


def _said(act: str, grade: int | None) -> str:
    return act.replace("_", " ") if grade is None else str(grade)

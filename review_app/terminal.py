"""A candidate, and what was just said of it, as the terminal shows them: as text, or as one line of JSON.

A reviewer is not told why a second look is wanted, nor what others said before they answer: an audit must be blind.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from review_app.decisions import HeldAct, History, Response, ResponseAct
from storage.grades import Scale

NOT_SHOWN = ("cause", "n_answers", "n_required", "status", "split")


def show_candidate(candidate: Mapping[str, Any], account: str, *, as_json: bool) -> None:
    """Print a candidate that waits for the account's answer."""
    row = {name: value for name, value in candidate.items() if name not in NOT_SHOWN}
    if as_json:
        print(json.dumps(row, ensure_ascii=False, default=str))
        return
    print(f"candidate  {row['candidate_id']}")
    print(f"query      {row['query']}\ndoc        {row['title']}")
    for name, value in json.loads(row["fields"]).items():
        print(f"           {name}: {value}")
    if row["body"]:
        print(f"           {row['body'][:400]}")
    print(f"suggestion {row['grade']} (confidence {row['confidence'] or 0:.2f}, by {row['proposer']})")
    for label, text in json.loads(row["steps"]):
        print(f"           {label}: {text}")
    print(f"answer: afrel --as {account} respond {row['candidate_id']} --grade N", file=sys.stderr)


def show_act(
    response: Response,
    before: History,
    standing: HeldAct | None,
    after: Mapping[str, Any],
    scale: Scale,
    *,
    as_json: bool,
) -> None:
    """Print what was done, which answer of the account stands now, and what the candidate waits for."""
    if as_json:
        told = {
            "response_id": response.response_id,
            "act": response.act.value,
            "grade": response.grade,
            "target_id": response.target_id,
            "standing": None if standing is None else {"act": standing.act.value, "grade": standing.grade},
            "status": after["status"],
        }
        print(json.dumps(told))
        return
    what = _told(response, scale)
    if response.act is ResponseAct.WITHDRAWN and before.to_undo is not None:
        what += f" {_told(before.to_undo, scale)}"
    if standing is None:
        what += ", no answer of yours stands"
    elif standing.response_id != response.response_id:
        what += f", your answer is {_told(standing, scale)}"
    status = f"{after['status']} ({after['n_answers']} of {after['n_required']} answers)"
    print(f"{after['candidate_id']}: {what}; now {status}")


def _told(said: Response | HeldAct, scale: Scale) -> str:
    return said.act.value + (f" {scale.name(said.grade)}" if said.grade is not None else "")

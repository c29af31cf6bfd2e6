"""A snapshot row's prompt and completion: what models are trained on, written once for trainers and exports alike.

Kept apart as parts until the last moment, so that a prompt that is too long can lose body text first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curation.completion import Completion, render, render_prompt, steps_from_json
from storage.errors import UserError
from storage.grades import Scale


@dataclass(frozen=True, slots=True)
class PromptParts:
    """What a prompt is made of."""

    query: str
    title: str
    body: str = ""
    fields: Mapping[str, str] | None = None
    evidence: str = ""

    def render(self) -> str:
        """Return the prompt."""
        return render_prompt(self.query, self.title, body=self.body, fields=self.fields, evidence=self.evidence)


def prompt_parts(row: Mapping[str, Any], *, has_evidence: bool = True) -> PromptParts:
    """Return the parts of a row's prompt."""
    evidence = row["evidence"] if has_evidence else ""
    return PromptParts(row["query"], row["title"], row["body"] or "", json.loads(row["fields"] or "{}"), evidence or "")


def render_completion(row: Mapping[str, Any], scale: Scale, *, has_rationale: bool = True) -> str:
    """Return a row's completion; UserError names the row of which none can be made."""
    try:
        steps = steps_from_json(row["steps"]) if has_rationale else ()
        return render(Completion(row["grade"], steps), scale)
    except ValueError as error:
        raise UserError(
            f"row {row['row_hash']} (pair {row['pair_id']}) has no valid completion: {error}. "
            "The snapshot was not cut by afrel snapshot as it is; cut it anew"
        ) from error

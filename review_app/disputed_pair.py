"""A pair before an adjudicator: all that was said and decided of it, which rationales go with which grade, what is new.

What somebody has seen of it is a list of ids: of the answers that stand, and of the decisions there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from curation.adjudication import Rationale
from curation.completion import steps_from_json
from storage.clock import to_ms
from storage.store import Store

SUGGESTION, OWN, NONE = "suggestion", "own", "none"  # rationales that are no response's


@dataclass(frozen=True, slots=True)
class DisputedPair:
    """A pair as it is now, with everything that was ever done on it."""

    candidate_id: str
    pair_id: str
    proposed: Rationale
    acts: Sequence[Mapping[str, Any]]
    judgments: Sequence[Mapping[str, Any]]
    send_backs: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, store: Store, proposal: Mapping[str, Any]) -> DisputedPair:
        pair_id = proposal["pair_id"]
        return cls(
            candidate_id=proposal["candidate_id"],
            pair_id=pair_id,
            proposed=Rationale(proposal["grade"], steps_from_json(proposal["steps"])),
            acts=store.read("acts_on_pair", pair_id=pair_id).to_pylist(),
            judgments=store.read("judgments_on_pair", pair_id=pair_id).to_pylist(),
            send_backs=store.read("send_backs_on_pair", pair_id=pair_id).to_pylist(),
        )

    @property
    def standing(self) -> list[Mapping[str, Any]]:
        return [act for act in self.acts if act["is_standing"]]

    @property
    def current(self) -> Mapping[str, Any] | None:
        return next((row for row in self.judgments if row["is_current"]), None)

    @property
    def decided(self) -> set[str]:
        """The acts by which it was decided, in whichever way."""
        return {row["judgment_id"] for row in self.judgments} | {row["send_back_id"] for row in self.send_backs}

    @property
    def seen(self) -> list[str]:
        """What names the state that a decision rests on."""
        return sorted([act["response_id"] for act in self.standing] + list(self.decided))

    @property
    def rationales(self) -> dict[str, Rationale]:
        """Every rationale somebody wrote by its response, the weightiest first, and the suggestion's at the end."""
        written = {
            act["response_id"]: Rationale(act["grade"], steps_from_json(act["steps"]))
            for act in sorted(self.standing, key=lambda act: str(act["response_id"]))
            if act["grade"] is not None and act["steps"]
        }
        return {**written, SUGGESTION: self.proposed}

    def travelling(self, grade: int) -> list[str]:
        """Return which of them may go with a grade: those that argue for it."""
        return [key for key in self._arguing(grade) if self.rationales[key].steps]

    def default(self, grade: int) -> str:
        """Return which goes with a grade unless another is chosen; none where it was struck out."""
        first = next(iter(self._arguing(grade)), NONE)
        return first if first == NONE or self.rationales[first].steps else NONE

    def _arguing(self, grade: int) -> list[str]:
        """The suggestion's steps sent back unchanged with another grade were not written for that grade."""
        return [
            key
            for key, rationale in self.rationales.items()
            if rationale.grade == grade and (rationale.steps != self.proposed.steps or grade == self.proposed.grade)
        ]

    def news_since(self, seen: Sequence[str]) -> list[dict[str, Any]]:
        """Return what was said and decided that is not among what was seen, and what of it stands no more."""
        known = set(seen)
        news = [
            _news("settled", row, grade=row["grade"], origin=row["origin"], reason=row["reason"])
            for row in self.judgments
            if row["judgment_id"] not in known
        ]
        news += [
            _news("sent_back", row, reason=row["reason"]) for row in self.send_backs if row["send_back_id"] not in known
        ]
        answering = {act["account"] for act in self.standing}
        for act in self.acts:
            is_known = act["response_id"] in known
            if act["is_standing"] and not is_known:
                news.append(_news("answered", act, act=act["act"], grade=act["grade"]))
            elif is_known and not act["is_standing"] and not act["is_sent_back"] and act["account"] not in answering:
                news.append(_news("withdrawn", act))
        return news


def _news(kind: str, row: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    at = row.get("created_at") or row["effective_at"]
    return {"kind": kind, "account": row["account"], "at": to_ms(at), **more}


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON takes it: times in ms since 1970, steps as pairs."""
    told: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            told[name] = to_ms(value)
        else:
            told[name] = steps_told(value) if name == "steps" and value is not None else value
    return told


def steps_told(stored: str) -> list[list[str]]:
    return [[step.label, step.text] for step in steps_from_json(stored)]

"""The versions of the labelling instruction as they are told: where each comes from, what it scored, why it stands."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.errors import UserError
from storage.store import Store

HEAD = ("objective", "macro_f1", "qwk", "accuracy")  # told first; then the recall of each slice
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """One version: its row with `status`, the edits that made it, the latest score of each split and metric."""

    row: Row
    edits: tuple[Row, ...]
    scores: Mapping[tuple[str, str], Row]

    @property
    def instruction_id(self) -> str:
        """Its id."""
        return str(self.row["instruction_id"])

    @property
    def status(self) -> str:
        """Approved, rejected, proposed, or turned away by the machine."""
        return str(self.row["status"])

    def metrics(self) -> list[str]:
        """Return the names of its scores, in the order they are told."""
        names = sorted({metric for _, metric in self.scores})
        return [*(name for name in HEAD if name in names), *(name for name in names if name not in HEAD)]

    def to_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            **self.row,
            "characters": len(self.row["text"]),
            "edits": [dict(edit) for edit in self.edits],
            "scores": [dict(score) for score in self.scores.values()],
        }

    def compared_with(self, other: Told) -> dict[str, Any]:
        """Return the difference from this one to another for machines."""
        return {
            "first": self.instruction_id,
            "second": other.instruction_id,
            "diff": difference(self, other),
            "characters": [len(self.row["text"]), len(other.row["text"])],
            "dev": {
                metric: [_value(self, "dev", metric), _value(other, "dev", metric)]
                for metric in dict.fromkeys([*self.metrics(), *other.metrics()])
            },
        }


@dataclass(frozen=True, slots=True)
class History:
    """All versions, the oldest generation first, and the edits that never became a text."""

    versions: tuple[Told, ...]
    textless: tuple[Row, ...]

    def version(self, instruction_id: str) -> Told:
        """Return a version; UserError when there is none of that id."""
        for one in self.versions:
            if one.instruction_id == instruction_id:
                return one
        raise UserError(f"no instruction {instruction_id}. See what there is: afrel instructions log --all")

    def to_json(self, *, every: bool) -> dict[str, Any]:
        """Return it for machines; without `every` only what was not turned away."""
        return {
            "versions": [one.to_json() for one in self.versions if every or one.status != "turned away"],
            "edits_without_text": [dict(edit) for edit in self.textless] if every else [],
        }


def read_history(store: Store) -> History:
    """Read all versions with their edits and latest scores."""
    edits = store.read("instruction_edits").to_pylist()
    scores: dict[str, dict[tuple[str, str], Row]] = {}
    for score in store.read("instruction_scores").to_pylist():  # later rows come later and stay
        scores.setdefault(score["instruction_id"], {})[score["split"], score["metric"]] = score
    versions = [
        Told(
            row,
            tuple(edit for edit in edits if edit["instruction_id"] == row["instruction_id"]),
            scores.get(row["instruction_id"], {}),
        )
        for row in store.read("instruction_versions").to_pylist()
    ]
    return History(tuple(versions), tuple(edit for edit in edits if edit["instruction_id"] is None))


def told_version(one: Told) -> str:
    """Return a version in one line, with what was decided of it in a second."""
    row = one.row
    scores = "  ".join(
        f"{metric} {told}" for metric in ("macro_f1", "qwk") if (told := _interval(one, "dev", metric)) is not None
    )
    line = (
        f"{one.instruction_id}  {one.status:<11}  generation {row['generation']}  {row['operator']}  "
        f"{len(row['text'])} characters" + (f"  dev {scores}" if scores else "")
    )
    return "\n".join([line, *(f"    {edit['reason']}" for edit in one.edits)])


def told_edit(edit: Row) -> str:
    """Return an edit that never became a text in one line."""
    return f"-  {edit['operator']} of {edit['parent_id']}: {edit['reason']}"


def told_whole(one: Told) -> str:
    """Return a version whole: what it is, what was measured, its text."""
    row = one.row
    parents = [edit for edit in one.edits if edit["is_accepted"]] or list(one.edits)
    lines = [
        f"{one.instruction_id}  {one.status}  generation {row['generation']}  {row['operator']}  "
        f"{len(row['text'])} characters  {row['run_id']}"
    ]
    if row["parent_id"]:
        also = next((f" and {edit['other_parent_id']}" for edit in parents if edit["other_parent_id"]), "")
        lines.append(f"from {row['parent_id']}{also}")
    if row["decided_for"]:
        lines.append(f"decided: {row['decided_for']}")
    for edit in one.edits:
        lines.append(f"{'accepted' if edit['is_accepted'] else 'turned away'}: {edit['reason']}")
        lines.append(f"edit by {edit['proposer']}, labels by {edit['labeller']}: {edit['change']}")
    lines += _table([one])
    return "\n".join([*lines, "", row["text"]])


def told_difference(one: Told, other: Told) -> str:
    """Return how two versions differ: their lines, then their scores side by side."""
    lines = difference(one, other) or ["the texts are the same"]
    return "\n".join(
        [*lines, "", f"characters: {len(one.row['text'])} → {len(other.row['text'])}", *_table([one, other])]
    )


def difference(one: Told, other: Told) -> list[str]:
    """Return the unified diff of two texts."""
    before, after = (version.row["text"].splitlines() for version in (one, other))
    return list(difflib.unified_diff(before, after, one.instruction_id, other.instruction_id, lineterm="", n=2))


def _table(versions: Sequence[Told]) -> list[str]:
    """Return the scores of versions, a line for each split and metric."""
    names = dict.fromkeys(metric for one in versions for metric in one.metrics())
    lines = []
    for split in ("dev", "train"):
        for metric in names:
            told = [_interval(one, split, metric) for one in versions]
            if any(said is not None for said in told):
                lines.append(f"{split:<5}  {metric:<32}  " + "  →  ".join(said or "-" for said in told))
    return lines


def _value(one: Told, split: str, metric: str) -> float | None:
    score = one.scores.get((split, metric))
    return None if score is None else score["value"]


def _interval(one: Told, split: str, metric: str) -> str | None:
    score = one.scores.get((split, metric))
    if score is None:
        return None
    if score["value"] is None:
        return f"undefined (n={score['n']})"
    bounds = "" if score["low"] is None else f" [{score['low']:.3f}, {score['high']:.3f}]"
    return f"{score['value']:.3f}{bounds} (n={score['n']})"

"""What the screens said of one candidate, with the words of what it matched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.completion import one_line
from curation.screening_context import rationale, read_steps
from storage.errors import UserError
from storage.store import Store

_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Said:
    """A row of screenings, and what it matched as lines to read; none where it matched nothing."""

    row: dict[str, Any]
    matched: tuple[str, ...]


def explain(store: Store, candidate_id: str) -> list[Said]:
    """Return what the screens said of a candidate; UserError where none has seen it."""
    rows = store.read("why_screenings", id=candidate_id).to_pylist()
    if not rows:
        raise UserError(f"no screen has seen a candidate {candidate_id!r}. Screen what is new: afrel screen")
    return [Said(row, tuple(map(_shown, _matched(store, row["matched_id"])))) for row in rows]


def _matched(store: Store, matched_id: str | None) -> Sequence[str]:
    prefix = (matched_id or "").partition("_")[0]
    tell = _TELLING.get(prefix)
    return tell(store, str(matched_id)) if tell is not None else ()


def _candidate(store: Store, candidate_id: str) -> list[str]:
    found = store.read("why_candidate", id=candidate_id).to_pylist()
    if not found:
        return []
    rows = store.read("why_candidates", id=found[0]["pair_id"]).to_pylist()
    (row,) = (row for row in rows if row["candidate_id"] == candidate_id)
    words = rationale(read_steps(row["steps"]))
    return [f"{candidate_id}, grade {row['grade']}: {words}", *_pair(store, row["pair_id"])]


def _pair(store: Store, pair_id: str) -> list[str]:
    found = store.read("why_pair", id=pair_id).to_pylist()
    return [f"{pair_id}: {row['query']} | {row['title']}" for row in found]


def _query(store: Store, query_id: str) -> list[str]:
    return [f"{query_id}: {row['text']}" for row in store.read("query_texts", ids=[query_id]).to_pylist()]


def _rule(store: Store, rule_id: str) -> list[str]:
    found = store.read("why_rules", ids=[rule_id]).to_pylist()
    return [f"{rule_id}, {row['status']}: {row['text']}" for row in found]


def _instruction(store: Store, instruction_id: str) -> list[str]:
    found = store.read("instructions").to_pylist()
    return [f"{instruction_id}: {row['text']}" for row in found if row["instruction_id"] == instruction_id]


# by what ids of each kind begin with
_TELLING: Mapping[str, Callable[[Store, str], Sequence[str]]] = {
    "c": _candidate,
    "p": _pair,
    "q": _query,
    "r": _rule,
    "i": _instruction,
}


def _shown(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"

"""One screening of a workspace: what candidates are held against, read from the store, and what was found, as rows.

Sketches of queries, docs and rationales are kept under `sketches/` of the workspace, so a second screening reads and
hashes only texts that are new since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curation.pair_likeness import Likeness, TextGroups, group_texts
from curation.screening import Screened, screen_all
from curation.screening_config import ScreeningConfig
from curation.screening_context import ScreeningContext, rationale, read_steps
from curation.screens_likeness import count_shared_docs
from curation.sketch_files import keep, read_kept
from curation.sketches import Sketches, concat_sketches, sketch
from curation.text import doc_text
from storage.clock import now
from storage.ids import content_id
from storage.progress import Stage, Watch, unwatched
from storage.rows import ScreeningRow
from storage.session import read_scale
from storage.store import Store

N_OTHER_RATIONALES = 20_000  # of candidates that passed before, the latest: what boilerplate is told by
_TEXTS_AT_ONCE = 5000

Texts = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Screening:
    """What a screening found of which candidates; `n_shared_docs` is told and fails nobody."""

    candidates: pl.DataFrame
    found: Screened
    n_shared_docs: int


def screen_store(
    store: Store, config: ScreeningConfig, *, sketch_folder: Path | None, watch: Watch = unwatched
) -> Screening | None:
    """Screen every candidate no screen has seen; None when there is none. Writes no row.

    Sketches are kept in `sketch_folder` and taken from there; None keeps none.
    """
    candidates = store.frame("unscreened")
    if candidates.is_empty():
        return None
    standing = store.frame("standing_pairs")
    held_back = {row["query_id"]: row["query"] for row in store.read("held_back_queries").to_pylist()}
    threshold = min(config.near_duplicate, config.leak)
    context = ScreeningContext(
        scale=read_scale(store),
        config=config,
        likeness=Likeness(
            queries=_groups(
                [*standing["query_id"], *held_back],
                candidates["query_id"],
                texts=lambda ids: _query_texts(store, ids),
                folder=sketch_folder and sketch_folder / "query",
                threshold=threshold,
                watch=watch,
            ),
            docs=_groups(
                standing["doc_id"],
                candidates["doc_id"],
                texts=lambda ids: _doc_texts(store, ids),
                folder=sketch_folder and sketch_folder / "doc",
                threshold=threshold,
                watch=watch,
            ),
            rationales=_groups(
                standing.filter(pl.col("standing_id") != pl.col("pair_id"))["standing_id"],
                candidates["candidate_id"],
                texts=lambda ids: _rationales(store, ids),
                folder=sketch_folder and sketch_folder / "rationale",
                threshold=threshold,
                watch=watch,
            ),
        ),
        rule_statuses={row["rule_id"]: row["status"] for row in store.read("rules").to_pylist()},
        votes=frozenset(store.frame("votes_of_unscreened").select("rule_id", "pair_id").iter_rows()),
        held_back=held_back,
        standing=standing,
        snapshots=dict(store.frame("snapshots_of_pairs").select("pair_id", "snapshot_id").iter_rows()),
        kin=_kin(store.frame("mutation_kin")),
        instructions={row["instruction_id"]: row["text"] for row in store.read("instructions").to_pylist()},
        other_rationales=store.frame("passed_rationales", n=N_OTHER_RATIONALES),
    )
    shared = count_shared_docs(candidates, context, frozenset(store.frame("held_back_docs")["doc_id"]))
    return Screening(candidates, screen_all(candidates, context), shared)


def screening_rows(screening: Screening, run_id: str) -> list[ScreeningRow]:
    """Return a row for each failure; for each candidate that passed one of screen `all`, and its flags.

    A flag stands only beside `all`, for a candidate counts as passed when any of its rows says so.
    """
    at = now()

    def row(candidate_id: str, screen: str, *, is_passed: bool, **more: Any) -> ScreeningRow:
        return ScreeningRow(
            screening_id=content_id("s", candidate_id, screen),
            candidate_id=candidate_id,
            screen=screen,
            is_passed=is_passed,
            run_id=run_id,
            created_at=at,
            **more,
        )

    failed = set(screening.found.failures["candidate_id"])
    passed = [one for one in screening.candidates["candidate_id"] if one not in failed]
    return [
        *(row(**failure, is_passed=False) for failure in screening.found.failures.to_dicts()),
        *(row(one, "all", is_passed=True, reason="no screen objects") for one in passed),
        *(row(**flag, is_passed=True) for flag in screening.found.flags.to_dicts()),
    ]


def _groups(
    known_ids: Iterable[str],
    asked_ids: Iterable[str],
    *,
    texts: Texts,
    folder: Path | None,
    threshold: float,
    watch: Watch,
) -> TextGroups:
    """Group the texts that are asked about and those they are held against, sketching what is not kept."""
    asked = list(dict.fromkeys(asked_ids))
    needed = dict.fromkeys([*known_ids, *asked])
    kept = read_kept(folder) if folder is not None else concat_sketches([])
    held = set(kept.ids)
    missing = [text_id for text_id in needed if text_id not in held]
    parts: list[Sketches] = []
    for begin in range(0, len(missing), _TEXTS_AT_ONCE):
        some = missing[begin : begin + _TEXTS_AT_ONCE]
        watch(Stage.HASHING, begin, len(missing))
        parts.append(sketch(some, texts(some)))
    new = concat_sketches(parts)
    if folder is not None and len(new):
        keep(folder, new)
    together = concat_sketches([kept, new])
    rows = {text_id: row for row, text_id in enumerate(together.ids)}
    # in the order of `needed`: the first of equals gives a group its name, and that is who came first
    return group_texts(
        together.take(np.array([rows[text_id] for text_id in needed], dtype=np.int64)), asked, threshold=threshold
    )


def _query_texts(store: Store, ids: Sequence[str]) -> list[str]:
    found = dict(store.frame("query_texts", ids=list(ids)).select("query_id", "text").iter_rows())
    return [found[query_id] for query_id in ids]


def _doc_texts(store: Store, ids: Sequence[str]) -> list[str]:
    rows = store.frame("doc_texts", ids=list(ids)).select("doc_id", "title", "body", "fields").iter_rows()
    found = {doc_id: doc_text(title, body, fields) for doc_id, title, body, fields in rows}
    return [found[doc_id] for doc_id in ids]


def _rationales(store: Store, ids: Sequence[str]) -> list[str]:
    rows = store.frame("steps_of_candidates", ids=list(ids)).select("candidate_id", "steps").iter_rows()
    found = {candidate_id: rationale(read_steps(steps)) for candidate_id, steps in rows}
    return [found[candidate_id] for candidate_id in ids]


def _kin(made: pl.DataFrame) -> frozenset[tuple[str, str]]:
    pairs = list(made.select("pair_id", "parent_pair_id").iter_rows())
    return frozenset([*pairs, *((parent, child) for child, parent in pairs)])

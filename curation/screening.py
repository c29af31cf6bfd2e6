"""First screening: what a machine can tell is wrong with a candidate before a person looks at it.

A screen is a pure function from unscreened candidates to failures, each with a reason and the id it was held against;
it never drops a row and never sees a dev or test grade, only digests of those splits' queries.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from curation.completion import Completion, Step, implied_grade, render
from curation.text import comparable
from storage.grades import Scale
from storage.ids import digest

CANDIDATE_COLUMNS = (
    "candidate_id", "pair_id", "query", "title", "body", "fields", "split", "grade", "steps", "rule_ids"
)  # fmt: skip
FAILURE_SCHEMA: dict[str, pl.DataType] = {
    "candidate_id": pl.String(),
    "screen": pl.String(),
    "score": pl.Float64(),
    "matched_id": pl.String(),
    "reason": pl.String(),
}


@dataclass(frozen=True, slots=True)
class ScreeningContext:
    """What candidates are held against.

    `held_back_queries` maps the `query_digest` of each dev and test query to its query_id. `standing` are candidates
    that passed before (columns of an unscreened one); they are earlier than any unscreened candidate.
    """

    scale: Scale
    known_rule_ids: frozenset[str]
    held_back_queries: Mapping[str, str] = field(default_factory=dict)
    standing: pl.DataFrame | None = None


Screen = Callable[[pl.DataFrame, ScreeningContext], pl.DataFrame]


def query_digest(text: str) -> str:
    """Return the digest under which two spellings of one query are the same (case, width, blanks, punctuation)."""
    return digest(comparable(text))


def screen_schema(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Fail a candidate whose grade is off the scale, whose steps cannot be read, or which cites an unknown rule."""
    return _failures(
        "schema",
        (
            (row["candidate_id"], None, reason)
            for row in candidates.iter_rows(named=True)
            if (reason := _schema_mistake(row, context)) is not None
        ),
    )


def screen_exact_duplicate(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Fail a candidate that says of another pair what an earlier one said: same query, doc text and grade.

    Candidates come in the order they were made; the earlier one stays.
    """
    first: dict[str, tuple[str, str]] = {}
    for row in () if context.standing is None else context.standing.iter_rows(named=True):
        first.setdefault(_content_digest(row), (row["candidate_id"], row["pair_id"]))
    found: list[tuple[str, str | None, str]] = []
    for row in candidates.iter_rows(named=True):
        kept_id, kept_pair = first.setdefault(_content_digest(row), (row["candidate_id"], row["pair_id"]))
        if kept_pair != row["pair_id"]:
            reason = f"same query, doc and grade as {kept_id} of pair {kept_pair}"
            found.append((row["candidate_id"], kept_id, reason))
    return _failures("exact_duplicate", found)


def screen_leak(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Fail a train candidate whose query is one of the dev or test split, written the same or almost so."""
    train = candidates.filter(pl.col("split") == "train")
    matched = {text: context.held_back_queries.get(query_digest(text)) for text in train["query"].unique().to_list()}
    return _failures(
        "leak",
        (
            (candidate_id, query_id, f"its query is the dev or test query {query_id}")
            for candidate_id, text in train.select("candidate_id", "query").iter_rows()
            if (query_id := matched[text]) is not None
        ),
    )


def screen_implied_grade(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Fail a candidate whose verdict names another grade than it proposes."""
    found: list[tuple[str, str | None, str]] = []
    for candidate_id, grade, text in candidates.select("candidate_id", "grade", "steps").iter_rows():
        steps = _read_steps(text)
        if steps is None:
            continue
        implied = implied_grade(Completion(grade, steps), context.scale)
        if implied is not None and implied != grade:
            found.append((candidate_id, None, f"the verdict says {implied}, the grade is {grade}"))
    return _failures("implied_grade", found)


SCREENS: dict[str, Screen] = {
    "schema": screen_schema,
    "exact_duplicate": screen_exact_duplicate,
    "leak": screen_leak,
    "implied_grade": screen_implied_grade,
}


def screen_all(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Return the failures of all screens; a candidate with no row passed every one."""
    return pl.concat([screen(candidates, context) for screen in SCREENS.values()])


def _schema_mistake(row: Mapping[str, Any], context: ScreeningContext) -> str | None:
    if row["grade"] not in context.scale:
        return f"grade {row['grade']} is off the scale {list(context.scale.values)}"
    steps = _read_steps(row["steps"])
    if steps is None:
        return "the steps are not a list of [label, text]"
    completion = Completion(row["grade"], steps)
    try:
        render(completion, context.scale)
    except ValueError as error:
        return str(error)
    cited = dict.fromkeys([*completion.rule_ids, *(row["rule_ids"] or [])])
    unknown = [rule_id for rule_id in cited if rule_id not in context.known_rule_ids]
    return f"cites unknown rules: {', '.join(unknown)}" if unknown else None


def _read_steps(text: str | None) -> tuple[Step, ...] | None:
    """Read stored steps that may be anything; None when they are no list of [label, text]."""
    try:
        pairs = json.loads(text or "[]")
    except json.JSONDecodeError:
        return None
    if not isinstance(pairs, list):
        return None
    steps = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            return None
        steps.append(Step(pair[0], pair[1]))
    return tuple(steps)


def _content_digest(row: Mapping[str, Any]) -> str:
    fields = sorted((comparable(name), comparable(str(value))) for name, value in json.loads(row["fields"]).items())
    return digest([comparable(row["query"]), comparable(row["title"]), comparable(row["body"]), fields, row["grade"]])


def _failures(screen: str, found: Iterable[tuple[str, str | None, str]]) -> pl.DataFrame:
    rows = [(candidate_id, screen, None, matched_id, reason) for candidate_id, matched_id, reason in found]
    return pl.DataFrame(rows, schema=FAILURE_SCHEMA, orient="row")

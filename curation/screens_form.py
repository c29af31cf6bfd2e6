"""Screens of what a candidate says about itself: grade, steps, the rules it cites, the grade its verdict names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from curation.completion import Completion, implied_grade, render
from curation.screening_context import Finding, ScreeningContext, failures, read_steps


def screen_schema(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """A grade off the scale, or steps that cannot be read or rendered."""
    return failures(
        "schema",
        (
            Finding(row["candidate_id"], reason)
            for row in candidates.iter_rows(named=True)
            if (reason := _schema_mistake(row, context)) is not None
        ),
    )


def screen_unknown_rule(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Cites a rule that is not there."""
    found = []
    for row in candidates.iter_rows(named=True):
        unknown = [rule_id for rule_id in cited_rules(row) if rule_id not in context.rule_statuses]
        if unknown:
            found.append(Finding(row["candidate_id"], f"cites unknown rules: {', '.join(unknown)}"))
    return failures("unknown_rule", found)


def screen_unapproved_rule(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Cites a rule that is rejected or waits for approval."""
    found = []
    for row in candidates.iter_rows(named=True):
        wrong = [
            (rule_id, status)
            for rule_id in cited_rules(row)
            if (status := context.rule_statuses.get(rule_id)) not in (None, "approved")
        ]
        if wrong:
            told = ", ".join(f"{rule_id}, which is {status}" for rule_id, status in wrong)
            found.append(Finding(row["candidate_id"], f"cites {told}", matched_id=wrong[0][0]))
    return failures("unapproved_rule", found)


def screen_inapplicable_rule(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Cites an approved rule whose condition does not hold for the pair."""
    found = []
    for row in candidates.iter_rows(named=True):
        wrong = [
            rule_id
            for rule_id in cited_rules(row)
            if context.rule_statuses.get(rule_id) == "approved" and (rule_id, row["pair_id"]) not in context.votes
        ]
        if wrong:
            reason = f"cites rules that do not vote on its pair: {', '.join(wrong)}"
            found.append(Finding(row["candidate_id"], reason, matched_id=wrong[0]))
    return failures("inapplicable_rule", found)


def screen_implied_grade(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """The verdict names another grade than is proposed."""
    found = []
    for candidate_id, grade, text in candidates.select("candidate_id", "grade", "steps").iter_rows():
        steps = read_steps(text)
        if steps is None:
            continue
        implied = implied_grade(Completion(grade, steps), context.scale)
        if implied is not None and implied != grade:
            found.append(Finding(candidate_id, f"the verdict says {implied}, the grade is {grade}"))
    return failures("implied_grade", found)


def cited_rules(row: Mapping[str, Any]) -> list[str]:
    """Return the rules a candidate cites, in its steps or beside them, each once."""
    steps = read_steps(row["steps"]) or ()
    return list(dict.fromkeys([*Completion(row["grade"], steps).rule_ids, *(row["rule_ids"] or [])]))


def _schema_mistake(row: Mapping[str, Any], context: ScreeningContext) -> str | None:
    if row["grade"] not in context.scale:
        return f"grade {row['grade']} is off the scale {list(context.scale.values)}"
    steps = read_steps(row["steps"])
    if steps is None:
        return "the steps are not a list of [label, text]"
    try:
        render(Completion(row["grade"], steps), context.scale)
    except ValueError as error:
        return str(error)
    return None

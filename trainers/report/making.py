"""How a run was made: its data, its configuration, the runs before it and the commands that make it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trainers.report.contents import Contents
from trainers.report.html import Html, join, tag
from trainers.report.lineage import Ancestor
from trainers.report.snapshot_facts import SnapshotFacts, TierFacts


def data_section(contents: Contents) -> Html | None:
    """Return what the run was trained on; None for a run that has not said it."""
    record, snapshot = contents.record, contents.snapshot
    if not record:
        return None
    facts: list[tuple[str, object]] = [
        ("snapshot", tag("code", record["snapshot_id"])),
        ("manifest SHA-256", tag("code", record["manifest_digest"])),
        ("rows trained on", record["n_rows"]),
    ]
    facts += [(name, said) for name, said in _cuts(record) if said]
    if snapshot is None:
        return join([_facts(facts), tag("p", "Its folder is not here, so there is no more to say of it.")])
    facts.append(("signed by", _signed(snapshot)))
    if snapshot.sources:
        facts.append(("sources", _counts(snapshot.sources)))
    if snapshot.left_out:
        facts.append(("left out when cut", _counts(snapshot.left_out)))
    problems = [tag("p", problem) for problem in snapshot.problems]
    return join(
        [
            tag("div", tag("p", "The snapshot is not what was signed:"), *problems, class_="gaps")
            if problems
            else None,
            _facts(facts),
            tag("h3", "Rows by tier and grade"),
            _tiers(snapshot),
        ]
    )


def _cuts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what did not go into training as it was, where anything did not."""
    told = [
        ("prompts cut to length", str(record.get("n_prompts_cut") or "")),
        ("rationales cut to length", str(record.get("n_completions_cut") or "")),
        ("pairs of answers", str(record.get("n_pairs") or "")),
        ("pairs by origin", _counts(record.get("n_by_origin") or {})),
        ("left out of pairs", _counts(record.get("left_out") or {})),
    ]
    if texts := record.get("texts"):
        lines = f"{texts['path']}, SHA-256 {texts['sha256']}"
        told.append(("text file", lines))
    return told


def _signed(snapshot: SnapshotFacts) -> str:
    said = []
    for one in snapshot.tiers:
        said.append(f"tier {one.tier}: {', '.join(one.signed_by) or 'nobody'}")
    return " · ".join(said)


def _tiers(snapshot: SnapshotFacts) -> Html:
    names = [f"{grade} {name}" for grade, name in snapshot.grades.items()]
    head = tag("tr", *(tag("th", one) for one in ("tier", "split", "rows", *names, "with reasons")))
    rows = [row for one in snapshot.tiers for row in _tier_rows(one, list(snapshot.grades))]
    said = "Grey tiers were not trained on. Grades of test rows stay closed."
    return join(
        [
            tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="wide"),
            tag("p", said, class_="quiet"),
        ]
    )


def _tier_rows(one: TierFacts, grades: Sequence[int]) -> list[Html]:
    rows = []
    for split, n in one.n_rows.items():
        counts = [one.grades[split].get(grade, 0) if split in one.grades else "" for grade in grades]
        reasons = one.n_reasoned if split == "train" else ""
        rows.append(
            tag(
                "tr",
                tag("th", f"{one.tier} {one.name}", scope="row"),
                *(tag("td", value, class_="number") for value in (split, n, *counts, reasons)),
                class_=None if one.is_trained_on else "few",
            )
        )
    return rows


def configuration_section(contents: Contents) -> Html | None:
    """Return the resolved configuration, and what it ran on; None for a run that has not said it."""
    record = contents.record
    if not record:
        return None
    rows = [(key, tag("code", json.dumps(value, ensure_ascii=False))) for key, value in record["config"].items()]
    ran = [("code", record["code_version"]), *sorted(record["versions"].items())]
    return join([_facts(rows), tag("h3", "What it ran on"), _facts(ran)])


def lineage_section(contents: Contents) -> Html | None:
    """Return the chain of runs with the commands that make each again; None where there is none to tell."""
    if not contents.ancestors:
        return None
    said = (
        "The same configuration on the same snapshot is the same run. Write each configuration to the file its command "
        "names, put an engineer's name for ACCOUNT, and give the commands in this order."
    )
    return join([tag("p", said), tag("ol", *(_ancestor(one) for one in contents.ancestors), class_="chain")])


def _ancestor(one: Ancestor) -> Html:
    revision = f", revision {one.base_revision}" if one.base_revision else ""
    told = f"{one.method or 'a run'} from {one.model}{revision}, on {one.snapshot_id}"
    config = (
        tag("details", tag("summary", f"{one.method}.toml"), tag("pre", one.config)) if one.config is not None else None
    )
    return tag(
        "li", tag("b", one.run_id), " ", tag("span", told, class_="quiet"),
        tag("pre", "\n".join(one.commands)) if one.commands else None, config,
    )  # fmt: skip


def _facts(rows: Sequence[tuple[str, object]]) -> Html:
    drawn = [tag("tr", tag("th", name, scope="row"), tag("td", said)) for name, said in rows]
    return tag("div", tag("table", tag("tbody", *drawn), class_="facts"), class_="wide")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n)

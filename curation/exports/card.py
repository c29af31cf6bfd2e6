"""The card of an export, `README.md`: what is in it, who stands behind it, what is missing, how to check it.

The front matter names a config for each format, and for each tier of it, so that `datasets.load_dataset` finds the
files. Nothing on the card depends on when it was written: the same export again is the same card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curation.agreement import Agreement
from curation.exports.facts import Facts
from curation.exports.formats import LineFormat, TableFormat
from curation.exports.given import Given
from curation.exports.source import Source
from curation.exports.writing import Part, parts_of_all, table_folder

THIN_ROWS = 30  # a grade of a tier with fewer train rows says little by itself


@dataclass(frozen=True, slots=True)
class Stated:
    """What the card says beside the rows: licences by source, and how personal data was treated."""

    licences: Mapping[str, str]
    keeps_personal: bool
    has_store: bool


def card(
    source: Source,
    formats: Sequence[TableFormat | LineFormat],
    parts: Sequence[Part],
    given: Given,
    *,
    facts: Facts,
    stated: Stated,
) -> str:
    """Return the text of the card."""
    sections = [
        _front_matter(formats, parts),
        f"# {source.manifest.snapshot_id}\n\nQueries, docs and relevance grades with their reasons: rows of snapshot "
        f"`{source.manifest.snapshot_id}`. Where a model answers, the grade comes first. The scale: {_scale(source)}.",
        _formats(formats, parts),
        _rows(source, facts),
        _agreement(given.agreement, has_store=stated.has_store),
        _sources(facts, given, stated.licences),
        _ids(given, formats),
        _personal(given, stated),
        _gaps(source, facts, given),
        _checking(source),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(formats: Sequence[TableFormat | LineFormat], parts: Sequence[Part]) -> str:
    """Return the YAML: configs where there are Parquet files. Names and paths are quoted as JSON, which is YAML."""
    lines = ["---", "task_categories:", "- text-ranking", "tags:", "- relevance", "- afrel"]
    configs = []
    for one in formats:
        held = [part for part in parts if part.format == one.name and part.n_rows]
        if held and isinstance(one, TableFormat):
            configs.append((one.name, parts_of_all(held, one.name)))
            configs += [
                (f"{one.name}-tier_{tier}", [part for part in held if part.tier == tier])
                for tier in sorted({part.tier for part in held if part.tier is not None})
            ]
    lines += ["configs:"] if configs else []
    for place, (name, held) in enumerate(configs):
        lines += (
            [f"- config_name: {json.dumps(name)}"] + (["  default: true"] if place == 0 else []) + ["  data_files:"]
        )
        for split in dict.fromkeys(part.split for part in held):
            lines += [f"  - split: {split}", "    path:"]
            lines += [
                f"    - {json.dumps(f'{table_folder(part.format, part.tier)}/{split}-*.parquet')}"
                for part in held
                if part.split == split
            ]
    return "\n".join([*lines, "---"])


def _formats(formats: Sequence[TableFormat | LineFormat], parts: Sequence[Part]) -> str:
    lines = ["## Formats", "", "| format | for | rows |", "|---|---|---|"]
    for one in formats:
        n_by_split: dict[str, int] = {}
        for part in parts_of_all(parts, one.name):
            n_by_split[part.split] = n_by_split.get(part.split, 0) + part.n_rows
        told = ", ".join(f"{n} {split}" for split, n in n_by_split.items() if n)
        lines.append(f"| `{one.name}` | {one.what} | {told or 'none'} |")
    return "\n".join(lines)


def _rows(source: Source, facts: Facts) -> str:
    lines = ["## Tiers", "", "| tier | split | rows | with reasons | grades | signed by |", "|---|---|---|---|---|---|"]
    for entry, split in source.parts():
        n_rows = entry.n_rows[split]
        grades = ", ".join(f"{n} of {grade}" for grade, n in facts.n_by_grade[entry.tier, split].items())
        signers = ", ".join(source.signers[entry.tier]) or "nobody"
        n_reasoned = n_rows - facts.n_without_reasons[entry.tier, split]
        lines.append(f"| {entry.tier} {_cell(entry.name)} | {split} | {n_rows} | {n_reasoned} | {grades} | {signers} |")
    unsigned = [str(entry.tier) for entry in source.tiers if not source.signers[entry.tier]]
    if unsigned:
        lines += ["", f"**Nobody has signed tier {', '.join(unsigned)}**: no one vouches for its rows yet."]
    return "\n".join([*lines, "", "People are named by pseudonym. Test rows stay where they were judged."])


def _agreement(agreement: Agreement | None, *, has_store: bool) -> str:
    if agreement is None or not has_store:
        said = "Unknown: this was exported away from the workspace that holds the answers."
    elif agreement.coefficient is None:
        said = f"Undefined: {agreement.n} of these pairs were answered by two or more people."
    else:
        between = agreement.interval
        span = "" if between is None else f" (95% interval {between.low:.2f} to {between.high:.2f})"
        said = (
            f"Krippendorff's alpha, ordinal: {agreement.coefficient:.2f}{span}, n = {agreement.n} pairs answered by "
            "two or more people."
        )
    return f"## Agreement\n\n{said}"


def _sources(facts: Facts, given: Given, licences: Mapping[str, str]) -> str:
    """Return who brought the texts, under which licence; away from the workspace only where each pair came from."""
    pairs = ", ".join(f"{n} {_cell(name)}" for name, n in facts.n_by_source.items())
    if given.text_sources is None:
        lines = ["| source of pairs | pairs | licence |", "|---|---|---|"]
        told = [(name, str(n_rows)) for name, n_rows in facts.n_by_source.items()]
    else:
        lines = ["| source of texts | queries | docs | licence |", "|---|---|---|---|"]
        told = [(one.name, f"{one.n_queries} | {one.n_docs}") for one in given.text_sources]
    lines += [f"| {_cell(name)} | {counts} | {_cell(licences.get(name, 'not stated'))} |" for name, counts in told]
    lines += ["", f"Pairs by where they came from: {pairs}."]
    if facts.n_by_operator:
        made = ", ".join(f"{n} by `{operator}`" for operator, n in facts.n_by_operator.items())
        lines.append(f"Rewritten on purpose from other rows: {made}.")
    return "\n".join(["## Sources", "", *lines])


def _ids(given: Given, formats: Sequence[TableFormat | LineFormat]) -> str:
    if not any(isinstance(one, LineFormat) for one in formats):
        return ""
    n_queries, n_docs = len(given.names.queries), len(given.names.docs)
    return (
        f"## Ids\n\n{given.names.n_own_queries} of {n_queries} queries and {given.names.n_own_docs} of {n_docs} docs "
        "go by the id their source gave them; the others by afrel's, the hash of their text: those without an id, and "
        "those whose id holds a blank, stands for more than one text or holds personal data."
    )


def _personal(given: Given, stated: Stated) -> str:
    if stated.keeps_personal:
        said = "Not masked: texts are as they were, e-mail addresses and numbers of people included."
    else:
        said = (
            f"{given.n_masked} texts (a text counts in each row and file it stands in) had e-mail addresses, phone or "
            "id numbers, which are masked as `<email>`, `<phone>`, `<id_number>`. The search goes by form; other "
            "personal data may remain."
        )
    return f"## Personal data\n\n{said}"


def _gaps(source: Source, facts: Facts, given: Given) -> str:
    gaps = []
    n_without = sum(facts.n_without_reasons.values())
    if n_without:
        gaps.append(f"{n_without} rows have a grade and no reasons")
    for entry in source.tiers:
        for split in source.splits:
            if not entry.n_rows[split]:
                gaps.append(f"tier {entry.tier} has no {split} rows")
        if "train" not in source.splits or not entry.n_rows["train"]:
            continue
        counts = facts.n_by_grade[entry.tier, "train"]
        for grade in source.scale.values:
            n_rows = counts.get(grade, 0)
            if n_rows < THIN_ROWS:
                gaps.append(f"tier {entry.tier} has {n_rows or 'no'} train rows of grade {grade}")
    gaps += [f"{n} {reason}: left out" for reason, n in sorted(given.left_out.items())]
    return "\n".join(["## Known gaps", "", *(f"- {gap}" for gap in gaps)]) if gaps else "## Known gaps\n\nNone known."


def _checking(source: Source) -> str:
    snapshot_id = source.manifest.snapshot_id
    return (
        f"## How to check\n\nThese files were made from snapshot `{snapshot_id}` (SHA-256 of its manifest "
        f"`{source.manifest.digest}`). Where the snapshot lies, check it row by row, with its signatures, and export "
        f"it again: the same files come out.\n\n```\nafrel verify {snapshot_id}\nafrel account pins > pins.json\n"
        f"afrel verify {snapshot_id} --pins pins.json     # away from the workspace\n```"
    )


def _scale(source: Source) -> str:
    return ", ".join(f"{value} ({name})" for value, name in zip(source.scale.values, source.scale.names, strict=True))


def _cell(text: str) -> str:
    """Return a text that breaks no table: names of tiers and sources are anybody's words."""
    return " ".join(text.split()).replace("|", "\\|")

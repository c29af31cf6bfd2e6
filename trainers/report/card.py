"""The model card: `README.md` beside the weights, in the form of the Hugging Face hub.

It says what the model is, what it learnt from, how good it is, how it is asked and how its grade is read, and how to
make it again. Written when a run ends and anew when it is measured; it is no part of what a run is known by, so a card
that somebody has edited alters no run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.prompt_parts import PromptParts
from storage import durable
from trainers.evaluation.metrics import Measure
from trainers.evaluation.text import place_of
from trainers.models.starting_point import TINY
from trainers.report.lineage import Ancestor, ancestors
from trainers.report.measured import Measured, last_measured
from trainers.runs.directory import CARD, RunDirectory

HEADLINES = ("accuracy", "macro_f1", "qwk", "ece", "ndcg@10")


def write_card(
    run: RunDirectory,
    *,
    evaluations: Sequence[Mapping[str, Any]],
    licences: Mapping[str, str],
    sources: Sequence[str] | None,
) -> Path:
    """Write the card of a finished run and return where it lies.

    evaluations: rows of `evaluations_of`. licences: by source, as the workspace states them. sources: of the train
    rows, None where the snapshot is not here.
    """
    path = run.model_dir / CARD
    text = card(run, measured=last_measured(evaluations), licences=licences, sources=sources)
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
        durable.replace(path, text, folder=run.model_dir)
    return path


def card(
    run: RunDirectory, *, measured: Sequence[Measured], licences: Mapping[str, str], sources: Sequence[str] | None
) -> str:
    """Return the text of a card."""
    record, chain = run.read(), ancestors(run, None)
    measured = [one for one in measured if one.verb == "evaluate"]
    grades = record["method"] != "dapt"
    sections = [
        _front_matter(record, chain, measured),
        _title(record, chain),
        _use() if grades else _no_grader(run.run_id),
        _asking(record) if grades else "",
        _data(record, licences, sources),
        _figures(run.run_id, measured) if grades else "",
        _limits(measured) if grades else "",
        _again(chain),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(record: Mapping[str, Any], chain: Sequence[Ancestor], measured: Sequence[Measured]) -> str:
    """Return the YAML. Values are quoted as JSON, which is YAML."""
    lines = ["---", "library_name: transformers", "pipeline_tag: text-ranking", "tags:", "- afrel", "- relevance"]
    base = base_model(chain)
    if base is not None:
        lines += [f"base_model: {json.dumps(base)}"]
    results = [line for one in measured for line in _result(one)]
    if results:
        lines += ["model-index:", f"- name: {json.dumps(record['run_id'])}", "  results:", *results]
    return "\n".join([*lines, "---"])


def _result(one: Measured) -> list[str]:
    held = {measure.metric: measure for measure in one.measures.get("run", ())}
    figures = [held[name] for name in HEADLINES if name in held and held[name].value is not None]
    if not figures:
        return []
    lines = ["  - task:", "      type: text-ranking", "    dataset:", f"      name: {json.dumps(one.snapshot_id)}"]
    lines += [f"      type: {json.dumps(one.snapshot_id)}", f"      split: {one.split}", "    metrics:"]
    for figure in figures:
        lines += [f"    - type: {json.dumps(figure.metric)}", f"      value: {figure.value:.4f}"]
        lines += [f"      name: {json.dumps(f'{figure.metric} on {one.split}')}"]
    return lines


def base_model(chain: Sequence[Ancestor]) -> str | None:
    """Return the hub's name of what the first run of a chain began with; None for a tiny model and for a folder."""
    first = chain[0].model
    is_named = first.count("/") == 1 and not first.startswith((".", "/", "~")) and not Path(first).exists()
    return first if chain[0].method is not None and is_named and first != TINY else None


def _title(record: Mapping[str, Any], chain: Sequence[Ancestor]) -> str:
    first = chain[0]
    if first.model == TINY:
        began = "It began as a small model of its own, from random weights."
    else:
        began = f"It began with `{first.model}`" + (
            f", revision `{first.base_revision}`." if first.base_revision else "."
        )
    steps = " → ".join(f"`{one.run_id}` ({one.method or 'gone'})" for one in chain)
    what = (
        "An answer-first relevance model: for a query and a doc the first token it writes is the grade, the reasons "
        "follow."
        if record["method"] != "dapt"
        else "A language model that has read a shop's or a site's texts."
    )
    return f"# {record['run_id']}\n\n{what} {began} The runs behind it: {steps}."


def _use() -> str:
    return (
        "## What it is for\n\nGrading how relevant a doc is to a query, on the scale below, for queries and docs like "
        "those it learnt from, and ranking docs by the grade it expects. Not for decisions about people, and not for "
        "texts of another kind or language without measuring it on them first."
    )


def _no_grader(run_id: str) -> str:
    return f"## What it is for\n\nTo be trained to grade: `afrel train sft --model {run_id}`. It grades nothing itself."


def _asking(record: Mapping[str, Any]) -> str:
    scale, ids = record["scale"], record["grade_token_ids"]
    rows = zip(scale["values"], scale["names"], ids, strict=True)
    evidence = "words computed from the pair" if record["config"]["has_evidence"] else ""
    prompt = PromptParts("THE QUERY", "THE TITLE", "THE BODY", {"FIELD": "VALUE"}, evidence).render()
    longest = record["config"]["max_length"] - record["config"]["max_completion_tokens"]
    said = (
        "`afrel score` writes the evidence; without it the model is asked otherwise than it was taught.\n\n"
        if evidence
        else ""
    )
    return "\n".join(
        [
            "## How it is asked, and how its grade is read",
            "",
            f"A prompt is plain text, without a chat template, of at most {longest} tokens; `<`, `>` and `&` in texts "
            "are written `&lt;`, `&gt;`, `&amp;`. It ends with a line break:",
            "",
            "```text",
            prompt.rstrip("\n"),
            "```",
            "",
            f"{said}The next token is the grade. Its probabilities are a softmax over the grades' tokens alone:",
            "",
            "| grade | name | token id |",
            "|---|---|---|",
            *(f"| {value} | {_cell(name)} | {token} |" for value, name, token in rows),
            "",
            "```python",
            "import torch",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            "tokenizer = AutoTokenizer.from_pretrained(folder)",
            "model = AutoModelForCausalLM.from_pretrained(folder).eval()",
            "with torch.inference_mode():",
            '    logits = model(**tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)).logits[0, -1]',
            f"probabilities = logits[{list(ids)}].double().softmax(-1)",
            f"grade = {list(scale['values'])}[int(probabilities.argmax())]",
            "```",
            "",
            "Generated further, it gives its reasons, a labelled line each, with rules cited as `[r_…]`.",
        ]
    )


def _data(record: Mapping[str, Any], licences: Mapping[str, str], sources: Sequence[str] | None) -> str:
    lines = [
        "## What it learnt from",
        "",
        f"Snapshot `{record['snapshot_id']}`, {record['n_rows']} rows, manifest SHA-256 `{record['manifest_digest']}`, "
        "each tier signed by a person when the training began.",
        "",
    ]
    if sources is None:
        lines.append("The snapshot is not here, so the licences of its texts are not known here.")
    else:
        stated = ", ".join(f"{_cell(name)}: {_cell(licences.get(name, 'not stated'))}" for name in sources) or "none"
        lines.append(f"Licences of its sources: {stated}. Whether they reach the weights is for their owner to say.")
    if texts := record.get("texts"):
        lines += ["", f"Also a file of texts, SHA-256 `{texts['sha256']}`, under a licence that is not stated."]
    return "\n".join(lines)


def _figures(run_id: str, measured: Sequence[Measured]) -> str:
    if not measured:
        return f"## How good it is\n\nIt was not measured yet. Measure it: `afrel evaluate {run_id}`"
    lines = ["## How good it is", "", "Intervals are 95%, by drawing queries (for times, requests) a thousand times."]
    for one in measured:
        held = sorted(one.measures.get("run", ()), key=lambda measure: place_of(measure.metric))
        majority = {measure.metric: measure for measure in one.measures.get("majority", ())}
        lines += [
            "",
            f"### {one.split} of {one.snapshot_id}",
            "",
            "| metric | this model | 95% | n | commonest grade |",
        ]
        lines.append("|---|---|---|---|---|")
        for measure in held:
            span = "" if measure.low is None else f"{measure.low:.3f} to {measure.high:.3f}"
            floor = _value(majority.get(measure.metric))
            lines.append(f"| {measure.metric} | {_value(measure)} | {span} | {measure.n} | {floor} |")
        if one.hardware:
            lines += ["", f"First token: one pair a request, on {one.hardware}."]
    return "\n".join(lines)


def _limits(measured: Sequence[Measured]) -> str:
    splits = {one.split for one in measured}
    untested = "" if "test" in splits else " It was not measured on test rows."
    return (
        "## Limits\n\nIts figures hold for queries and docs drawn as the snapshot's were. Rules on few pairs may be "
        "unlearnt however good the mean is: see recall by rule in `afrel report`. The reasons come after the grade and "
        f"may be wrong where the grade is right, and the other way round.{untested}"
    )


def _again(chain: Sequence[Ancestor]) -> str:
    lines = ["## How to make it again", "", "In this order, with each configuration in the file its command names:"]
    for one in chain:
        if one.config is None:
            lines += ["", f"`{one.run_id}`: its folder is gone; it was trained on `{one.snapshot_id}`."]
            continue
        lines += ["", "```sh", *one.commands, "```", "", f"`{one.method}.toml`:", "", "```toml"]
        lines += [one.config.rstrip("\n"), "```"]
    return "\n".join([*lines, "", "This card is afrel's and is written anew whenever the model is measured."])


def _value(one: Measure | None) -> str:
    if one is None:
        return ""
    return "undefined" if one.value is None else f"{one.value:.3f}"


def _cell(said: str) -> str:
    """Return a text that stays in its cell."""
    return " ".join(said.split()).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")

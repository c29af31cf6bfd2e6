"""The evidence on instruction evolution: what it takes and turns away, and what that is truly worth.

    python benchmarks/instruction_quality.py [--seeds 3] [--noise 0,0.05] [--out build/bench-instructions]
    python benchmarks/instruction_quality.py --gate [--runs 200]

`afrel evolve` by the command line, on the bundled sample's train and dev pairs (a twentieth of the train grades one
off), with mined rules as slices, against a local server that labels by the sentences of the instruction and writes
edits whose worth is known (`instructions/planted.py`). True worth is measured without noise on pairs of the sample's
test queries, which the workspace never holds. `--gate` simulates the replay gate alone. Some minutes each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.chat_server import chat_server  # noqa: E402
from benchmarks.command_line import CommandLine  # noqa: E402
from benchmarks.instructions import gate_power, planted  # noqa: E402
from curation.intervals import wilson  # noqa: E402
from evolution.instructions.scores import Truth, gain, measure  # noqa: E402
from samples.homeware.generate import build_sample  # noqa: E402
from samples.homeware.pairing import Pair  # noqa: E402
from samples.homeware.truth import RULES, decide, share  # noqa: E402

WRONG_RATE = 0.05  # of the train judgments
GENERATIONS, EDITS, PAIRS = 6, 6, 250
LEAST_PAIRS, LEAST_LOSS = 10, 0.2  # of a planted rule, among all pairs: what counts as truly ruined
EDITS_OF = (
    "select e.operator, e.parent_id, e.instruction_id, e.is_accepted, e.reason, p.text as before, i.text as after, "
    "i.generation from instruction_edits e join instructions i using (instruction_id) "
    "join instructions p on p.instruction_id = e.parent_id where e.labeller = 'openai:{model}'"
)


@dataclass(frozen=True, slots=True)
class Tried:
    """An edit that was tried: what it said, what became of it, and what it is truly worth."""

    sort: str
    is_accepted: bool
    reason: str
    before: str
    after: str
    generation: int
    true_gain: float
    is_ruinous: bool

    @property
    def fate(self) -> str:
        """Where it ended."""
        if self.is_accepted:
            return "accepted"
        if self.reason.startswith("replay gate"):
            return "gate"
        return "dev" if "on dev" in self.reason else "train"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-instructions")
    parser.add_argument("--seeds", type=int, default=3, help="Runs at each noise.")
    parser.add_argument("--noise", default="0,0.05", help="Shares of labels that are one grade off.")
    parser.add_argument("--gate", action="store_true", help="Simulate the replay gate alone.")
    parser.add_argument("--runs", type=int, default=gate_power.N_RUNS, help="Edits drawn a line of the simulation.")
    options = parser.parse_args()
    if options.gate:
        print(gate_power.report(options.runs))
        return
    out: Path = options.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    afrel = CommandLine(out / "home", out / "shop")
    make_shop(afrel, out)
    parts = ["# Instruction evolution"]
    with chat_server(planted.answer) as service:
        service.is_recording = False
        for noise in options.noise.split(","):
            runs = {}
            for seed in range(options.seeds):
                model = f"planted-{noise}-{seed}"
                configure(afrel.workspace, service.url, model)
                runs[model] = evolve(afrel, model)
                print(f"{model}: {sum(one.is_accepted for one in runs[model])} accepted", file=sys.stderr, flush=True)
            parts.append(f"## {float(noise):.0%} of labels one grade off, {options.seeds} runs")
            parts += [fates([one for run in runs.values() for one in run]), growth(afrel, runs)]
    text = "\n\n".join(parts)
    (out / "report.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def make_shop(afrel: CommandLine, out: Path) -> None:
    """Make a workspace of the sample's train and dev pairs, judged, with mined rules."""
    guideline = out / "guideline.md"
    guideline.write_text(planted.GUIDELINE, encoding="utf-8")
    afrel.init("--guideline", str(guideline))
    rows = []
    for pair in build_sample().pairs:
        if pair.split == "test":
            continue
        place = ("judgment", pair.query_id, pair.doc.doc_id)
        is_wrong = pair.split == "train" and share(*place) < WRONG_RATE
        step = 1 if pair.grade == 0 or (pair.grade < planted.HIGHEST and share(*place, "up") < 0.5) else -1
        texts = {"query": pair.query.text, "title": pair.doc.title, "body": pair.doc.body}
        fields = {f"field_{name}": value for name, value in pair.doc.written.items()}
        rows.append({**texts, **fields, "grade": pair.grade + step * is_wrong, "split": pair.split})
    file = out / "judgments.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    roles = "query=query,title=title,body=body,grade=grade,split=split"
    names = sorted({name for row in rows for name in row if name.startswith("field_")})
    roles += "".join(f",field.{name.removeprefix('field_')}={name}" for name in names)
    afrel.sure("ingest", str(file), "--map", roles, "--source", "homeware")
    print(afrel.sure("mine").strip().splitlines()[-1], file=sys.stderr)


def configure(shop: Path, url: str, model: str) -> None:
    """Name the server and the model in afrel.toml."""
    path = shop / "afrel.toml"
    kept = path.read_text(encoding="utf-8").partition("\n[llm]\n")[0]
    table = f'\n[llm]\nbase_url = "{url}"\nkey_variable = ""\nmodel = "{model}"\n'
    path.write_text(kept + table, encoding="utf-8")


def evolve(afrel: CommandLine, model: str) -> list[Tried]:
    """Run the verb once; return what was tried."""
    sizes = ("--generations", str(GENERATIONS), "--edits", str(EDITS), "--pairs", str(PAIRS))
    afrel.sure("evolve", "--evolver", "openai", *sizes)
    rows: list[Mapping[str, Any]] = json.loads(
        afrel.sure("sql", EDITS_OF.format(model=model), "--json", "--max-rows", "10000", "--seconds", "300")
    )
    return [_tried(row) for row in rows]


def _tried(row: Mapping[str, Any]) -> Tried:
    before, after = (planted.read_instruction(row[name]) for name in ("before", "after"))
    return Tried(
        before.sort_of_change(after),
        bool(row["is_accepted"]),
        row["reason"],
        row["before"],
        row["after"],
        int(row["generation"]),
        true_gain(row["before"], row["after"]),
        is_ruinous(row["before"], row["after"]),
    )


def fates(tried: Sequence[Tried]) -> str:
    """Return what became of the edits, by what they changed for the labeller, and how the gate erred."""
    lines = [
        "| what an edit changed for the labeller | tried | no better on train | gate | no better on dev | accepted | "
        "true gain, mean |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    sorts = ("planted", "harmless", "something left out", "several at once", "wrong grade", "too broad")
    for sort in sorts:
        own = [one for one in tried if one.sort == sort]
        if own:
            n = {fate: sum(one.fate == fate for one in own) for fate in ("train", "gate", "dev", "accepted")}
            counts = " | ".join(map(str, n.values()))
            lines.append(f"| {sort} | {len(own)} | {counts} | {fmean(one.true_gain for one in own):+.3f} |")
    ruinous = [one for one in tried if one.is_ruinous]
    sound = [one for one in tried if not one.is_ruinous and one.fate != "train"]
    better = [one for one in tried if one.true_gain > 0.005]
    worse = [one for one in tried if one.true_gain < -0.005]
    lines += [
        "",
        f"Truly better by more than .005: {_of(better, 'accepted')} accepted. Truly worse by more than .005: "
        f"{_of(worse, 'accepted')} accepted. Ruins a planted rule: {_of(ruinous, 'accepted')} accepted, "
        f"{_of(ruinous, 'gate')} stopped by the gate. Ruins none, rose on train: {_of(sound, 'gate')} stopped by it.",
    ]
    return "\n".join(lines)


def _of(tried: Sequence[Tried], fate: str) -> str:
    n_hits = sum(one.fate == fate for one in tried)
    interval = wilson(n_hits, len(tried))
    if interval is None:
        return "none of 0"
    return f"{n_hits} of {len(tried)} ({n_hits / len(tried):.2f} [{interval.low:.2f}, {interval.high:.2f}])"


def growth(afrel: CommandLine, runs: Mapping[str, Sequence[Tried]]) -> str:
    """Return the best version of each generation: what it scored on train and dev, and its truth on test queries."""
    lines = [
        "| generation | runs | macro-F1 on train | on dev | in truth, other queries, one run each |",
        "|---:|---:|---|---|---|",
    ]
    scores = _scores(afrel)
    best: dict[int, list[tuple[Mapping[tuple[str, str], Mapping[str, Any]], str]]] = defaultdict(list)
    for run in runs.values():
        accepted = [one for one in run if one.is_accepted]
        texts = {planted.GUIDELINE: 0} | {one.after: one.generation for one in accepted}
        for generation in sorted(set(texts.values())):
            own = [text for text, at in texts.items() if at == generation]
            text = max(own, key=lambda one: scores[one]["dev", "objective"]["value"])
            best[generation].append((scores[text], text))
    for generation, of_runs in sorted(best.items()):
        train, dev = (
            " · ".join(_shown(score[split, "macro_f1"]) for score, _ in of_runs) for split in ("train", "dev")
        )
        truth = " · ".join(_true_quality(text) for _, text in of_runs)
        lines.append(f"| {generation} | {len(of_runs)} | {train} | {dev} | {truth} |")
    return "\n".join(lines)


def _scores(afrel: CommandLine) -> dict[str, dict[tuple[str, str], Mapping[str, Any]]]:
    """Return scores by instruction text; of a text that two runs came to, the later ones."""
    wanted = "select i.text, s.* from instruction_scores s join instructions i using (instruction_id) "
    wanted += "where s.metric in ('macro_f1', 'objective') order by s.created_at"
    found: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = defaultdict(dict)
    for row in json.loads(afrel.sure("sql", wanted, "--json", "--max-rows", "100000", "--seconds", "300")):
        found[row["text"]][row["split"], row["metric"]] = row
    return found


def _shown(score: Mapping[str, Any]) -> str:
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


@cache
def _truth() -> tuple[tuple[Pair, ...], Truth]:
    pairs = tuple(pair for pair in build_sample().pairs if pair.split == "test")
    queries = np.unique([pair.query_id for pair in pairs], return_inverse=True)[1]
    return pairs, Truth(np.array([pair.grade for pair in pairs], np.intp), queries, planted.HIGHEST + 1)


@cache
def _said(text: str) -> NDArray[np.intp]:
    told = planted.read_instruction(text)
    return np.array([told.grade(pair.query, pair.doc) for pair in _truth()[0]], np.intp)


def _true_quality(text: str) -> str:
    pairs, truth = _truth()
    found = measure(truth, _said(text), np.ones(len(pairs), np.bool_))["macro_f1"]
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def true_gain(before: str, after: str) -> float:
    """Return what an edit does to quality (mean of macro-F1 and kappa) on test queries, without noise or length."""
    pairs, truth = _truth()
    found = gain(truth, _said(before), _said(after), np.ones(len(pairs), np.bool_), n_parent=0, n_child=0)
    assert found is not None
    return found.value


def is_ruinous(before: str, after: str) -> bool:
    """Say whether an edit turns a fifth or more of a planted rule's pairs wrong, of all pairs of the sample."""
    one, other = planted.read_instruction(before), planted.read_instruction(after)
    net: dict[str, list[int]] = {name: [0, 0] for name in RULES}
    for pair in build_sample_pairs():
        own = net[decide(pair.query, pair.doc).rule.rule_id]
        own[0] += 1
        right = RULES[decide(pair.query, pair.doc).rule.rule_id].grade
        own[1] += (other.grade(pair.query, pair.doc) == right) - (one.grade(pair.query, pair.doc) == right)
    return any(n >= LEAST_PAIRS and change <= -LEAST_LOSS * n for n, change in net.values())


@cache
def build_sample_pairs() -> tuple[Pair, ...]:
    """Return the sample's pairs that a rule decides."""
    return tuple(pair for pair in build_sample().pairs if pair.rule_id is not None)


if __name__ == "__main__":
    main()

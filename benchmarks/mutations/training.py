"""What mutations do to a model: a tiny ranker trained with confirmed ones, with eliminated ones, and with none.

By the command line, as a user would, in throw-away workspaces. The mutated pairs come in as judgments
`import:mutation-benchmark` under the grade their effect names (one lower, one higher, the same, at most the bound);
those whose effect names no grade are left out. The three arms take the same number of steps: the arm with fewer rows
sees them more often. The grades of dev are the source's own.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import polars as pl

from benchmarks.command_line import CommandLine
from benchmarks.mutations.checks import Tried
from curation.intervals import Interval, mean_interval
from curation.near_duplicates import find_leaks
from evolution.mutations import Effect

ARMS = ("none", "confirmed", "eliminated")
SOURCE = "mutation-benchmark"
VISITS = 9000  # of rows, in every arm
# A model small enough for 18 runs on two cores; completions are the grade alone.
MODEL = {
    "model": '"tiny"', "tiny_vocabulary": 1500, "tiny_hidden_size": 64, "tiny_layers": 2, "max_length": 256,
    "batch_size": 32, "learning_rate": 3e-3, "grade_balance": 0.4, "rationale_rate": 0.0, "checkpoint_steps": 10_000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trained:
    """Dev macro-F1 of one arm, one value a seed."""

    arm: str
    n_rows: int
    n_steps: tuple[int, ...]
    macro_f1: tuple[float, ...]

    @property
    def mean(self) -> float:
        return fmean(self.macro_f1)

    @property
    def interval(self) -> Interval | None:
        """Student's 95% interval over seeds."""
        return _interval(self.macro_f1)


def train_arms(
    base: Sequence[Mapping[str, Any]],
    tried: Sequence[Tried],
    out: Path,
    *,
    scale: str,
    seeds: Sequence[int],
    visits: int = VISITS,
) -> list[Trained]:
    """Train every arm with every seed. `base`: rows of query, title, body, grade, split and `field.…` columns."""
    dev = pl.DataFrame({"query": sorted({row["query"] for row in base if row["split"] == "dev"})})
    dev = dev.with_columns(query_id=pl.col("query"))
    rows = _without_leaks([row for row in base if row["split"] == "train"], dev)
    held = [row for row in base if row["split"] == "dev"]
    added = {
        arm: _without_leaks(
            _judged([one for one in tried if one.check.is_confirmed == (arm == "confirmed")], rows), dev
        )
        for arm in ARMS[1:]
    }
    n_free = min(len(rows), *(len(of_arm) for of_arm in added.values()))
    times, more_times, n_added = equal_visits(len(rows), n_free, visits=visits)
    done = []
    for arm in ARMS:
        extra = random.Random(0).sample(added[arm], n_added) if arm != "none" else []
        epochs = times if extra else times + more_times
        done.append(_train_arm(arm, [*rows, *held], extra, out / arm, scale=scale, seeds=seeds, epochs=epochs))
    return done


def equal_visits(n_rows: int, n_free: int, *, visits: int) -> tuple[int, int, int]:
    """Return how often rows are seen with additions, how much oftener without, and how many rows to add.

    n rows seen t + e times are as many visits as n + n·e/t rows seen t times. With nothing to add: 0.
    """
    if not n_free:
        return max(1, round(visits / n_rows)), 0, 0
    times = max(-(-n_rows // n_free), round(visits / (n_rows + n_free)))
    more_times = times * n_free // n_rows
    return times, more_times, n_rows * more_times // times


def table(done: Sequence[Trained]) -> str:
    """Return the arms as Markdown, with the difference to none by the seeds they share."""
    lines = ["| added | rows | steps | dev macro-F1, mean of seeds | less none |", "|---|---:|---:|---|---|"]
    none = done[0]
    for one in done:
        gains = [value - other for value, other in zip(one.macro_f1, none.macro_f1, strict=True)]
        gain = "" if one is none else _shown(fmean(gains), _interval(gains))
        steps = "/".join(map(str, sorted(set(one.n_steps))))
        lines.append(f"| {one.arm} | {one.n_rows} | {steps} | {_shown(one.mean, one.interval)} | {gain} |")
    return "\n".join(lines)


def _interval(values: Sequence[float]) -> Interval | None:
    return mean_interval(fmean(values), variance(values), len(values)) if len(values) > 1 else None


def _shown(value: float, interval: Interval | None) -> str:
    return f"{value:+.3f}".lstrip("+") + (f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else "")


def _judged(tried: Sequence[Tried], base: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return mutations as judged rows, each pair once; one that is a base pair already is left out."""
    taken = {(row["query"], row["title"], row["body"]) for row in base}
    rows = []
    for one in tried:
        grade = _named_grade(one)
        key = (one.mutated.query, one.mutated.title, one.mutated.body)
        if grade is None or key in taken:
            continue
        taken.add(key)
        fields = {f"field_{name}": value for name, value in one.judged.original.fields.items()}
        texts = {"query": one.mutated.query, "title": one.mutated.title, "body": one.mutated.body}
        rows.append({**texts, "grade": grade, "split": "train", **fields})
    return rows


def _named_grade(one: Tried) -> int | None:
    effect, bound, grade = one.mutated.effect, one.mutated.effect_grade, one.judged.original.grade
    if effect is Effect.KEEP:
        return grade
    if effect is Effect.LOWER:
        return grade - 1 if bound is None else min(grade - 1, bound)
    return grade + 1 if effect is Effect.RAISE else None


def _without_leaks(rows: Sequence[Mapping[str, Any]], dev: pl.DataFrame) -> list[Mapping[str, Any]]:
    train = pl.DataFrame({"pair_id": [str(n) for n in range(len(rows))], "query": [row["query"] for row in rows]})
    leaks = set(find_leaks(train, dev)["pair_id"].to_list()) if rows else set()
    return [row for n, row in enumerate(rows) if str(n) not in leaks]


def _train_arm(
    arm: str,
    base: Sequence[Mapping[str, Any]],
    extra: Sequence[Mapping[str, Any]],
    out: Path,
    *,
    scale: str,
    seeds: Sequence[int],
    epochs: int,
) -> Trained:
    out.mkdir(parents=True)
    afrel = CommandLine(out / "home", out / "workspace")
    afrel.init("--scale", scale, cleo="curator", dora="adjudicator")
    _ingest(afrel, base, out / "base.jsonl", "base")
    if extra:
        _ingest(afrel, extra, out / "extra.jsonl", SOURCE)
    afrel.sure("snapshot", account="cleo")
    afrel.sure("sign", account="dora")
    config = out / "sft.toml"
    config.write_text("".join(f"{name} = {value}\n" for name, value in (MODEL | {"epochs": epochs}).items()))
    scores, steps = [], []
    for seed in seeds:
        result = json.loads(afrel.sure("train", "sft", "--config", str(config), "--seed", str(seed), "--json"))
        steps.append(int(result["n_steps"]))
        run_id = Path(result["directory"]).name
        found = json.loads(afrel.sure("evaluate", run_id, "--split", "dev", "--json"))
        scores.append(_macro_f1(found))
        print(f"{arm} seed {seed}: macro-F1 {scores[-1]:.3f}, {steps[-1]} steps", file=sys.stderr)
    return Trained(arm, sum(row["split"] == "train" for row in base) + len(extra), tuple(steps), tuple(scores))


def _macro_f1(found: Any) -> float:
    measures = next(held for name, held in found["measures"].items() if name == "run")
    return float(next(one["value"] for one in measures if one["metric"] == "macro_f1"))


def _ingest(afrel: CommandLine, rows: Sequence[Mapping[str, Any]], file: Path, source: str) -> None:
    names = sorted({name for row in rows for name in row if name.startswith("field_")})
    roles = "query=query,title=title,body=body,grade=grade,split=split"
    roles += "".join(f",field.{name.removeprefix('field_')}={name}" for name in names)
    file.write_text("".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    afrel.sure("ingest", str(file), "--map", roles, "--source", source, account="cleo")

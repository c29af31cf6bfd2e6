"""The whole cycle on real judgements: time and memory of each stage, and the model beside two baselines.

    AFREL_DATA=/path/to/judgements python benchmarks/cycle.py [--out build/bench-cycle]

Takes `qbqtc/pairs.parquet` (Chinese web search, 15k train and 3k dev pairs, grades 0-2). The human grades come in as
judgments `import:qbqtc`, so those pairs pass no review; mutated pairs have no judgment, stay unreviewed and outside
the snapshot, and are counted. The rival fitted in the same run is TF-IDF with overlap features and logistic
regression. Writes report.md and report.json beside the workspace.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from trainers.evaluation.metrics import Measure, measure  # noqa: E402

MAP = "query_id=query_id,query=query,doc=title,grade=label,split=split"
METRICS = ("accuracy", "macro_f1", "qwk", "f1_grade_0", "f1_grade_1", "f1_grade_2")
# Floors of the data set's description: fitted on the same train pairs, measured on other queries. Orientation only.
FLOORS = (
    ("majority grade (other queries)", 0.634, 0.259),
    ("TF-IDF + overlap, logistic regression (other queries)", 0.663, 0.429),
    ("gradient boosting on the same features (other queries)", 0.672, 0.452),
)


@dataclass(frozen=True, slots=True)
class Stage:
    """What one verb cost: seconds of wall time and the larger of its and the store process's peak memory, in MiB."""

    verb: str
    seconds: float
    verb_mib: float
    store_mib: float
    said: str


def main() -> None:
    """Run the cycle and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-cycle")
    out = parser.parse_args().out.resolve()
    if "AFREL_DATA" not in os.environ:
        sys.exit("bench-cycle needs AFREL_DATA: a folder of real judgements with qbqtc/pairs.parquet in it")
    source = Path(os.environ["AFREL_DATA"]) / "qbqtc" / "pairs.parquet"
    if not source.is_file():
        sys.exit(f"there is no {source}; AFREL_DATA must name the folder that holds qbqtc/")
    shutil.rmtree(out, ignore_errors=True)
    (out / "home").mkdir(parents=True)
    password = out / "home" / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(16))
    os.environ.update(AFREL_HOME=str(out / "home"), AFREL_PASSWORD_FILE=str(password))
    workspace = out / "workspace"
    started = time.monotonic()
    stages = [run_verb(workspace, account, words) for account, words in cycle(workspace, source)]
    stop_store(workspace)
    seconds = time.monotonic() - started
    with_tfidf = tfidf_baseline(source)
    figures = read_figures(workspace)
    figures["TF-IDF + overlap, logistic regression (this run)"] = [asdict(m) for m in with_tfidf]
    report(out, stages, figures, seconds, counts(workspace))


def cycle(workspace: Path, source: Path) -> list[tuple[str | None, tuple[str, ...]]]:
    """Return (account, verb) in order."""
    return [
        (None, ("init", str(workspace), "--scale", "0-2")),
        (None, ("account", "add", "root", "--role", "admin")),
        ("root", ("account", "add", "cleo", "--role", "curator")),
        ("root", ("account", "add", "dora", "--role", "adjudicator")),
        ("cleo", ("ingest", str(source), "--map", MAP, "--source", "qbqtc")),
        ("cleo", ("mine",)),
        ("dora", ("approve", "--all", "--min-accuracy", "0.6", "--min-votes", "5")),
        ("cleo", ("mutate", "--limit", "2000")),
        ("cleo", ("label",)),
        ("cleo", ("screen",)),
        ("cleo", ("tier",)),
        ("cleo", ("snapshot",)),
        ("dora", ("sign",)),
        ("root", ("train", "sft", "--model", "tiny")),
        ("root", ("evaluate", "--split", "dev")),
    ]


def run_verb(workspace: Path, account: str | None, words: Sequence[str]) -> Stage:
    """Run one verb as a process and account for it."""
    front = [] if words[0] == "init" else ["-w", str(workspace)]
    front += ["--as", account] if account else []
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "afrel", *front, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    if status != 0:
        sys.exit(f"afrel {' '.join([*front, *words])} failed:\n{said}")
    stage = Stage(" ".join(words[:2]), seconds, usage.ru_maxrss / 1024, store_peak(workspace), said.strip())
    print(f"{stage.verb:<24} {seconds:7.1f} s  {stage.verb_mib:6.0f} MiB  {said.splitlines()[0] if said else ''}")
    return stage


def store_pids(workspace: Path) -> list[int]:
    found = subprocess.run(["pgrep", "-f", f"storage.process.server {workspace}"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def store_peak(workspace: Path) -> float:
    """Return the store process's peak memory so far, in MiB."""
    peaks = [0.0]
    for pid in store_pids(workspace):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peaks.append(int(line.split()[1]) / 1024)
    return max(peaks)


def stop_store(workspace: Path) -> None:
    for pid in store_pids(workspace):
        os.kill(pid, signal.SIGTERM)


def afrel_json(workspace: Path, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "afrel", "-w", str(workspace), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def read_figures(workspace: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the stored dev figures by model."""
    rows = afrel_json(workspace, "sql", "select model, metric, value, low, high, n from evaluations", "--json")
    figures: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        figures.setdefault(str(row["model"]), []).append(row)
    return figures


def counts(workspace: Path) -> dict[str, Any]:
    answer = afrel_json(workspace, "status", "--json")["counts"]
    stop_store(workspace)
    return dict(answer)


def tfidf_baseline(source: Path) -> list[Measure]:
    """Fit TF-IDF (characters, 1 to 3) of query and title plus overlap features with logistic regression; dev figures.

    C is chosen on dev from three values by macro-F1, which favours the rival.
    """
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    pairs = pl.read_parquet(source)
    train, dev = pairs.filter(pl.col("split") == "train"), pairs.filter(pl.col("split") == "dev")
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=3, sublinear_tf=True, dtype=np.float32)
    vectorizer.fit(train["query"].to_list() + train["title"].to_list())

    def features(part: pl.DataFrame) -> Any:
        query, title = vectorizer.transform(part["query"].to_list()), vectorizer.transform(part["title"].to_list())
        cosine = np.asarray(query.multiply(title).sum(axis=1)).ravel()
        overlaps = [
            [
                len(set(q) & set(t)) / max(1, len(set(q))),
                len({q[i : i + 2] for i in range(len(q) - 1)} & {t[i : i + 2] for i in range(len(t) - 1)})
                / max(1, len(q) - 1),
                float(q in t),
                min(len(q) / max(1, len(t)), 2.0),
            ]
            for q, t in zip(part["query"].to_list(), part["title"].to_list(), strict=True)
        ]
        dense = csr_matrix(np.column_stack([cosine, np.array(overlaps)]))
        return hstack([query, title, dense]).tocsr()

    train_x, dev_x = features(train), features(dev)
    best: list[Measure] = []
    for c in (0.1, 0.3, 1.0):
        model = LogisticRegression(C=c, max_iter=500).fit(train_x, train["label"].to_numpy())
        predicted = model.predict(dev_x)
        measures = measure(
            dev["label"].to_numpy(), predicted, dev["query_id"].to_list(), grades=(0, 1, 2), probabilities=None
        )
        if not best or _value(measures, "macro_f1") > _value(best, "macro_f1"):
            best = list(measures)
    return best


def _value(measures: Sequence[Measure], metric: str) -> float:
    return next(m.value or 0.0 for m in measures if m.metric == metric)


def report(
    out: Path, stages: list[Stage], figures: dict[str, list[dict[str, Any]]], seconds: float, held: dict[str, Any]
) -> None:
    """Write the report as JSON and as Markdown, and print it."""
    peak = max(stage.verb_mib + stage.store_mib for stage in stages)
    lines = [
        f"n = 1 run, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        f"whole cycle {seconds:.0f} s, peak of verb plus store process {peak:.0f} MiB",
        "",
        "| stage | s | MiB | store MiB | said |",
        "|---|---|---|---|---|",
    ]
    for s in stages:
        said = s.said.splitlines()[0] if s.said else ""
        lines.append(
            f"| {s.verb} | {s.seconds:.1f} | {s.verb_mib:.0f} | {s.store_mib:.0f} | {said.replace('|', '/')[:110]} |"
        )
    lines += ["", "| dev | " + " | ".join(METRICS) + " |", "|---|" + "---|" * len(METRICS)]
    for model, rows in figures.items():
        by_metric = {row["metric"]: row for row in rows}
        lines.append(f"| {model} | " + " | ".join(_cell(by_metric.get(metric)) for metric in METRICS) + " |")
    for name, accuracy, macro_f1 in FLOORS:
        lines.append(f"| {name} | {accuracy:.3f} | {macro_f1:.3f} | | | | |")
    unreviewed = (held.get("mutations") or {}).get("confirmed", 0)
    lines += ["", f"mutated pairs, confirmed and without judgment, so outside the snapshot: {unreviewed}"]
    text = "\n".join(lines)
    (out / "report.md").write_text(text + "\n", encoding="utf-8")
    whole = {"seconds": seconds, "stages": [asdict(s) for s in stages], "figures": figures, "counts": held}
    (out / "report.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False), encoding="utf-8")
    print(f"\n{text}\n\nwritten: {out / 'report.md'}")


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return ""
    interval = "" if row["low"] is None else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{interval}"


if __name__ == "__main__":
    main()

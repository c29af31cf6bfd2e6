"""What each stage is worth on real judgements: from the commonest grade to an answer-first model that has read texts.

    AFREL_DATA=/path/to/judgements python benchmarks/real_judgements.py [--out build/bench-judgements] [--quick]
        [--stages sft_plain,sft_evidence,…] [--table]

Takes `qbqtc/pairs.parquet` (Chinese web search, 15k train and 3k dev pairs, grades 0-2) through the verbs of
`cycle.py` up to a signed snapshot; every stage is fitted on its train rows and asked about its dev rows, each stage set
beside those before it pair by pair: bootstrap over queries, McNemar. A stage that is done lies in OUT/stages and is not
run again; a training that was killed goes on. One thread; `--quick` shows that it runs and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before the libraries that read it

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import cycle  # noqa: E402
from benchmarks.judgements.baselines import boosting, lexical, majority  # noqa: E402
from benchmarks.judgements.material import GRADES, Material  # noqa: E402
from benchmarks.judgements.models import dapt, dpo, grpo, sft  # noqa: E402
from trainers.evaluation.comparison import Answered, differences, mcnemar  # noqa: E402
from trainers.evaluation.metrics import Measure, measure  # noqa: E402

QUICK_PAIRS = {"train": 1200, "dev": 300}
LEFT_OUT = ("mutate", "train", "evaluate")  # of the cycle: mutated pairs have no judgment, the rest is done below
SHOWN = ("accuracy", "macro_f1", "qwk", "ece")
# What is set beside what: each stage beside the best before it, and the pairs that tell what one thing is worth.
BESIDE = (
    ("majority", "lexical"), ("lexical", "boosting"), ("boosting", "sft_plain"), ("boosting", "sft_evidence"),
    ("sft_plain", "sft_evidence"), ("sft_evidence", "dapt_sft_evidence"), ("boosting", "dapt_sft_evidence"),
    ("boosting", "boosting_balanced"), ("sft_evidence", "sft_balanced"), ("boosting", "sft_balanced"),
    ("boosting_balanced", "sft_balanced"),
    ("sft_balanced", "sft_dpo"), ("sft_balanced", "sft_grpo"), ("sft_dpo", "sft_dpo_grpo"),
    ("sft_balanced", "sft_dpo_grpo"), ("boosting_balanced", "sft_dpo_grpo"),
)  # fmt: skip


def main() -> None:
    """Run what is not held yet, then say what each stage is worth."""
    arguments = _arguments()
    out: Path = arguments.out.resolve()
    kept = out / "stages"
    kept.mkdir(parents=True, exist_ok=True)
    material = prepare(out, is_quick=arguments.quick)
    if not arguments.table:
        for stage in arguments.stages.split(","):
            path = kept / f"{stage}.json"
            if not path.exists():
                began, used = time.monotonic(), time.process_time()
                probabilities = STAGES[stage](material)
                write_whole(
                    path,
                    {
                        "probabilities": probabilities.round(6).tolist(),
                        "seconds": round(time.monotonic() - began, 1),
                        "cpu_seconds": round(time.process_time() - used, 1),
                        "dev": list(material.dev["pair_id"]),
                    },
                )
                print(f"{stage}: {time.process_time() - used:.0f} s of CPU", file=sys.stderr, flush=True)
    report(out, material, {path.stem: json.loads(path.read_text()) for path in sorted(kept.glob("*.json"))})


def write_whole(path: Path, content: Any) -> None:
    """Write a file so that it is there whole or not at all."""
    path.with_suffix(".part").write_text(json.dumps(content), encoding="utf-8")
    path.with_suffix(".part").rename(path)


def prepare(out: Path, *, is_quick: bool) -> Material:
    """Bring the pairs to a signed snapshot by the verbs that were not run yet, or find it there."""
    from storage.store import Store
    from storage.workspace import Workspace
    from trainers.rows.snapshot_rows import load

    source = _source(out, is_quick=is_quick)
    workspace, password = out / "workspace", out / "home" / "password"
    if not password.exists():
        password.parent.mkdir(parents=True, exist_ok=True)
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(16))
    os.environ.update(AFREL_HOME=str(out / "home"), AFREL_PASSWORD_FILE=str(password))
    done, verbs = out / "snapshot.json", out / "verbs.json"
    if not done.exists():
        n_run = json.loads(verbs.read_text()) if verbs.exists() else 0
        for n, (account, words) in enumerate(cycle.cycle(workspace, source)):
            if n >= n_run and words[0] not in LEFT_OUT:
                cycle.run_verb(workspace, account, words)
                write_whole(verbs, n + 1)
        with Store.connect(Workspace.find(workspace), sees_test=True) as store:  # as `evaluate` reads them
            rows = store.read("lexical_grades").to_pylist()
        cycle.stop_store(workspace)
        (snapshot,) = (folder.name for folder in (workspace / "snapshots").iterdir() if folder.name.startswith("snap_"))
        write_whole(done, {"snapshot": snapshot, "lexical": {row["pair_id"]: row["grade"] for row in rows}})
    snapshot_dir = workspace / "snapshots" / json.loads(done.read_text())["snapshot"]
    loaded = load(snapshot_dir, splits=["train", "dev"])
    return Material(workspace, snapshot_dir, loaded["train"], loaded["dev"], is_quick)


def _source(out: Path, *, is_quick: bool) -> Path:
    if "AFREL_DATA" not in os.environ:
        sys.exit("real_judgements needs AFREL_DATA: a folder of real judgements with qbqtc/pairs.parquet in it")
    source = Path(os.environ["AFREL_DATA"]) / "qbqtc" / "pairs.parquet"
    if not source.is_file():
        sys.exit(f"there is no {source}; AFREL_DATA must name the folder that holds qbqtc/")
    if not is_quick:
        return source
    pairs = pl.read_parquet(source)
    cut = out / "pairs.parquet"
    pl.concat([pairs.filter(pl.col("split") == split).head(n) for split, n in QUICK_PAIRS.items()]).write_parquet(cut)
    return cut


STAGES: Mapping[str, Callable[[Material], Any]] = {
    "majority": majority,
    "lexical": lexical,
    "boosting": boosting,
    "boosting_balanced": lambda material: boosting(material, is_balanced=True),
    "sft_plain": lambda material: sft(material, "plain", has_evidence=False),
    "sft_evidence": lambda material: sft(material, "evidence", has_evidence=True),
    "dapt_sft_evidence": lambda material: sft(material, "evidence-dapt", has_evidence=True, model=dapt(material)),
    "sft_balanced": lambda material: sft(material, "balanced", has_evidence=True, grade_balance=0.5),
    "sft_dpo": lambda material: dpo(material, "dpo", start="balanced"),
    "sft_grpo": lambda material: grpo(material, "grpo", start="balanced"),
    "sft_dpo_grpo": lambda material: grpo(material, "dpo-grpo", start="dpo"),
}


def report(out: Path, material: Material, stages: Mapping[str, Mapping[str, Any]]) -> None:
    """Print and write what each stage is worth on dev, and what is set beside what."""
    queries, truth = list(material.dev["query_id"]), material.truth
    answered, told = {}, {}
    for name in (name for name in STAGES if name in stages):
        if stages[name]["dev"] != list(material.dev["pair_id"]):
            sys.exit(f"{out / 'stages' / name}.json is of other dev pairs. Remove {out}, run again")
        probabilities = np.array(stages[name]["probabilities"])
        is_certain = bool(np.isin(probabilities, (0.0, 1.0)).all())
        answered[name] = Answered(probabilities.argmax(axis=1), None if is_certain else probabilities)
        told[name] = measure(
            truth, answered[name].places, queries, grades=GRADES, probabilities=answered[name].probabilities
        )
    lines = [
        f"{len(material.train)} train rows, {len(truth)} dev rows of {len(set(queries))} queries; 95% bootstrap "
        "intervals over queries",
        "",
        "| stage | " + " | ".join(SHOWN) + " | F1 by grade | CPU s |",
        "|---|" + "---|" * len(SHOWN) + "---|---:|",
        *(_row(name, held, stages[name]) for name, held in told.items()),
        "",
        "| from | to | accuracy | macro-F1 | QWK | right alone, from / to | McNemar p |",
        "|---|---|---|---|---|---|---|",
        *(_beside(a, b, answered, truth, queries) for a, b in BESIDE if a in answered and b in answered),
    ]
    text = "\n".join(lines)
    (out / "report.md").write_text(text + "\n", encoding="utf-8")
    print(f"{text}\n\nwritten: {out / 'report.md'}")


def _row(name: str, held: Sequence[Measure], stage: Mapping[str, Any]) -> str:
    by_name = {one.metric: one for one in held}
    cells = [_cell(by_name.get(metric)) for metric in SHOWN]
    f1 = ", ".join(f"{by_name[f'f1_grade_{grade}'].value or 0:.3f}" for grade in GRADES)
    return f"| {name} | {' | '.join(cells)} | {f1} | {stage['cpu_seconds']:.0f} |"


def _cell(one: Measure | None) -> str:
    if one is None or one.value is None:
        return ""
    return f"{one.value:.3f}" + ("" if one.low is None else f" [{one.low:.3f}, {one.high:.3f}]")


def _beside(a: str, b: str, answered: Mapping[str, Answered], truth: Any, queries: Sequence[str]) -> str:
    found, _ = differences(truth, answered[a], answered[b], queries, grades=GRADES)
    by_name = {one.metric: one for one in found}
    cells = []
    for metric in ("accuracy", "macro_f1", "qwk"):
        one = by_name[metric]
        cells.append("" if one.difference is None else f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]")
    paired = mcnemar(answered[a].places == truth, answered[b].places == truth)
    return f"| {a} | {b} | {' | '.join(cells)} | {paired.n_only_a} / {paired.n_only_b} | {paired.p:.2g} |"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-judgements")
    parser.add_argument("--stages", default=",".join(STAGES), help="in this order; those held are not run again")
    parser.add_argument("--quick", action="store_true", help="1,500 pairs and one pass")
    parser.add_argument("--table", action="store_true", help="run no stage, print what is held")
    return parser.parse_args()


if __name__ == "__main__":
    main()

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before the libraries that read it

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import cycle  # noqa: E402
from curation.features import FEATURE_SCHEMA, FieldVocabulary, pair_features  # noqa: E402
from curation.prompt_parts import prompt_parts  # noqa: E402
from trainers.evaluation.baselines import majority_grade  # noqa: E402
from trainers.evaluation.comparison import Answered, differences, mcnemar  # noqa: E402
from trainers.evaluation.metrics import Measure, measure  # noqa: E402

GRADES = (0, 1, 2)
QUICK_PAIRS = {"train": 1200, "dev": 300}
LEFT_OUT = ("mutate", "train", "evaluate")  # of the cycle: mutated pairs have no judgment, the rest is done below
SHOWN = ("accuracy", "macro_f1", "qwk", "ece")
# What is set beside what: each stage beside the best before it, and the pairs that tell what one thing is worth.
BESIDE = (
    ("majority", "lexical"), ("lexical", "boosting"), ("boosting", "sft_plain"), ("boosting", "sft_evidence"),
    ("sft_plain", "sft_evidence"), ("sft_evidence", "dapt_sft_evidence"), ("boosting", "dapt_sft_evidence"),
    ("boosting", "boosting_balanced"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Material:
    """The snapshot and its rows, train and dev; the workspace's lexical grades by pair."""

    workspace: Path
    snapshot: Path
    train: Any
    dev: Any
    is_quick: bool

    @property
    def truth(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The dev grades, which are their own places on the scale."""
        return np.array(self.dev["grade"], dtype=np.int64)


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


def majority(material: Material) -> Any:
    """Return the commonest train grade for every dev pair."""
    return _certain(np.full(len(material.dev), majority_grade(list(material.train["grade"]))))


def lexical(material: Material) -> Any:
    """Return the grades of the model-free labeller."""
    proposed = json.loads((material.workspace.parent / "snapshot.json").read_text())["lexical"]
    commonest = majority_grade(list(material.train["grade"]))
    return _certain(np.array([proposed.get(pair_id, commonest) for pair_id in material.dev["pair_id"]]))


def boosting(material: Material, *, is_balanced: bool = False) -> Any:
    """Return what gradient boosting makes of lexical features; of scikit-learn's default depth, stopped early."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    train_x, dev_x = lexical_features(material.train, material.dev)
    model = HistGradientBoostingClassifier(
        learning_rate=0.05, max_iter=400, early_stopping=True, validation_fraction=0.1, random_state=0,
        class_weight="balanced" if is_balanced else None,
    )  # fmt: skip
    model.fit(train_x, np.array(material.train["grade"]))
    assert tuple(model.classes_) == GRADES
    return model.predict_proba(dev_x)


def lexical_features(train: Any, dev: Any) -> tuple[Any, Any]:
    """Return the numeric pair features of this project, the cosine of TF-IDF and shares of common signs, (n, F).

    A feature that is the same for all train pairs is left out.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=3, sublinear_tf=True, dtype=np.float32)
    vectorizer.fit([*train["query"], *train["title"]])
    numeric = [name for name, kind in FEATURE_SCHEMA.items() if not isinstance(kind, pl.List) and name != "pair_id"]

    def of(rows: Any) -> Any:
        pairs = pl.DataFrame({name: list(rows[name]) for name in ("pair_id", "query", "title", "body", "fields")})
        found = pair_features(pairs, FieldVocabulary.from_docs([])).select(pl.col(numeric).cast(pl.Float64))
        query, title = vectorizer.transform(rows["query"]), vectorizer.transform(rows["title"])
        cosine = np.asarray(query.multiply(title).sum(axis=1)).ravel()
        common = [len(set(q) & set(t)) / max(1, len(set(q))) for q, t in zip(rows["query"], rows["title"], strict=True)]
        return np.column_stack([found.to_numpy(), cosine, common])

    learnt, asked = of(train), of(dev)
    says_something = [len(np.unique(column[~np.isnan(column)])) > 1 for column in learnt.T]  # the binning asks for it
    return learnt[:, says_something], asked[:, says_something]


def sft(material: Material, *, has_evidence: bool, start: str = "tiny") -> Any:
    """Return what an answer-first model from scratch, or from a run, says of the dev pairs."""
    from trainers.models.ranker import load_ranker
    from trainers.runs.directory import RunDirectory
    from trainers.sft.config import SftConfig
    from trainers.sft.train import train

    name = "run_" + ("evidence" if has_evidence else "plain") + ("" if start == "tiny" else "-dapt")
    run = RunDirectory(material.workspace / "runs" / name)
    if not _is_finished(run):
        quick = {"epochs": 1} if material.is_quick else {}
        given = {"model": start, "has_evidence": has_evidence, "device": "cpu", "checkpoint_steps": 50, **quick}
        config = SftConfig.model_validate(
            given, context={"is_tiny": lambda _: True}
        )  # a run that began as the tiny one
        train(config, material.snapshot, run=run, tell=_tell)
    ranker = load_ranker(run, device="cpu")
    parts = [prompt_parts(row, has_evidence=has_evidence) for row in material.dev]
    return ranker.score(parts, names=material.dev["row_hash"])


def dapt(material: Material) -> str:
    """Return the run that read the train rows' texts and those nobody judged."""
    from trainers.dapt.config import DaptConfig
    from trainers.dapt.train import train
    from trainers.runs.directory import RunDirectory

    run = RunDirectory(material.workspace / "runs" / "run_dapt")
    texts = material.workspace / "unjudged.txt"
    if not texts.exists():
        held = pl.read_parquet(Path(os.environ["AFREL_DATA"]) / "qbqtc" / "unlabelled.parquet")
        lines = [" ".join(text.split()) for column in ("query", "title") for text in held[column].to_list() if text]
        lines = [line for line in dict.fromkeys(lines) if line]
        texts.write_text("\n".join(lines[: 500 if material.is_quick else None]) + "\n", encoding="utf-8")
    if not _is_finished(run):
        config = DaptConfig.model_validate(
            {"text_file": str(texts), "epochs": 1, "device": "cpu", "checkpoint_steps": 50}
        )  # fmt: skip
        train(config, material.snapshot, run=run, tell=_tell)
    return run.run_id


STAGES: Mapping[str, Callable[[Material], Any]] = {
    "majority": majority,
    "lexical": lexical,
    "boosting": boosting,
    "boosting_balanced": lambda material: boosting(material, is_balanced=True),
    "sft_plain": lambda material: sft(material, has_evidence=False),
    "sft_evidence": lambda material: sft(material, has_evidence=True),
    "dapt_sft_evidence": lambda material: sft(material, has_evidence=True, start=dapt(material)),
}


def _certain(grades: Any) -> Any:
    return np.eye(len(GRADES))[np.asarray(grades, dtype=np.int64)]


def _is_finished(run: Any) -> bool:
    return bool((run.path / "run.json").exists() and run.read().get("status") == "finished")


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


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-judgements")
    parser.add_argument("--stages", default=",".join(STAGES), help="in this order; those held are not run again")
    parser.add_argument("--quick", action="store_true", help="1,500 pairs and one pass")
    parser.add_argument("--table", action="store_true", help="run no stage, print what is held")
    return parser.parse_args()


if __name__ == "__main__":
    main()

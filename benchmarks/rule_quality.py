"""What mined rules are worth: against the rules planted in the bundled sample, and on real judgments train beside dev.

    python benchmarks/rule_quality.py [--json FILE] [--shuffles 3] [--judgments 100000]

On the sample the deciding rule of every pair is known. A mined rule finds a planted one when both give the same grade
and at least `SAME` of the pairs the mined rule covers, of all 3,000, are decided by the planted one; a planted rule is
found when the mined rules that find it cover at least `SAME` of its pairs, and found in part when there are any. So
precision is the share of mined rules that find some planted rule, recall the share of planted rules that are found.
Beside it the share of a rule's votes that equal the true grade on pairs it was not mined from. With `AFREL_DATA`,
qbqtc: rules kept, coverage and precision on train and on dev queries nothing was mined from, how many rules the same
mining makes of shuffled grades, and the time at a size.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import Report  # noqa: E402
from curation.features import FieldVocabulary, pair_features  # noqa: E402
from curation.rules import ABSTAIN, Rule  # noqa: E402
from evolution.rules.counts import judged_votes  # noqa: E402
from evolution.rules.mining import MinedRule, mine_rules  # noqa: E402
from samples.homeware.truth import RULES  # noqa: E402
from storage.grades import Scale  # noqa: E402

SAME = 0.5
N_BOOTSTRAPS = 1000
SAMPLE = ROOT / "samples" / "homeware-data"
SHOP_SCALE = Scale((0, 1, 2, 3), ("irrelevant", "partly", "substantially", "fully"))
WEB_SCALE = Scale((0, 1, 2), ("poor", "somewhat", "very"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--shuffles", type=int, default=3)
    parser.add_argument("--judgments", type=int, default=100_000, help="judgments of the timed run; 0: none")
    arguments = parser.parse_args()
    report = Report("rule_quality")
    pairs = read_sample()
    for name, column in (("sample, seed judgments", "seed"), ("sample, true grades of all train pairs", "true_grade")):
        judged = pairs.filter((pl.col("split") == "train") & pl.col(column).is_not_null())
        tell_sample(report, name, pairs, judged, judged[column].to_list())
    if "AFREL_DATA" in os.environ:
        web = read_web(Path(os.environ["AFREL_DATA"]) / "qbqtc" / "pairs.parquet")
        tell_web(report, web, n_shuffles=arguments.shuffles)
        if arguments.judgments:
            tell_speed(report, web, arguments.judgments)
    report.write(arguments.json)


def read_sample() -> pl.DataFrame:
    """Return the sample's pairs: features, split, query, the seed's grade (may be null), the truth."""
    docs = {}
    with (SAMPLE / "docs.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            doc = json.loads(line)
            docs[doc["doc_id"]] = doc
    fields = {
        key: {name: value for name, value in doc.items() if name not in ("doc_id", "title", "body")}
        for key, doc in docs.items()
    }
    truth = {(row["query_id"], row["doc_id"]): row for row in _rows("truth.csv")}
    seed = {(row["query_id"], row["doc_id"]): int(row["grade"]) for row in _rows("seed.csv")}
    rows = []
    for row in _rows("pairs.csv"):
        at = (row["query_id"], row["doc_id"])
        doc = docs[row["doc_id"]]
        rows.append(
            {
                "pair_id": "/".join(at), "query_id": row["query_id"], "query": row["query"], "split": row["split"],
                "title": doc["title"], "body": doc.get("body", ""), "fields": json.dumps(fields[row["doc_id"]]),
                "seed": seed.get(at), "true_grade": int(truth[at]["true_grade"]),
                "planted": truth[at]["deciding_rule_id"],
            }
        )  # fmt: skip
    return _with_features(pl.DataFrame(rows), FieldVocabulary.from_docs(fields.values()))


def read_web(path: Path) -> pl.DataFrame:
    """Return the judged web-search pairs with their features; a title is all there is of a doc."""
    rows = pl.read_parquet(path).with_columns(
        pl.col("pair_id").cast(pl.String), pl.col("query_id").cast(pl.String), body=pl.lit(""), fields=pl.lit("{}")
    )
    return _with_features(rows, FieldVocabulary.from_docs([]))


def tell_sample(report: Report, name: str, pairs: pl.DataFrame, judged: pl.DataFrame, grades: list[int]) -> None:
    """Mine one set of judgments of the sample and hold the rules against the planted ones."""
    mined = mine_rules(judged, grades, scale=SHOP_SCALE, queries=judged["query_id"].to_list())
    votes = judged_votes(_rules(mined.rules), pairs) != ABSTAIN
    planted = pairs["planted"].to_numpy()
    is_new = ~pairs["pair_id"].is_in(judged["pair_id"].to_list()).to_numpy()
    truth = pairs["true_grade"].to_numpy()
    found_by = [_found(rule, votes[:, k], planted) for k, rule in enumerate(mined.rules)]
    n_seen = judged["planted"].value_counts()
    seen = dict(n_seen.iter_rows())
    recall = {}
    for group, wanted in (
        ("frequent", [key for key, rule in RULES.items() if not rule.overrides]),
        ("rare", [key for key, rule in RULES.items() if rule.overrides]),
        ("rare with 3 or more judged pairs", [k for k, r in RULES.items() if r.overrides and seen.get(k, 0) >= 3]),
    ):
        covered = {key: votes[:, [k for k, by in enumerate(found_by) if by == key]].any(axis=1) for key in wanted}
        n_found = sum(bool((covered[key] & (planted == key)).sum() >= SAME * (planted == key).sum()) for key in wanted)
        n_touched = sum(bool(covered[key].any()) for key in wanted)
        recall[group] = (n_found, n_touched, len(wanted))
    parts: dict[str, Any] = {}
    for part, chosen in _parts(mined.rules).items():
        n_match = sum(found_by[k] is not None for k in chosen)
        new = votes[is_new][:, chosen]
        right = new & (truth[is_new][:, None] == np.array([mined.rules[k].grade for k in chosen], np.int64)[None, :])
        parts[part] = {
            "rules": len(chosen),
            "find_a_planted_rule": n_match,
            "votes_on_new_pairs": int(new.sum()),
            "right_on_new_pairs": int(right.sum()),
        }
    report.put(name, n_judged=len(judged), rules=parts, recall=recall, left_out=len(mined.told),
               held_out=[mined.n_held_out, mined.n_held_out_right])  # fmt: skip
    report.say(f"{name}: {len(judged)} judgments, {len(mined.rules)} rules, {len(mined.told)} left out")
    for part, told in parts.items():
        report.say(
            f"  {part}: {told['find_a_planted_rule']} of {told['rules']} find a planted rule; "
            f"votes equal to the truth on pairs not mined from: "
            f"{_rate(told['right_on_new_pairs'], told['votes_on_new_pairs'])}"
        )
    told_recall = (f"{group}: {n} found, {m} in part, of {of}" for group, (n, m, of) in recall.items())
    report.say("  planted rules, " + "; ".join(told_recall))
    report.say(f"  held-out folds said {_rate(mined.n_held_out_right, mined.n_held_out)}")


def tell_web(report: Report, pairs: pl.DataFrame, *, n_shuffles: int) -> None:
    """Mine real judgments; the gap between train and dev is what was fitted to the train pairs only."""
    train, dev = pairs.filter(pl.col("split") == "train"), pairs.filter(pl.col("split") == "dev")
    grades, queries = train["label"].to_list(), train["query_id"].to_list()
    began = time.perf_counter()
    mined = mine_rules(train, grades, scale=WEB_SCALE, queries=queries)
    seconds = time.perf_counter() - began
    report.say(f"qbqtc: {len(mined.rules)} rules of {len(train):,} judgments in {seconds:.1f} s")
    for part, chosen in _parts(mined.rules).items():
        told = {
            name: _measure([mined.rules[k] for k in chosen], split) for name, split in (("train", train), ("dev", dev))
        }
        report.put(f"qbqtc {part}", rules=len(chosen), **told)
        report.say(f"  {part}: {len(chosen)} rules; " + "; ".join(f"{name} {_told(one)}" for name, one in told.items()))
    report.say(f"  held-out folds of train said {_rate(mined.n_held_out_right, mined.n_held_out)}")
    draw = np.random.default_rng(0)
    n_found = []
    for _ in range(n_shuffles):
        shuffled = mine_rules(train, draw.permutation(grades).tolist(), scale=WEB_SCALE, queries=queries)
        n_found.append([len(shuffled.rules), sum(rule.is_confirmed for rule in shuffled.rules)])
    report.put("qbqtc", seconds=seconds, rules_of_shuffled_grades=n_found, left_out=len(mined.told),
               held_out=[mined.n_held_out, mined.n_held_out_right])  # fmt: skip
    report.say(f"  rules of shuffled grades, and confirmed ones among them: {n_found}")


def tell_speed(report: Report, pairs: pl.DataFrame, n_judgments: int) -> None:
    """Time mining at a size: real judged pairs drawn again and again, each draw of a query a query of its own."""
    train = pairs.filter(pl.col("split") == "train")
    n_copies = -(-n_judgments // len(train))
    many = pl.concat(
        [
            train.with_columns(pl.col("query_id") + f"/{copy}", pl.col("pair_id") + f"/{copy}")
            for copy in range(n_copies)
        ]
    ).head(n_judgments)
    began, cpu = time.perf_counter(), time.process_time()
    mined = mine_rules(many, many["label"].to_list(), scale=WEB_SCALE, queries=many["query_id"].to_list())
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    report.put("speed", judgments=len(many), seconds=seconds, cpu_seconds=cpu, rules=len(mined.rules))
    report.say(f"{len(many):,} judgments: {seconds:.0f} s, {cpu:.0f} of processors, {len(mined.rules)} rules")


def _measure(rules: Sequence[MinedRule], pairs: pl.DataFrame) -> dict[str, float]:
    """Return coverage, and the share of votes that are right with a 95% bootstrap interval over queries."""
    votes = judged_votes(_rules(rules), pairs)
    said = votes != ABSTAIN
    right = said & (votes == pairs["label"].to_numpy()[:, None])
    groups = np.unique(pairs["query_id"].to_numpy(), return_inverse=True)[1]
    n_said = np.bincount(groups, said.sum(axis=1))
    n_right = np.bincount(groups, right.sum(axis=1))
    draws = np.random.default_rng(0).integers(0, n_said.size, (N_BOOTSTRAPS, n_said.size))
    rates = n_right[draws].sum(axis=1) / np.maximum(n_said[draws].sum(axis=1), 1)
    low, high = np.quantile(rates, [0.025, 0.975])
    return {
        "coverage": float(said.any(axis=1).mean()),
        "votes": int(said.sum()),
        "precision": float(right.sum() / max(1, said.sum())),
        "low": float(low),
        "high": float(high),
    }


def _parts(rules: Sequence[MinedRule]) -> dict[str, list[int]]:
    """Return the numbers of all rules, the confirmed and unconfirmed heads, and the rare ones."""
    heads = [k for k, rule in enumerate(rules) if not rule.is_rare]
    return {
        "all": list(range(len(rules))),
        "heads, confirmed": [k for k in heads if rules[k].is_confirmed],
        "heads, not confirmed": [k for k in heads if not rules[k].is_confirmed],
        "rare": [k for k, rule in enumerate(rules) if rule.is_rare],
        "of 3 to 9 pairs": [k for k, rule in enumerate(rules) if rule.n_votes < 10],
    }


def _found(rule: MinedRule, covered: Any, planted: Any) -> str | None:
    """Return the planted rule of its grade that decides enough of the pairs a mined rule covers."""
    names, counts = np.unique(planted[covered & (planted != "")], return_counts=True)
    for name, n in sorted(zip(names, counts, strict=True), key=lambda one: -one[1]):
        if RULES[name].grade == rule.grade and n >= SAME * covered.sum():
            return str(name)
    return None


def _rules(rules: Sequence[MinedRule]) -> list[Rule]:
    return [Rule(f"r_{k}", rule.text, rule.condition, rule.grade) for k, rule in enumerate(rules)]


def _with_features(pairs: pl.DataFrame, vocabulary: FieldVocabulary) -> pl.DataFrame:
    return pair_features(pairs, vocabulary).join(pairs.drop("title", "body", "fields"), on="pair_id", how="left")


def _rows(name: str) -> list[Mapping[str, str]]:
    with (SAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _told(one: Mapping[str, float]) -> str:
    if not one["votes"]:
        return "covers nothing"
    return f"covers {one['coverage']:.1%}, right {one['precision']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"


def _rate(n_right: int, n: int) -> str:
    return f"{n_right / n:.3f} (n={n:,})" if n else "nothing"


if __name__ == "__main__":
    main()

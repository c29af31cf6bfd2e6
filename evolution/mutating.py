"""The mutation run: draw mutations of judged train pairs, have each checked, write pair, features, votes and verdict.

A mutation inherits its root's split. One that was not confirmed keeps its rows and the reason, and gets no candidate.
No query gives more than a few and no pair more than one, so that the set does not become one query's variations.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from curation.features import FEATURE_SCHEMA, pair_features
from curation.ingest import normal_text, pair_id_of, query_id_of
from curation.rule_votes import append_votes, vote_rows
from evolution.mutations import MUTATIONS, Corpus, MutatedPair, SourcePair
from evolution.rule_book import all_rules
from evolution.verifier import VERIFIER, Check, PairText, Verifier, fit_verifier
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import content_id, digest
from storage.runs import finished_run, start_run
from storage.store import Store

PROPOSER = "lexical"
MAX_PER_QUERY = 4


@dataclass(frozen=True, slots=True)
class Drawn:
    """A mutation with the train pair it came from and the verdict on it."""

    source: Mapping[str, Any]
    mutated: MutatedPair
    query_id: str
    pair_id: str
    check: Check


@dataclass(frozen=True, slots=True)
class MutateReport:
    """What a mutation run did; `verifier` is how far the checks can be trusted."""

    drawn: tuple[Drawn, ...]
    verifier: Verifier | None
    n_sources: int
    finished_before: str | None = None

    @property
    def n_confirmed(self) -> int:
        return sum(drawn.check.is_confirmed for drawn in self.drawn)


def mutate_pairs(
    store: Store,
    *,
    scale: Scale,
    operators: Sequence[str],
    limit: int,
    seed: int,
    account: str | None,
    judgments: str = "all",
    is_dry: bool = False,
) -> MutateReport:
    """Draw, check and append up to `limit` mutations; nothing is done twice on the same judgments and settings.

    `judgments` narrows the sources to an origin: import, consensus or adjudicated.
    """
    unknown = [name for name in operators if name not in MUTATIONS]
    if unknown:
        raise UserError(f"unknown operator {', '.join(unknown)}. Name one of: {', '.join(MUTATIONS)}")
    pairs = store.frame("train_pairs", judgments=judgments)
    if pairs.is_empty():
        raise UserError(
            "no judged train pairs, so there is nothing to mutate. "
            "Bring judgments: afrel ingest FILE --map query=…,title=…,grade=…"
        )
    judged = pairs.filter(pl.col("origin") != "mutation")
    config = {"operators": list(operators), "limit": limit, "seed": seed, "verifier": VERIFIER}
    input_digest = digest([judged.select("pair_id", "grade").rows(), config])
    if before := finished_run(store, "mutate", input_digest):
        return MutateReport((), None, len(judged), before)
    docs = [json.loads(fields) for fields in store.read("doc_fields").column("fields").to_pylist()]
    corpus = Corpus(docs, (f"{title} {body}" for title, body in judged.select("title", "body").unique().iter_rows()))
    texts = [_text(row, row["query"]) for row in judged.iter_rows(named=True)]
    verifier = fit_verifier(texts, judged["grade"].to_list(), scale=scale)
    drawn = _draw(store, judged, corpus, verifier, scale=scale, operators=operators, limit=limit, seed=seed)
    report = MutateReport(tuple(drawn), verifier, len(judged))
    if is_dry:
        return report
    with start_run(store, verb="mutate", config=config, input_digest=input_digest, account=account) as run:
        features = _features(drawn, corpus)
        store.append(_rows(drawn, features, run.run_id))
        rules = all_rules(store)
        append_votes(store, list(vote_rows(rules, features)) if rules and len(features) else [], run.run_id)
        run.counts.update(
            mutations=len(drawn),
            confirmed=report.n_confirmed,
            eliminated=len(drawn) - report.n_confirmed,
            verifier_accuracy=verifier.accuracy,
            verifier_explained=verifier.explained,
            verifier_judged=verifier.n_judged,
        )
    return report


def _draw(
    store: Store,
    judged: pl.DataFrame,
    corpus: Corpus,
    verifier: Verifier,
    *,
    scale: Scale,
    operators: Sequence[str],
    limit: int,
    seed: int,
) -> list[Drawn]:
    roots = {row["query_id"]: row["root_query_id"] for row in store.read("query_roots").to_pylist()}
    parents = store.read("mutated_parents").to_pylist()
    taken_pairs = {row["parent_pair_id"] for row in parents}
    per_query = Counter(row["query_id"] for row in parents)
    rows = judged.to_dicts()
    random.Random(seed).shuffle(rows)
    per_operator: Counter[str] = Counter()
    drawn: list[Drawn] = []
    for row in rows:
        if len(drawn) >= limit:
            break
        if row["pair_id"] in taken_pairs or per_query[row["query_id"]] >= MAX_PER_QUERY:
            continue
        doc_text = f"{row['title']} {row['body']}"
        source = SourcePair(row["pair_id"], row["query"], json.loads(row["fields"]), row["grade"], doc_text)
        # The operator with fewer mutations so far goes first, so that neither crowds the other out.
        for name in sorted(operators, key=lambda n: (per_operator[n], n)):
            draw = random.Random(f"{seed} {row['pair_id']} {name}")
            mutated = MUTATIONS[name](source, corpus, scale=scale, draw=draw)
            if mutated is None:
                continue
            query_id = query_id_of(mutated.query)
            if roots.get(query_id, row["root_query_id"]) != row["root_query_id"]:
                continue  # that query exists, under another root and perhaps in another split
            roots[query_id] = row["root_query_id"]
            check = verifier.check(
                _text(row, row["query"]), _text(row, mutated.query), effect=mutated.effect, grade=mutated.effect_grade
            )
            drawn.append(Drawn(row, mutated, query_id, pair_id_of(query_id, row["doc_id"]), check))
            per_query[row["query_id"]] += 1
            per_operator[name] += 1
            break
    return drawn


def _features(drawn: Sequence[Drawn], corpus: Corpus) -> pl.DataFrame:
    pairs = {
        d.pair_id: {
            "pair_id": d.pair_id,
            "query": normal_text(d.mutated.query),
            "title": d.source["title"],
            "body": d.source["body"],
            "fields": d.source["fields"],
        }
        for d in drawn
    }
    if not pairs:
        return pl.DataFrame(schema=FEATURE_SCHEMA)
    return pair_features(pl.DataFrame(list(pairs.values())), corpus.vocabulary)


def _rows(drawn: Sequence[Drawn], features: pl.DataFrame, run_id: str) -> dict[str, Any]:
    """Return the rows of all tables, in one transaction: a mutation never stands without its check."""
    stamp = {"run_id": run_id, "created_at": now()}
    tables: dict[str, Any] = {"queries": [], "pairs": [], "pair_mutations": [], "mutation_checks": []}
    for d in drawn:
        source = f"mutation:{d.mutated.operator}"
        mutation_id = content_id("m", d.source["pair_id"], d.pair_id, d.mutated.operator, str(d.mutated.effect))
        tables["queries"].append(
            {
                "query_id": d.query_id,
                "text": normal_text(d.mutated.query),
                "root_query_id": d.source["root_query_id"],
                "split": "train",
                "source": source,
                **stamp,
            }
        )
        tables["pairs"].append(
            {
                "pair_id": d.pair_id,
                "query_id": d.query_id,
                "doc_id": d.source["doc_id"],
                "split": "train",
                "origin": "mutation",
                "source": source,
                **stamp,
            }
        )
        tables["pair_mutations"].append(
            {
                "pair_mutation_id": mutation_id,
                "parent_pair_id": d.source["pair_id"],
                "pair_id": d.pair_id,
                "operator": d.mutated.operator,
                "effect": str(d.mutated.effect),
                "effect_grade": d.mutated.effect_grade,
                "change": d.mutated.change,
                "proposer": PROPOSER,
                **stamp,
            }
        )
        tables["mutation_checks"].append(
            {
                "mutation_check_id": content_id("k", mutation_id, VERIFIER, d.check.reason),
                "pair_mutation_id": mutation_id,
                "verifier": VERIFIER,
                "is_confirmed": d.check.is_confirmed,
                "parent_expected_grade": d.check.parent_expected,
                "expected_grade": d.check.expected,
                "reason": d.check.reason,
                **stamp,
            }
        )
    # One query may be drawn for several docs, one pair from several parents.
    for table, key in (("queries", "query_id"), ("pairs", "pair_id")):
        tables[table] = list({row[key]: row for row in tables[table]}.values())
    tables["pair_features"] = features.with_columns(run_id=pl.lit(run_id), created_at=pl.lit(stamp["created_at"]))
    return tables


def _text(row: Mapping[str, Any], query: str) -> PairText:
    doc = " ".join([row["title"], *map(str, json.loads(row["fields"]).values())])
    return PairText(query, doc, row["body"], row["root_query_id"])

"""The mutation run: draw mutations of judged train pairs, have each checked, write pair, features, votes and verdict.

A mutation inherits its root's split. One that was not confirmed keeps its rows and the reason, and gets no candidate.
What keeps the set from collapsing to one operator, one query or one rewriting is in `mutations/guard.py`.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from curation.rule_votes import append_votes, vote_rows
from evolution.calls.budget import Budget
from evolution.calls.paid_calls import Answer, Calls, drain_calls
from evolution.calls.held_replies import HeldReplies
from evolution.calls.llm import LLM
from evolution.mutations.rows import mutation_features, mutation_rows
from evolution.mutations import OPERATORS, Corpus, Original
from evolution.mutations.drawing import Draw, Drawing, Source
from evolution.mutations.guard import CollapseGuard, Diversity
from evolution.mutations.prompted import ROLE, PromptedForm
from evolution.calls.prices import Price
from evolution.prompts import load_prompt
from evolution.rules.book import all_rules
from evolution.mutations.verifier import VERIFIER, Check, Claim, PairText, Verifier, fit_verifier
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import digest
from storage.runs import finished_run, start_run
from storage.store import Store

MODEL_FREE = "lexical"


@dataclass(frozen=True, slots=True)
class Served:
    """The model a run asks: at most `concurrency` calls at a time, `seed` None the server's own."""

    llm: LLM
    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class MutatePlan:
    """What a run draws with. `served` None: the model-free forms. `judgments` narrows the sources to an origin."""

    scale: Scale
    operators: Sequence[str]
    limit: int
    seed: int
    spool_dir: Path
    judgments: str = "all"
    served: Served | None = None

    @property
    def proposer(self) -> str:
        return MODEL_FREE if self.served is None else f"{self.served.llm.provider}:{self.served.model}"

    def config(self) -> dict[str, Any]:
        """Return what decides the mutations, for the run's row and for telling a second run from a first."""
        config: dict[str, Any] = {
            "operators": list(self.operators),
            "limit": self.limit,
            "seed": self.seed,
            "verifier": VERIFIER,
            "proposer": self.proposer,
        }
        if self.served is not None:
            shown = ["mutate", "mutate_query_side", "mutate_doc_side"]
            names = [*shown, *(OPERATORS[name].prompt_name for name in self.operators)]
            config["prompts"] = digest([load_prompt(name).digest for name in names])
            config["parameters"] = dict(self.served.parameters)
            config["model_seed"] = self.served.seed
        return config


@dataclass(frozen=True, slots=True)
class Drawn:
    """A mutation and the verdict on it."""

    draw: Draw
    check: Check


@dataclass(frozen=True, slots=True)
class MutateReport:
    """What a mutation run did; `verifier` is how far the checks can be trusted, `failures` are calls by reason."""

    drawn: tuple[Drawn, ...]
    verifier: Verifier | None
    diversity: Diversity | None
    n_sources: int
    n_asked: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    finished_before: str | None = None

    @property
    def n_confirmed(self) -> int:
        return sum(drawn.check.is_confirmed for drawn in self.drawn)


def mutate_pairs(store: Store, plan: MutatePlan, *, account: str | None, is_dry: bool = False) -> MutateReport:
    """Draw, check and append mutations; nothing is done twice on the same judgments and settings.

    A dry run writes nothing and asks no model. UserError for an unknown operator or where nothing is judged.
    """
    known = [name for name, operator in OPERATORS.items() if plan.served is not None or operator.is_model_free]
    unknown = [name for name in plan.operators if name not in known]
    if unknown:
        raise UserError(f"unknown operator {', '.join(unknown)}. Name one of: {', '.join(known)}")
    pairs = store.frame("train_pairs", judgments=plan.judgments)
    judged = pairs.filter(pl.col("origin") != "mutation")
    if judged.is_empty():
        raise UserError(
            "no judged train pairs, so there is nothing to mutate. "
            "Bring judgments: afrel ingest FILE --map query=…,title=…,grade=…"
        )
    config = plan.config()
    input_digest = digest([judged.select("pair_id", "grade").rows(), config])
    if before := finished_run(store, "mutate", input_digest):
        return MutateReport((), None, None, len(judged), finished_before=before)
    verifier = fit_verifier(
        [_text(row) for row in judged.iter_rows(named=True)], judged["grade"].to_list(), scale=plan.scale
    )
    parents = store.read("mutated_parents").to_pylist()
    drawing = _start_drawing(store, plan, judged, per_query=Counter(row["query_id"] for row in parents))
    sources = _shuffled(judged, plan.seed, taken={row["parent_pair_id"] for row in parents})
    if is_dry:
        if plan.served is not None:
            return _report(
                drawing, verifier, len(judged), n_asked=drawing.count_asks(sources, _form(plan, plan.served))
            )
        drawing.without_model(sources)
        return _report(drawing, verifier, len(judged))
    if plan.served is not None:
        drain_calls(store, plan.spool_dir)
    try:
        with start_run(store, verb="mutate", config=config, input_digest=input_digest, account=account) as run:
            calls = _Asked(store)
            failures: Mapping[str, int] = {}
            if plan.served is None:
                drawing.without_model(sources)
            else:
                failures = calls.draw(drawing, sources, plan, plan.served, run.run_id)
            report = _report(drawing, verifier, len(judged), n_asked=calls.n_asked, failures=failures)
            features = mutation_features(drawing.draws, drawing.corpus.vocabulary)
            checks = [drawn.check for drawn in report.drawn]
            store.append(mutation_rows(drawing.draws, checks, features, proposer=plan.proposer, run_id=run.run_id))
            rules = all_rules(store)
            append_votes(store, list(vote_rows(rules, features)) if rules and len(features) else [], run.run_id)
            run.counts.update(_counts(report))
            if failures:
                raise _UnfinishedError
    except _UnfinishedError:
        pass  # all is stored; the run is marked as failed so that the next one asks again
    if plan.served is not None:
        drain_calls(store, plan.spool_dir)  # the store holds all of it by now, so this only clears the spools away
    return report


class _UnfinishedError(Exception):
    """Some calls failed: the run did what it could and is not done."""


class _Asked:
    """The calls of one run: asked, stored as they come, counted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.n_asked = 0

    def draw(
        self, drawing: Drawing, sources: Sequence[Source], plan: MutatePlan, served: Served, run_id: str
    ) -> Counter[str]:
        """Draw by a model; return failures by reason."""
        replies = self._store.read("good_replies", role=ROLE, provider=served.llm.provider, model=served.model)
        with Calls(
            served.llm,
            folder=plan.spool_dir,
            run_id=run_id,
            held=HeldReplies(replies),
            ceiling=served.concurrency,
            budget=Budget(prices=served.prices),
        ) as calls:
            return drawing.by_model(
                sources, _form(plan, served), calls, concurrency=served.concurrency, took=self._take
            )

    def _take(self, answer: Answer) -> None:
        self.n_asked += 1
        if answer.rows:
            self._store.append({"llm_calls": list(answer.rows)})


def _form(plan: MutatePlan, served: Served) -> PromptedForm:
    return PromptedForm(plan.scale, served.model, served.parameters, served.seed)


def _start_drawing(store: Store, plan: MutatePlan, judged: pl.DataFrame, *, per_query: Counter[str]) -> Drawing:
    fields = [_fields(text) for text in store.read("doc_fields").column("fields").to_pylist()]
    return Drawing(
        operators={name: OPERATORS[name] for name in plan.operators},
        corpus=Corpus(fields, judged["query"].unique().sort().to_list()),
        scale=plan.scale,
        guard=CollapseGuard(list(plan.operators), per_query),
        limit=plan.limit,
        seed=plan.seed,
        roots={row["query_id"]: row["root_query_id"] for row in store.read("query_roots").to_pylist()},
        pair_ids=set(store.read("train_pair_ids").column("pair_id").to_pylist()),
    )


def _shuffled(judged: pl.DataFrame, seed: int, *, taken: set[str]) -> list[Source]:
    sources = [
        Source(
            Original(row["pair_id"], row["query"], row["title"], row["body"], _fields(row["fields"]), row["grade"]),
            row["query_id"],
            row["doc_id"],
            row["root_query_id"],
        )
        for row in judged.iter_rows(named=True)
        if row["pair_id"] not in taken
    ]
    random.Random(seed).shuffle(sources)
    return sources


def _report(
    drawing: Drawing,
    verifier: Verifier,
    n_sources: int,
    *,
    n_asked: int = 0,
    failures: Mapping[str, int] | None = None,
) -> MutateReport:
    """Have every mutation checked and say what was done."""
    claims = [_claim(draw) for draw in drawing.draws]
    drawn = tuple(Drawn(draw, check) for draw, check in zip(drawing.draws, verifier.check(claims), strict=True))
    return MutateReport(drawn, verifier, drawing.guard.report(), n_sources, n_asked, failures or {})


def _claim(draw: Draw) -> Claim:
    """Return what the verifier is asked: texts before and after, and the declared effect. No fields, no grade."""
    original, mutated, root = draw.source.original, draw.mutated, draw.source.root_query_id
    return Claim(
        PairText(original.query, original.title, original.body, root),
        PairText(mutated.query, mutated.title, mutated.body, root),
        mutated.effect,
        mutated.effect_grade,
    )


def _counts(report: MutateReport) -> dict[str, Any]:
    assert report.verifier is not None and report.diversity is not None
    return {
        "mutations": len(report.drawn),
        "confirmed": report.n_confirmed,
        "eliminated": len(report.drawn) - report.n_confirmed,
        "verifier_accuracy": report.verifier.accuracy,
        "verifier_explained": report.verifier.explained,
        "verifier_judged": report.verifier.n_judged,
        "operator_entropy": report.diversity.entropy,
        "held_back": {tally.name: tally.stopped for tally in report.diversity.operators if tally.stopped},
        "asked": report.n_asked,
        "failed": sum(report.failures.values()),
    }


def _text(row: Mapping[str, Any]) -> PairText:
    return PairText(row["query"], row["title"], row["body"], row["root_query_id"])


def _fields(text: str | None) -> dict[str, str]:
    return {name: str(value) for name, value in json.loads(text or "{}").items()}

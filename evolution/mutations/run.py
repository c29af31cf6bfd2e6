"""The mutation run: draw mutations of judged train pairs, have each checked, write pair, features, votes and verdict.

A mutation inherits its root's split. One that was not confirmed keeps its rows and the reason, and gets no candidate.
What keeps the set from collapsing to one operator, one query or one rewriting is in `mutations/guard.py`. Pairs of the
rules that a model forgot when it was last trained are mutated before others, three of them beside seven.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from curation.rule_votes import append_votes, vote_rows
from evolution.calls.asking import Asked, Served
from evolution.calls.budget import Budget
from evolution.calls.burn_bar import BurnBar
from evolution.calls.estimate import Estimate, estimate_calls
from evolution.calls.held_replies import HeldReplies
from evolution.calls.paid_calls import Answer, Calls
from evolution.mutations import OPERATORS, Corpus
from evolution.mutations.drawing import Draw, Drawing, Source
from evolution.mutations.guard import CollapseGuard, Diversity
from evolution.mutations.prompted import ROLE, PromptedForm
from evolution.mutations.rows import mutation_features, mutation_rows
from evolution.mutations.sources import fields_of, ordered_sources, pairs_of
from evolution.mutations.verifier import VERIFIER, Check, Claim, PairText, Verifier, fit_verifier
from evolution.prompts import load_prompt
from evolution.rules.book import all_rules
from evolution.rules.forgotten import forgotten_rules
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import digest
from storage.runs import finished_run, start_run
from storage.store import Store

MODEL_FREE = "lexical"


@dataclass(frozen=True, slots=True)
class MutatePlan:
    """What a run draws with. `served` None: the model-free forms. `judgments` narrows the sources to an origin."""

    scale: Scale
    operators: Sequence[str]
    limit: int
    seed: int
    judgments: str = "all"
    served: Served | None = None

    @property
    def proposer(self) -> str:
        return MODEL_FREE if self.served is None else self.served.name

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
    """What a mutation run did; `verifier` is how far the checks can be trusted, `asked` what came of asking a model.

    `n_of_forgotten` mutations are of pairs under rules that were forgotten last; `estimate` is what a dry run would
    ask.
    """

    drawn: tuple[Drawn, ...]
    verifier: Verifier | None
    diversity: Diversity | None
    n_sources: int
    n_of_forgotten: int = 0
    asked: Asked = field(default_factory=Asked)
    estimate: Estimate | None = None
    finished_before: str | None = None

    @property
    def n_confirmed(self) -> int:
        return sum(drawn.check.is_confirmed for drawn in self.drawn)


def mutate_pairs(
    store: Store,
    plan: MutatePlan,
    *,
    account: str | None,
    is_dry: bool = False,
    progress: BurnBar | None = None,
) -> MutateReport:
    """Draw, check and append mutations; nothing is done twice on the same judgments and settings.

    A dry run writes nothing and asks no model. Where calls failed or a budget ended the run, what was answered is drawn
    and the next run goes on. UserError for an unknown operator or where nothing is judged.
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
    forgotten = forgotten_rules(store)
    if forgotten:
        config["forgotten_rules"] = [rule.rule_id for rule in forgotten]
    input_digest = digest([judged.select("pair_id", "grade").rows(), config])
    if before := finished_run(store, "mutate", input_digest):
        return MutateReport((), None, None, len(judged), finished_before=before)
    verifier = fit_verifier(
        [_text(row) for row in judged.iter_rows(named=True)], judged["grade"].to_list(), scale=plan.scale
    )
    parents = store.read("mutated_parents").to_pylist()
    drawing = _start_drawing(store, plan, judged, per_query=Counter(row["query_id"] for row in parents))
    hard = pairs_of(forgotten, store, judgments=plan.judgments)
    sources = ordered_sources(judged, plan.seed, taken={row["parent_pair_id"] for row in parents}, forgotten=hard)
    if is_dry:
        if plan.served is None:
            drawing.without_model(sources)
            return _report(drawing, verifier, len(judged), hard)
        sample = drawing.requests(sources, _form(plan, plan.served))
        told = estimate_calls(store, role=ROLE, served=plan.served, n_calls=len(sample), sample=sample)
        return _report(drawing, verifier, len(judged), hard, estimate=told)
    asked = Asked()
    if plan.served is not None:
        asked.drain(store, plan.served.spool_dir)
    try:
        with start_run(store, verb="mutate", config=config, input_digest=input_digest, account=account) as run:
            if plan.served is None:
                drawing.without_model(sources)
            else:
                _draw_by_model(
                    store, drawing, sources, _form(plan, plan.served), plan.served, run.run_id, asked, progress
                )
            report = _report(drawing, verifier, len(judged), hard, asked=asked)
            features = mutation_features(drawing.draws, drawing.corpus.vocabulary)
            checks = [drawn.check for drawn in report.drawn]
            store.append(mutation_rows(drawing.draws, checks, features, proposer=plan.proposer, run_id=run.run_id))
            rules = all_rules(store)
            append_votes(store, list(vote_rows(rules, features)) if rules and len(features) else [], run.run_id)
            run.counts.update(_counts(report))
            if not asked.is_complete:
                raise _UnfinishedError
    except _UnfinishedError:
        pass  # all is stored; the run is marked as failed so that the next one asks again
    if plan.served is not None:
        asked.drain(store, plan.served.spool_dir)  # the store holds all of it by now: this clears the spools away
    return report


class _UnfinishedError(Exception):
    """Some calls failed, or a budget ended the run: it did what it could and is not done."""


def _draw_by_model(
    store: Store,
    drawing: Drawing,
    sources: Sequence[Source],
    form: PromptedForm,
    served: Served,
    run_id: str,
    asked: Asked,
    progress: BurnBar | None,
) -> None:
    """Draw by a model; every answer is stored as it comes, and counted."""
    replies = store.read("good_replies", role=ROLE, provider=served.llm.provider, model=served.model)
    budget = Budget(served.limits, served.prices)
    with Calls(
        served.llm,
        folder=served.spool_dir,
        run_id=run_id,
        held=HeldReplies(replies),
        ceiling=served.concurrency,
        budget=budget,
    ) as calls:

        def take(answer: Answer) -> None:
            asked.n_exchanges += len(answer.rows)
            if answer.rows:
                store.append({"llm_calls": list(answer.rows)})
            if progress is not None:
                progress(len(drawing.draws), drawing.limit, calls.burn())

        try:
            drawing.by_model(sources, form, calls, concurrency=served.concurrency, asked=asked, took=take)
        finally:
            asked.burn = budget.burn()


def _form(plan: MutatePlan, served: Served) -> PromptedForm:
    return PromptedForm(plan.scale, served.model, served.parameters, served.seed)


def _start_drawing(store: Store, plan: MutatePlan, judged: pl.DataFrame, *, per_query: Counter[str]) -> Drawing:
    fields = [fields_of(text) for text in store.read("doc_fields").column("fields").to_pylist()]
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


def _report(
    drawing: Drawing,
    verifier: Verifier,
    n_sources: int,
    hard: Set[str],
    *,
    asked: Asked | None = None,
    estimate: Estimate | None = None,
) -> MutateReport:
    """Have every mutation checked and say what was done."""
    claims = [_claim(draw) for draw in drawing.draws]
    drawn = tuple(Drawn(draw, check) for draw, check in zip(drawing.draws, verifier.check(claims), strict=True))
    n_of_forgotten = sum(draw.source.original.pair_id in hard for draw in drawing.draws)
    return MutateReport(drawn, verifier, drawing.guard.report(), n_sources, n_of_forgotten, asked or Asked(), estimate)


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
        "of_forgotten_rules": report.n_of_forgotten,
        "verifier_accuracy": report.verifier.accuracy,
        "verifier_explained": report.verifier.explained,
        "verifier_judged": report.verifier.n_judged,
        "operator_entropy": report.diversity.entropy,
        "held_back": {tally.name: tally.stopped for tally in report.diversity.operators if tally.stopped},
        **report.asked.counts(),
    }


def _text(row: Mapping[str, Any]) -> PairText:
    return PairText(row["query"], row["title"], row["body"], row["root_query_id"])

"""The run that mines rules from disagreement: cluster, have a rule proposed for each cluster, count it, keep or not.

Only train pairs of queries that are not held out are clustered and shown; the gate then counts each proposal on all
train judgments. A reply that is no rule is a row with its reason, and the run goes on. A run that a budget ends judges
nothing: a rule kept by half a run would change what the other half is asked, and its paid replies would not fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curation.features import FEATURE_SCHEMA
from curation.rule_votes import append_votes, vote_rows
from curation.rules import Rule
from evolution.calls.asking import Asked, Served, ask_served
from evolution.calls.burn_bar import BurnBar
from evolution.calls.estimate import Estimate, estimate_calls
from evolution.calls.paid_calls import Answer, Ask
from evolution.prompts import load_prompt
from evolution.rules.atoms import read_atoms
from evolution.rules.book import read_judged
from evolution.rules.disagreements import Clustered, cluster_disagreements
from evolution.rules.gate import Gate, held_out_queries
from evolution.rules.lexical import PROVIDER as LEXICAL
from evolution.rules.lexical import LexicalRules
from evolution.rules.materials import gather_materials
from evolution.rules.proposals import RuleProposal, proposal_tables
from evolution.rules.requests import (
    ROLE,
    RuleMaterial,
    UnusableRuleError,
    check_rule,
    read_rule,
    rule_request,
    said_of,
)
from evolution.rules.search import Judged
from storage.clock import now
from storage.grades import Scale
from storage.ids import digest
from storage.runs import finished_run, start_run
from storage.store import Store


@dataclass(frozen=True, slots=True)
class DisagreementPlan:
    """What a run proposes with. `served` None: the lexical proposer."""

    scale: Scale
    max_clusters: int
    judgments: str
    served: Served | None = None

    @property
    def proposer(self) -> str:
        return LEXICAL if self.served is None else self.served.name


@dataclass(slots=True)
class DisagreementReport:
    """What a run did. `sources` counts disagreements, `faults` why proposals were turned away.

    `estimate` is what a dry run would ask of a server, `asked` what came of asking it.
    """

    n_judged: int
    clustered: Clustered | None = None
    sources: Counter[str] = field(default_factory=Counter)
    proposals: list[RuleProposal] = field(default_factory=list)
    n_new_rules: int = 0
    n_new_votes: int = 0
    finished_before: str | None = None
    estimate: Estimate | None = None
    asked: Asked = field(default_factory=Asked)

    @property
    def kept(self) -> list[RuleProposal]:
        return [one for one in self.proposals if one.is_kept]

    @property
    def faults(self) -> Counter[str]:
        """Count the reasons of what was turned away, without their figures."""
        return Counter(fault_kind(one.reason) for one in self.proposals if not one.is_kept)


def fault_kind(reason: str) -> str:
    """Return a reason without the figures and names that differ from rule to rule."""
    words = reason.partition(":")[0].partition(" of ")[0]
    kept = [word for word in words.split() if not any(c.isdigit() for c in word)]
    return " ".join(kept)


def mine_disagreements(
    store: Store,
    plan: DisagreementPlan,
    *,
    account: str | None,
    is_dry: bool = False,
    progress: BurnBar | None = None,
) -> DisagreementReport:
    """Propose rules from disagreements on train pairs and keep those that hold; a dry run stops at the clusters."""
    asked = Asked()
    if plan.served is not None and not is_dry:
        asked.drain(store, plan.served.spool_dir)
    judged = read_judged(store, plan.judgments)
    found = store.frame("train_disagreements")
    held_out = held_out_queries([*judged["root_query_id"], *found["root_query_id"]])
    found = found.filter([root not in held_out for root in found["root_query_id"]])
    report = DisagreementReport(len(judged), sources=Counter(found["source"].to_list()), asked=asked)
    if found.is_empty():
        return report
    rows = found.select("source", "pair_id", "settled_grade", "said_grades").rows()
    input_digest = digest(
        ["disagreements", rows, judged.select("pair_id", "grade").rows(), plan.proposer, plan.max_clusters]
    )
    if before := finished_run(store, "mine", input_digest):
        report.finished_before = before
        return report
    report.clustered = cluster_disagreements(found, max_clusters=plan.max_clusters)
    if not report.clustered.clusters or (is_dry and plan.served is None):
        return report
    work = _Work(store, plan, judged, report, held_out)
    if is_dry:
        assert plan.served is not None
        sample = [ask.request for ask in work.asks()]
        report.estimate = estimate_calls(store, role=ROLE, served=plan.served, n_calls=len(sample), sample=sample)
        return report
    config = {"from": "disagreements", "proposer": plan.proposer, "max_clusters": plan.max_clusters}
    try:
        with start_run(store, verb="mine", config=config, input_digest=input_digest, account=account) as run:
            answers = work.ask(run.run_id, progress)
            run.counts.update(disagreements=len(found), clusters=len(report.clustered.clusters), **asked.counts())
            if asked.stopped is not None:
                raise _UnfinishedError
            report.proposals = work.judge([work.read(material, answer) for material, answer in answers])
            kept = list({one.rule.rule_id: one.rule for one in report.kept if one.rule is not None}.values())
            written = store.append(proposal_tables(report.proposals, run_id=run.run_id, at=now()))
            votes = list(vote_rows(kept, store.frame("all_features"))) if kept else []
            report.n_new_rules = written.get("rules", 0)
            report.n_new_votes = append_votes(store, votes, run.run_id)
            run.counts.update(
                proposals=len(report.proposals),
                new_rules=report.n_new_rules,
                new_votes=report.n_new_votes,
                turned_away=dict(report.faults),
            )
    except _UnfinishedError:
        pass  # the replies are stored; the run is marked as failed so that the next one goes on
    if plan.served is not None:
        asked.drain(store, plan.served.spool_dir)  # the store holds all of it by now: this clears the spools away
    return report


class _UnfinishedError(Exception):
    """A budget ended the asking: nothing is judged yet."""


@dataclass(frozen=True, slots=True)
class _Read:
    """An answer read: a rule, or why there is none."""

    material: RuleMaterial
    rule: Rule | None
    said: tuple[str, str, int | None]
    fault: str | None
    llm_call_id: str | None


class _Work:
    """One run's clusters, proposer and gate."""

    def __init__(
        self,
        store: Store,
        plan: DisagreementPlan,
        judged: pl.DataFrame,
        report: DisagreementReport,
        held_out: Collection[str],
    ) -> None:
        self._store, self._plan, self._judged, self._report = store, plan, judged, report
        book = store.read("rule_book").to_pylist()
        self._held = {row["rule_id"] for row in book}
        self._in_play = [
            Rule(row["rule_id"], row["text"], row["condition"], row["grade"])
            for row in book
            if row["status"] != "rejected"
        ]
        self._gate = Gate(judged, self._in_play, held_out=held_out)
        learnt = np.array([root not in held_out for root in judged["root_query_id"]], np.bool_)
        self._learnt_rows = np.flatnonzero(learnt)
        self._learnt = judged.filter(learnt)

    def asks(self) -> list[Ask[RuleMaterial]]:
        """Return one request a cluster."""
        plan = self._plan
        texts = self._store.frame("train_pairs", judgments=plan.judgments).select("pair_id", "query", "title")
        materials = gather_materials(
            self._report.clustered.clusters if self._report.clustered else (),
            self._learnt.join(texts, on="pair_id", how="left"),
            votes={rule: self._learnt_votes(rule) for rule in self._in_play},
            scale=plan.scale,
        )
        served, instruction = plan.served, self._instruction()
        requests = [
            rule_request(
                material,
                instruction=instruction,
                model=served.model if served else LEXICAL,
                parameters=served.parameters if served else {},
                seed=served.seed if served else None,
            )
            for material in materials
        ]
        return [
            Ask(material, request, partial(check_rule, material=material))
            for material, request in zip(materials, requests, strict=True)
        ]

    def ask(self, run_id: str, progress: BurnBar | None) -> list[tuple[RuleMaterial, Answer]]:
        """Have a rule proposed for every cluster; fewer answers where a budget ended it."""
        asks, served = self.asks(), self._plan.served
        answers: list[tuple[RuleMaterial, Answer]] = []
        if served is None:
            llm = self._lexical()
            for n_done, ask in enumerate(asks, 1):
                reply = llm.complete(ask.request)
                answers.append((ask.subject, Answer("", reply.text, reply.failure)))
                if progress is not None:
                    progress(n_done, len(asks), "")
            return answers

        def keep(material: RuleMaterial, answer: Answer) -> dict[str, list[Any]]:
            answers.append((material, answer))
            return {}  # what follows from a rule is known when all are here

        ask_served(
            self._store,
            served,
            asks,
            role=ROLE,
            run_id=run_id,
            asked=self._report.asked,
            take=keep,
            lose=lambda material, answer: answers.append((material, answer)),
            progress=None if progress is None else lambda done, burn: progress(done, len(asks), burn),
        )
        return answers

    def read(self, material: RuleMaterial, answer: Answer) -> _Read:
        """Read an answer; one that is no rule carries its reason."""
        call_id = answer.llm_call_id or None
        if answer.text is None:
            return _Read(material, None, ("", "", None), answer.failure or "no reply", call_id)
        try:
            rule = read_rule(answer.text, material)
        except UnusableRuleError as error:
            return _Read(material, None, said_of(answer.text), str(error), call_id)
        if isinstance(rule, str):
            return _Read(material, None, (rule, "", None), f"no rule seen: {rule}", call_id)
        said = (rule.text, rule.condition, rule.grade)
        fault = f"proposed before: it is {rule.rule_id}" if rule.rule_id in self._held else None
        return _Read(material, rule, said, fault, call_id)

    def judge(self, proposals: Sequence[_Read]) -> list[RuleProposal]:
        """Hold every rule that is new against the gate; return all proposals with what became of them."""
        new: dict[str, _Read] = {}
        for one in proposals:
            if one.rule is not None and one.fault is None:
                new.setdefault(one.rule.rule_id, one)
        rules = [one.rule for one in new.values() if one.rule is not None]
        verdicts = dict(zip(new, self._gate.judge(rules, [one.material.parent for one in new.values()]), strict=True))
        told = []
        for one in proposals:
            is_new = one.rule is not None and new.get(one.rule.rule_id) is one
            verdict = verdicts[one.rule.rule_id] if is_new and one.rule is not None else None
            told.append(
                RuleProposal(
                    source=one.material.cluster.source,
                    proposer=self._plan.proposer,
                    said=one.said,
                    rule=one.rule,
                    is_kept=verdict is not None and verdict.is_kept,
                    reason=verdict.reason if verdict else one.fault or "proposed for another cluster as well",
                    parent_id=one.material.parent.rule_id if one.material.parent else None,
                    count=verdict.count if verdict else None,
                    held_out=verdict.held_out if verdict else None,
                    example_ids=tuple(pair["pair_id"] for pair in one.material.shown),
                    counter_ids=tuple(pair["pair_id"] for pair in one.material.counters),
                    llm_call_id=one.llm_call_id,
                )
            )
        return told

    def _lexical(self) -> LexicalRules:
        groups = np.unique(self._learnt["root_query_id"].to_numpy(), return_inverse=True)[1]
        table = read_atoms(self._learnt.select(list(FEATURE_SCHEMA)), groups)
        judged = Judged(table, self._learnt["grade"].to_numpy(), groups, self._plan.scale)
        votes = {rule.rule_id: self._learnt_votes(rule) for rule in self._in_play}
        return LexicalRules(judged, self._learnt["pair_id"].to_list(), votes)

    def _learnt_votes(self, rule: Rule) -> NDArray[np.bool_]:
        return self._gate.votes_of(rule)[self._learnt_rows]

    def _instruction(self) -> str:
        rows = self._store.read("instruction_in_force").to_pylist()
        return str(rows[0]["text"]) if rows else load_prompt("instruction").text

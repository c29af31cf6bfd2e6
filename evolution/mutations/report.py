"""What `afrel mutate` prints: how many of each operator were confirmed, how mixed the set is, what was held back."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from evolution.mutations import OPERATORS, Side
from evolution.mutations.guard import MAX_PER_QUERY, Diversity
from evolution.mutations.run import Drawn, MutateReport


def print_mutated(report: MutateReport, *, again: str, is_dry: bool, as_json: bool) -> None:
    """Print a report, for a person or as JSON; `again` is the command that goes on where a model did not answer all."""
    if as_json:
        print(json.dumps(_as_json(report), ensure_ascii=False))
        return
    if report.finished_before:
        print(f"nothing to do: {report.finished_before} mutated the same {report.n_sources} train judgments")
        return
    for drawn in report.drawn if is_dry else ():
        print(_told(drawn))
    if report.estimate is not None:
        n = report.estimate.n_calls
        print(f"{n} requests to a model for as many mutations; more where it finds none (dry run)")
        print(report.estimate.told())
        return
    n_eliminated = len(report.drawn) - report.n_confirmed
    dry = " (dry run)" if is_dry else ""
    print(f"{len(report.drawn)} mutations, {report.n_confirmed} confirmed, {n_eliminated} eliminated{dry}")
    if report.n_of_forgotten:
        print(f"{report.n_of_forgotten} of them are of pairs whose rules a model forgot when it was last trained")
    if by_operator := _by_operator(report):
        print("confirmed by operator: " + ", ".join(f"{name} {k}/{n}" for name, (k, n) in by_operator.items()))
    if report.diversity is not None:
        _print_diversity(report.diversity)
    verifier = report.verifier
    if verifier is not None and verifier.accuracy is not None and verifier.explained is not None:
        print(
            f"verifier: out-of-fold accuracy {verifier.accuracy:.2f}, explains {verifier.explained:.0%} of the grades "
            f"(n={verifier.n_judged} train judgments)"
        )
    if verifier is not None and verifier.refusal is not None:
        print(f"nothing confirmed: {verifier.refusal}")
    asked = report.asked
    if asked.failures:
        reasons = "; ".join(f"{n} {reason}" for reason, n in asked.failures.most_common())
        n_asked = asked.n_answered + asked.n_failed
        print(f"{asked.n_failed} of {n_asked} calls failed: {reasons}. Try those again: {again}")
    if asked.burn:
        print(f"used: {asked.burn}; {asked.n_held} replies were paid for before")
    if asked.stopped:
        print(f"{asked.stopped}: {again}")


def print_operators(*, as_json: bool) -> None:
    """Print every operator: the side it rewrites, what it declares, what that rests on."""
    if as_json:
        rows = [
            {
                "operator": operator.name,
                "rewrites": operator.side,
                "claim": operator.claim,
                "effects": list(operator.effects),
                "rests_on": sorted(operator.reads),
                "is_model_free": operator.is_model_free,
            }
            for operator in OPERATORS.values()
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return
    for operator in OPERATORS.values():
        rests_on = "; ".join(sorted(operator.reads)) or "nothing but the text it rewrites"
        print(f"{operator.name:<21} {operator.side:<6} {operator.claim} Rests on: {rests_on}.")


def _print_diversity(diversity: Diversity) -> None:
    parts = []
    if diversity.entropy is not None:
        parts.append(f"entropy of the operators {diversity.entropy:.2f} of 1")
    if diversity.largest_query_rate is not None:
        parts.append(
            f"largest share of one query {diversity.largest_query_rate:.1%} (at most {MAX_PER_QUERY} of a query)"
        )
    repeating = [tally for tally in diversity.operators if tally.n_near_duplicates]
    if repeating:
        rates = ", ".join(f"{t.name} {t.n_near_duplicates}/{t.n_drawn}" for t in repeating)
        parts.append(f"near-duplicates {rates}")
    if parts:
        print("mix: " + "; ".join(parts))
    for tally in diversity.operators:
        if tally.stopped:
            print(f"{tally.name} held back {tally.n_held_back} times; {tally.stopped}")


def _told(drawn: Drawn) -> str:
    original, mutated = drawn.draw.source.original, drawn.draw.mutated
    side = OPERATORS[mutated.operator].side
    what = f"{original.query} → {mutated.query}" if side is Side.QUERY else f"{original.query} · {original.title[:60]}"
    return f"{mutated.operator}: {what}  ({mutated.change[:120]})  {drawn.check.reason}"


def _by_operator(report: MutateReport) -> dict[str, tuple[int, int]]:
    """Return (confirmed, drawn) of each operator that drew."""
    n_drawn = Counter(drawn.draw.mutated.operator for drawn in report.drawn)
    confirmed = Counter(drawn.draw.mutated.operator for drawn in report.drawn if drawn.check.is_confirmed)
    return {name: (confirmed[name], n_drawn[name]) for name in OPERATORS if n_drawn[name]}


def _as_json(report: MutateReport) -> dict[str, Any]:
    verifier, diversity = report.verifier, report.diversity
    return {
        "mutations": len(report.drawn),
        "confirmed": report.n_confirmed,
        "of_forgotten_rules": report.n_of_forgotten,
        "finished_before": report.finished_before,
        "asked": report.asked.counts(),
        "estimate": None if report.estimate is None else report.estimate.to_json(),
        "verifier": None
        if verifier is None
        else {
            "accuracy": verifier.accuracy,
            "explained": verifier.explained,
            "n_judged": verifier.n_judged,
            "refusal": verifier.refusal,
        },
        "entropy": None if diversity is None else diversity.entropy,
        "largest_query_rate": None if diversity is None else diversity.largest_query_rate,
        "operators": []
        if diversity is None
        else [
            {
                "operator": tally.name,
                "drawn": tally.n_drawn,
                "near_duplicates": tally.n_near_duplicates,
                "held_back": tally.n_held_back,
                "reason": tally.stopped,
            }
            for tally in diversity.operators
        ],
        "drawn": [_row(drawn) for drawn in report.drawn],
    }


def _row(drawn: Drawn) -> dict[str, Any]:
    original, mutated = drawn.draw.source.original, drawn.draw.mutated
    return {
        "parent_pair_id": original.pair_id,
        "pair_id": drawn.draw.pair_id,
        "operator": mutated.operator,
        "query": mutated.query,
        "title": mutated.title,
        "body": mutated.body,
        "effect": str(mutated.effect),
        "effect_grade": mutated.effect_grade,
        "change": mutated.change,
        "is_confirmed": drawn.check.is_confirmed,
        "reason": drawn.check.reason,
    }

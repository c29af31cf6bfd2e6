"""What the verb `judge` says: a card line by line, verdicts by error, what was mended; and how to go on."""

from __future__ import annotations

import json
from typing import Any

import typer

from evolution.calls.asking import Asked
from evolution.calls.estimate import Estimate
from evolution.judges.card_run import CardReport
from evolution.judges.refine_run import RefineReport
from evolution.judges.step_run import StepReport
from storage.store import Store

_MEASURED = {
    "length_padding": "rated higher when padded, less rated lower",
    "keyword_stuffing": "rated higher when stuffed with the query, less rated lower",
    "order": "rated otherwise in another order",
    "paraphrase": "rated otherwise when asked in other words",
    "over_rating": "grades above the experts, on average",
}


def print_card(report: CardReport, *, is_dry: bool, as_json: bool) -> None:
    """Print a card; exit status 1 when none could be made."""
    lines = [_line_json(report, place) for place in range(len(report.lines))]
    if as_json:
        counts = {
            "judge": report.judge,
            "pairs": report.n_pairs,
            "asks": report.n_asks,
            "is_passed": report.is_passed if report.lines else None,
            "lines": lines,
            "finished_before": report.finished_before,
        }
        _print_json(counts, report.asked, report.estimate)
    elif report.finished_before:
        print(
            f"nothing to do: {report.finished_before} made the card of {report.judge}. See it: afrel judge card --show"
        )
    elif is_dry:
        print(f"{report.n_pairs} pairs in five forms for {report.judge}, {report.n_asks} calls (dry run)")
        _tell_estimate(report.estimate)
    else:
        for line in lines:
            print(_told_line(line))
        if lines:
            print(_told_standing(report.judge, is_passed=report.is_passed))
        report.asked.tell(again="afrel judge card")
    if not is_dry and not report.finished_before and not report.lines and report.asked.stopped is None:
        raise typer.Exit(1)


def print_cards(store: Store, *, as_json: bool) -> None:
    """Print the latest card of every judge."""
    standing = store.read("judge_standing").to_pylist()
    cards = {row["judge"]: store.read("judge_card", judge=row["judge"]).to_pylist() for row in standing}
    if as_json:
        told = [{**row, "created_at": str(row["created_at"]), "lines": cards[row["judge"]]} for row in standing]
        print(json.dumps(told, ensure_ascii=False))
        return
    if not standing:
        print("no judge has a card. Make one: afrel judge card --model MODEL")
    for row in standing:
        for line in cards[row["judge"]]:
            print(_told_line(line))
        print(_told_standing(row["judge"], is_passed=row["is_passed"]))


def print_steps(report: StepReport, *, is_dry: bool, as_json: bool) -> None:
    """Print what a judge said of steps; exit status 1 when every call failed."""
    if as_json:
        counts = {
            "judge": report.judge,
            "has_passing_card": report.has_card,
            "rationales": report.n_rationales,
            "references": dict(report.kinds),
            "verdicts": report.n_verdicts,
            "wrong": report.n_wrong,
            "errors": dict(report.errors),
        }
        _print_json(counts, report.asked, report.estimate)
    elif not report.n_rationales:
        print(f"nothing to do: {report.judge} has judged every rationale on a train pair that has a reference")
    elif is_dry:
        kinds = ", ".join(f"{n} against the {kind}" for kind, n in sorted(report.kinds.items()))
        print(f"{report.n_rationales} rationales to judge by {report.judge}: {kinds} (dry run)")
        _tell_estimate(report.estimate)
    else:
        errors = "; ".join(f"{n} {error}" for error, n in report.errors.most_common())
        judged = f"{report.n_verdicts} steps of {report.asked.n_answered} rationales judged by {report.judge}"
        print(f"{judged}, {report.n_wrong} of them wrong{': ' + errors if errors else ''}")
        if not report.has_card:
            print(_told_standing(report.judge, is_passed=False))
        report.asked.tell(again="afrel judge steps")
    _exit_if_all_failed(report.asked)


def print_refined(report: RefineReport, *, is_dry: bool, as_json: bool) -> None:
    """Print what was mended; exit status 1 when every call failed."""
    if as_json:
        counts = {
            "critic": report.critic,
            "weak": report.n_weak,
            "refined": report.n_refined,
            "found_sound": report.n_sound,
        }
        _print_json(counts, report.asked, report.estimate)
    elif not report.has_verdicts:
        print("nothing to do: no step was judged yet. Have them judged: afrel judge steps")
    elif not report.n_weak:
        print(f"nothing to do: {report.critic} has seen every rationale with a step found wrong")
    elif is_dry:
        print(f"{report.n_weak} weak rationales for {report.critic} (dry run)")
        _tell_estimate(report.estimate)
    else:
        print(
            f"{report.n_refined} of {report.n_weak} weak rationales refined by {report.critic} and kept as "
            f"preferences, {report.n_sound} found sound"
        )
        report.asked.tell(again="afrel judge refine")
    _exit_if_all_failed(report.asked)


def _line_json(report: CardReport, place: int) -> dict[str, Any]:
    line = report.lines[place]
    return {
        "bias": line.bias.value,
        "value": line.value,
        "low": None if line.interval is None else line.interval.low,
        "high": None if line.interval is None else line.interval.high,
        "n": line.n,
        "bound": line.bound,
        "is_passed": line.is_passed,
    }


def _told_line(line: dict[str, Any]) -> str:
    told = "unknown"
    if line["value"] is not None and line["low"] is not None:
        told = f"{line['value']:+.3f} ({line['low']:+.3f} to {line['high']:+.3f})"
    verdict = "passed" if line["is_passed"] else "FAILED"
    return f"{verdict}  {line['bias']:<17} {told}, n={line['n']}, at most {line['bound']:g}: {_MEASURED[line['bias']]}"


def _told_standing(judge: str, *, is_passed: bool) -> str:
    if is_passed:
        return f"{judge} has a passing card: its verdicts may order the queue, where a review cause asks for them"
    return f"{judge} has no passing card, so what it says orders nothing. Measure it: afrel judge card"


def _print_json(counts: dict[str, Any], asked: Asked, estimate: Estimate | None) -> None:
    told = {**counts, "estimate": None if estimate is None else estimate.to_json(), **asked.counts()}
    print(json.dumps(told, ensure_ascii=False))


def _tell_estimate(estimate: Estimate | None) -> None:
    if estimate is not None and estimate.n_calls:
        print(estimate.told())


def _exit_if_all_failed(asked: Asked) -> None:
    if asked.failures and not asked.n_answered:
        raise typer.Exit(1)  # a script must see that nothing was judged

"""Verbs of the machines: mine rules, approve them, mutate pairs."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.errors import UserError
from storage.session import Session, read_scale

if TYPE_CHECKING:
    import polars as pl

    from evolution.mutating import MutateReport
    from evolution.rule_book import MineReport

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class JudgmentOrigin(StrEnum):
    """Which judgments a verb learns from. A round of review makes new ones, and with them the next cycle begins."""

    ALL = "all"
    IMPORT = "import"
    CONSENSUS = "consensus"
    ADJUDICATED = "adjudicated"


FromJudgments = Annotated[JudgmentOrigin, typer.Option("--judgments", help="Learn from judgments of this origin only.")]


def mine(
    ctx: typer.Context,
    max_rules: Annotated[int, typer.Option(min=1, help="At most this many rules.")] = 120,
    judgments: FromJudgments = JudgmentOrigin.ALL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the rules; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Propose rules from judged train pairs and cast their votes on all pairs.

    Example: afrel -w shop mine --max-rules 60
    """
    from evolution.rule_book import mine_book
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    with session.store() as store:
        report = mine_book(
            store,
            scale=read_scale(store),
            max_rules=max_rules,
            account=session.account,
            judgments=judgments.value,
            is_dry=dry_run,
        )
    _print_mined(report, is_dry=dry_run, as_json=as_json)


def approve(
    ctx: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="Rules or instructions.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All proposed rules that were right often enough.")] = False,
    min_accuracy: Annotated[float, typer.Option(min=0, max=1, help="For --all: on train judgments.")] = 0.7,
    min_votes: Annotated[int, typer.Option(min=1, help="For --all: judged train pairs it voted on.")] = 5,
    reject: Annotated[bool, typer.Option("--reject", help="Reject instead.")] = False,
    kind: Annotated[str, typer.Option(help="rule or instruction.")] = "rule",
    reason: Annotated[str | None, typer.Option(help="Why; kept with the act.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Show what there is and its status.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be decided; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Approve or reject rules and instructions. Only approved ones are cited and followed.

    Example: afrel --as dora approve --all --min-accuracy 0.8
    """
    from curation.approvals import Decision, decide, undecided
    from evolution.rule_book import choose_by_accuracy
    from storage.people.accounts import Act

    session: Session = ctx.obj
    if kind not in ("rule", "instruction"):
        raise UserError(f"--kind {kind!r} is neither rule nor instruction. See the rules: afrel approve --list")
    if show:
        with session.store() as store:
            _print_book(store.frame(f"{kind}_book"), kind, as_json=as_json)
        return
    if bool(ids) == every or (every and kind != "rule"):
        raise UserError("name rules or instructions by id, or all rules by --all. See them: afrel approve --list")
    account = session.require(Act.APPROVE).account
    decision = Decision(kind, "reject" if reject else "approve", account, reason)
    with session.store() as store:
        book = store.frame(f"{kind}_book")
        chosen = choose_by_accuracy(book, min_accuracy=min_accuracy, min_votes=min_votes) if every else list(ids or [])
        new = undecided(book, chosen, decision)
        if not dry_run and new:
            decide(store, new, decision)
    if as_json:
        print(json.dumps({"decision": decision.decision, "kind": kind, "ids": new, "dry_run": dry_run}))
    elif not new:
        n_left = int((book["status"] == "proposed").sum()) if every else 0
        below = f"; {n_left} proposed ones fall below {min_accuracy:g} of {min_votes} votes" if n_left else ""
        print(f"nothing to do: no {kind} named is without that decision{below}")
    else:
        print(f"{len(new)} {kind}{'s' if len(new) > 1 else ''} {decision.status}{' (dry run)' if dry_run else ''}")


def mutate(
    ctx: typer.Context,
    operator: Annotated[list[str] | None, typer.Option(help="attribute_swap, constraint_added; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many mutations.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    judgments: FromJudgments = JudgmentOrigin.ALL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the mutations; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rewrite judged train pairs on purpose; an independent verifier confirms the declared effect or eliminates it.

    Example: afrel -w shop mutate --operator attribute_swap --limit 100
    """
    from evolution.mutating import mutate_pairs
    from evolution.mutations import MUTATIONS
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    with session.store() as store:
        report = mutate_pairs(
            store,
            scale=read_scale(store),
            operators=operator or list(MUTATIONS),
            limit=limit,
            seed=seed,
            account=session.account,
            judgments=judgments.value,
            is_dry=dry_run,
        )
    _print_mutated(report, is_dry=dry_run, as_json=as_json)


def _print_mined(report: MineReport, *, is_dry: bool, as_json: bool) -> None:
    if as_json:
        rules = [
            {
                "rule_id": entry.rule.rule_id,
                "text": entry.rule.text,
                "condition": entry.rule.condition,
                "grade": entry.rule.grade,
                "coverage_rate": entry.coverage_rate,
                "accuracy": entry.mined.accuracy,
                "n_judged": entry.mined.n_votes,
                "parent_id": entry.parent_id,
            }
            for entry in report.entries
        ]
        counts = {"n_judged": report.n_judged, "new_rules": report.n_new_rules, "new_votes": report.n_new_votes}
        print(json.dumps({**counts, "finished_before": report.finished_before, "rules": rules}, ensure_ascii=False))
        return
    if report.finished_before:
        print(f"nothing to do: {report.finished_before} mined the same {report.n_judged} train judgments")
        return
    for entry in report.entries:
        covered = "-" if entry.coverage_rate is None else f"{entry.coverage_rate:.1%}"
        mark = " (exception)" if entry.mined.exception_to else ""
        print(
            f"{entry.rule.rule_id}  grade {entry.rule.grade}  covers {covered:>6}  "
            f"right {entry.mined.accuracy:.2f} (n={entry.mined.n_votes})  {entry.rule.text}{mark}"
        )
    print(
        f"{len(report.entries)} rules from {report.n_judged} train judgments; {report.n_new_rules} new, "
        f"{report.n_new_votes} new votes{' (dry run)' if is_dry else ''}"
    )


def _print_book(book: pl.DataFrame, kind: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(book.to_dicts(), default=str, ensure_ascii=False))
        return
    if book.is_empty():
        print(f"no {kind}s yet{'. Mine some: afrel mine' if kind == 'rule' else ''}")
    for row in book.iter_rows(named=True):
        if kind == "instruction":
            print(f"{row['instruction_id']}  {row['status']:<8}  generation {row['generation']}  {row['operator']}")
            continue
        right = "not judged" if not row["n_judged"] else f"right {row['n_right'] / row['n_judged']:.2f}"
        print(
            f"{row['rule_id']}  {row['status']:<8}  grade {row['grade']}  {right} (n={row['n_judged']})  {row['text']}"
        )


def _print_mutated(report: MutateReport, *, is_dry: bool, as_json: bool) -> None:
    verifier = report.verifier
    if as_json:
        print(json.dumps(_mutated_json(report), ensure_ascii=False))
        return
    if report.finished_before:
        print(f"nothing to do: {report.finished_before} mutated the same {report.n_sources} train judgments")
        return
    if is_dry:
        for drawn in report.drawn:
            print(f"{drawn.source['query']} → {drawn.mutated.query}  ({drawn.mutated.change})  {drawn.check.reason}")
    n_eliminated = len(report.drawn) - report.n_confirmed
    print(
        f"{len(report.drawn)} mutations, {report.n_confirmed} confirmed, {n_eliminated} eliminated"
        f"{' (dry run)' if is_dry else ''}"
    )
    if verifier is not None and verifier.accuracy is not None and verifier.explained is not None:
        print(
            f"verifier: out-of-fold accuracy {verifier.accuracy:.2f}, explains {verifier.explained:.0%} of the grades "
            f"(n={verifier.n_judged} train judgments)"
        )
    if verifier is not None and verifier.refusal is not None:
        print(f"nothing confirmed: {verifier.refusal}")


def _mutated_json(report: MutateReport) -> dict[str, Any]:
    verifier = report.verifier
    return {
        "mutations": len(report.drawn),
        "confirmed": report.n_confirmed,
        "finished_before": report.finished_before,
        "verifier": None
        if verifier is None
        else {
            "accuracy": verifier.accuracy,
            "explained": verifier.explained,
            "n_judged": verifier.n_judged,
            "refusal": verifier.refusal,
        },
        "drawn": [
            {
                "parent_pair_id": drawn.source["pair_id"],
                "pair_id": drawn.pair_id,
                "operator": drawn.mutated.operator,
                "query": drawn.mutated.query,
                "effect": str(drawn.mutated.effect),
                "is_confirmed": drawn.check.is_confirmed,
                "reason": drawn.check.reason,
            }
            for drawn in report.drawn
        ],
    }

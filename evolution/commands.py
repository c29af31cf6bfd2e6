"""Verbs of the machines: approve what they propose."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolution.calls.options import AsJson
from storage.errors import UserError
from storage.session import Session

if TYPE_CHECKING:
    import polars as pl

    from evolution.rules.approving import Evidence


class JudgmentOrigin(StrEnum):
    """Which judgments a verb learns from. A round of review makes new ones, and with them the next cycle begins."""

    ALL = "all"
    IMPORT = "import"
    CONSENSUS = "consensus"
    ADJUDICATED = "adjudicated"


FromJudgments = Annotated[JudgmentOrigin, typer.Option("--judgments", help="Go by judgments of this origin only.")]


def approve(
    ctx: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="Rules or instructions.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All proposed rules right often enough; rare ones only if dev bears them out.")
    ] = False,
    min_accuracy: Annotated[float, typer.Option(min=0, max=1, help="For --all: on train judgments.")] = 0.7,
    min_votes: Annotated[int, typer.Option(min=1, help="For --all: judged train pairs it voted on.")] = 5,
    judgments: FromJudgments = JudgmentOrigin.ALL,
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
    from evolution.rules.approving import choose, read_evidence
    from storage.people.accounts import Act

    session: Session = ctx.obj
    if kind not in ("rule", "instruction"):
        raise UserError(f"--kind {kind!r} is neither rule nor instruction. See the rules: afrel approve --list")
    if show:
        with session.store() as store:
            if kind == "rule":
                _print_rules(store.frame("rule_book"), read_evidence(store, judgments=judgments.value), as_json=as_json)
            else:
                _print_instructions(store.frame("instruction_book"), as_json=as_json)
        return
    if bool(ids) == every or (every and kind != "rule"):
        raise UserError("name rules or instructions by id, or all rules by --all. See them: afrel approve --list")
    account = session.require(Act.APPROVE).account
    decision = Decision(kind, "reject" if reject else "approve", account, reason)
    with session.store() as store:
        book = store.frame(f"{kind}_book")
        evidence = read_evidence(store, judgments=judgments.value) if every else []
        choice = choose(evidence, min_accuracy=min_accuracy, min_votes=min_votes) if every else None
        new = undecided(book, list(ids or []) if choice is None else list(choice.rule_ids), decision)
        if not dry_run and new:
            decide(store, new, decision)
    if as_json:
        left = {} if choice is None else {"below": choice.n_below, "rare_unproved": choice.n_unproved}
        print(json.dumps({"decision": decision.decision, "kind": kind, "ids": new, "dry_run": dry_run, **left}))
        return
    if new:
        print(f"{len(new)} {kind}{'s' if len(new) > 1 else ''} {decision.status}{' (dry run)' if dry_run else ''}")
    else:
        print(f"nothing to do: no {kind} named is without that decision")
    if choice is not None and choice.n_below:
        print(f"{choice.n_below} stay proposed: right on less than {min_accuracy:g} of {min_votes} train votes or more")
    if choice is not None and choice.n_unproved:
        print(
            f"{choice.n_unproved} rare ones stay proposed: on dev they are not surely right more often than what holds "
            "without them. See each with its n: afrel approve --list; approve one: afrel approve RULE"
        )


def _print_rules(book: pl.DataFrame, evidence: Sequence[Evidence], *, as_json: bool) -> None:
    of_rule = {one.rule_id: one for one in evidence}
    if as_json:
        rows = [_with_evidence(row, of_rule[row["rule_id"]]) for row in book.iter_rows(named=True)]
        print(json.dumps(rows, default=str, ensure_ascii=False))
        return
    if book.is_empty():
        print("no rules yet. Mine some: afrel mine")
    for row in book.iter_rows(named=True):
        one = of_rule[row["rule_id"]]
        told = [_share("right", one.n_right, one.n_judged), _share("dev", one.n_dev_right, one.n_dev)]
        if one.n_dev and one.rate_without is not None:
            told.append(f"without it {one.rate_without:.2f}")
        rare = "  rare" if one.is_rare else ""
        print(f"{row['rule_id']}  {row['status']:<8}  grade {row['grade']}  {', '.join(told)}{rare}  {row['text']}")


def _share(name: str, n_right: int, n: int) -> str:
    return f"{name} {n_right / n:.2f} (n={n})" if n else f"{name} not judged"


def _with_evidence(row: Mapping[str, Any], one: Evidence) -> dict[str, Any]:
    more = {"is_rare": one.is_rare, "n_dev": one.n_dev, "n_dev_right": one.n_dev_right}
    return {**row, **more, "dev_rate_without": one.rate_without, "is_borne_out_on_dev": one.is_borne_out}


def _print_instructions(book: pl.DataFrame, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(book.to_dicts(), default=str, ensure_ascii=False))
        return
    if book.is_empty():
        print("no instructions yet")
    for row in book.iter_rows(named=True):
        print(f"{row['instruction_id']}  {row['status']:<8}  generation {row['generation']}  {row['operator']}")

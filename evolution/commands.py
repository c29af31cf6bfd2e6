"""Verbs of the machines: approve what they propose."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from evolution.calls.options import AsJson
from storage.errors import UserError
from storage.session import Session

if TYPE_CHECKING:
    import polars as pl


class JudgmentOrigin(StrEnum):
    """Which judgments a verb learns from. A round of review makes new ones, and with them the next cycle begins."""

    ALL = "all"
    IMPORT = "import"
    CONSENSUS = "consensus"
    ADJUDICATED = "adjudicated"


FromJudgments = Annotated[JudgmentOrigin, typer.Option("--judgments", help="Learn from judgments of this origin only.")]


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
    from evolution.rules.book import choose_by_accuracy
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

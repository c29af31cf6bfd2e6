"""`afrel instructions`: every version of the labelling instruction, what was tried, what it scored, how two differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from evolution.calls.options import AsJson
from storage.session import Session

if TYPE_CHECKING:
    from evolution.instructions.history import History

instructions = typer.Typer(
    help="Versions of the labelling instruction: log, show, diff.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
InstructionId = Annotated[str, typer.Argument(metavar="ID", help="An instruction, as afrel instructions log names it.")]


@instructions.command()
def log(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also what was turned away, and edits without a text.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the versions with their standing and dev scores, the oldest first; with --all what was turned away, and why.

    Example: afrel -w shop instructions log --all
    """
    from evolution.instructions.history import told_edit, told_version

    history = _history(ctx)
    if as_json:
        print(json.dumps(history.to_json(every=every), ensure_ascii=False, default=str))
        return
    shown = [one for one in history.versions if every or one.status != "turned away"]
    for one in shown:
        print(told_version(one))
    for edit in history.textless if every else ():
        print(told_edit(edit))
    n_more = len(history.versions) - len(shown) + (0 if every else len(history.textless))
    if n_more:
        print(f"{n_more} edits were turned away. With their reasons: afrel instructions log --all")
    if not history.versions:
        print("no instruction yet: the built-in one is labelled under. Write your own: afrel init DIR --guideline FILE")


@instructions.command()
def show(ctx: typer.Context, instruction_id: InstructionId, as_json: AsJson = False) -> None:
    """Show an instruction's text, where it comes from, and its scores on train and dev with 95% intervals.

    Example: afrel -w shop instructions show i_3fa9…
    """
    from evolution.instructions.history import told_whole

    history = _history(ctx)
    found = history.version(instruction_id)
    if as_json:
        print(json.dumps(found.to_json(), ensure_ascii=False, default=str))
        return
    print(told_whole(found))


@instructions.command()
def diff(
    ctx: typer.Context,
    first: InstructionId,
    second: InstructionId,
    as_json: AsJson = False,
) -> None:
    """Show how two instructions differ, line by line, and their scores side by side.

    Example: afrel -w shop instructions diff i_3fa9… i_91be…
    """
    from evolution.instructions.history import told_difference

    history = _history(ctx)
    one, other = history.version(first), history.version(second)
    if as_json:
        print(json.dumps(one.compared_with(other), ensure_ascii=False))
        return
    print(told_difference(one, other))


def _history(ctx: typer.Context) -> History:
    from evolution.instructions.history import read_history
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    with session.store() as store:
        return read_history(store)

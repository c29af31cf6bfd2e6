"""`afrel argilla`: candidates to an Argilla server, answers back, and that server itself where it runs here."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from review_app.argilla_local import command as local
from storage.errors import UserError
from storage.people.accounts import Act
from storage.session import Session

if TYPE_CHECKING:
    from review_app.argilla_bridge.api import ArgillaApi
    from review_app.argilla_bridge.pull import Pulled
    from review_app.argilla_bridge.push import Pushed, Stand
    from review_app.argilla_bridge.target import Target

_MOST_SHOWN = 10
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
argilla = typer.Typer(
    help="Let people answer in Argilla: start it here or use yours, push candidates, pull answers.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
for verb in (local.up, local.down, local.status, local.logs, local.reindex):
    argilla.command()(verb)


@argilla.command()
def push(
    ctx: typer.Context,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many pairs, the most wanted first.")] = None,
    new_version: Annotated[
        bool, typer.Option("--new-version", help="Start a new version of the dataset, where somebody edited it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send what waits for an answer to Argilla, and take away from there what waits no more.

    Example: afrel -w shop argilla push --limit 5000
    """
    from review_app.argilla_bridge.api import ArgillaApi
    from review_app.argilla_bridge.push import look, summary
    from review_app.argilla_bridge.push import push as send
    from review_app.argilla_bridge.target import read_target
    from storage.locks import exclusive
    from storage.progress_bar import progress_bar

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    target = read_target(session.workspace)
    with (
        ArgillaApi(target) as api,
        exclusive(session.workspace.root / "argilla.lock"),
        session.store(sees_test=True) as store,
        progress_bar() as tell,
    ):
        stand = look(store, api, target, tell, limit=limit, new_version=new_version)
        pushed = summary(stand) if dry_run else send(store, api, target, stand, tell)
    if as_json:
        planned = {"n_to_send": stand.plan.n_send, "n_to_withdraw": stand.plan.n_withdraw}
        print(json.dumps({**pushed.to_dict(), **planned}, ensure_ascii=False))
    else:
        print(_told_push(stand, pushed, is_dry=dry_run))
    for name, dataset_id in pushed.unindexed.items():
        mend = "afrel argilla reindex" if target.key_file else f"python -m review_app.argilla_search {dataset_id}"
        print(
            f"the search of Argilla misses records of {name}. Where it is afrel's own engine, rebuild it: {mend}",
            file=sys.stderr,
        )


@argilla.command()
def pull(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken in.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take in what people answered in Argilla since the last time, each answer once, at its own time.

    Example: afrel -w shop --as cleo argilla pull
    """
    from review_app.argilla_bridge.api import ArgillaApi
    from review_app.argilla_bridge.pull import pull as take_in
    from review_app.argilla_bridge.target import read_target
    from storage.locks import exclusive
    from storage.progress_bar import progress_bar

    session: Session = ctx.obj
    account = session.require(Act.PULL).account
    target = read_target(session.workspace)
    pins = session.pins()
    with (
        ArgillaApi(target) as api,
        exclusive(session.workspace.root / "argilla.lock"),
        session.store(sees_test=True) as store,
        progress_bar() as tell,
    ):
        pulled = take_in(store, api, target, pins, tell, account=account, is_dry=dry_run)
    if as_json:
        print(json.dumps(_pull_json(pulled), ensure_ascii=False))
    else:
        _tell_pull(pulled, is_dry=dry_run)
    if pulled.unreadable:
        raise UserError(
            f"not read, for it was edited by hand: {'; '.join(pulled.unreadable)}. The rest was taken in. "
            "Ask anew what waits in a new version: afrel argilla push --new-version"
        )


@argilla.command()
def watch(
    ctx: typer.Context,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 5.0,
) -> None:
    """Pull whenever people answered in Argilla, until Ctrl+C; waits for a server that is away.

    Example: afrel -w shop --as cleo argilla watch
    """
    import time

    from review_app.argilla_bridge.pull import pull as take_in
    from review_app.argilla_bridge.watch import Watch, stamped
    from review_app.argilla_bridge.watch import watch as keep_watch
    from storage.locks import exclusive

    session: Session = ctx.obj
    account = session.require(Act.PULL).account

    def pull_now(api: ArgillaApi, target: Target) -> Pulled:
        with exclusive(session.workspace.root / "argilla.lock"), session.store(sees_test=True) as store:
            return take_in(store, api, target, session.pins(), lambda *_: None, account=account)

    def tell(pulled: Pulled) -> None:
        print(stamped(""), end="")
        _tell_pull(pulled, is_dry=False)
        _list("not read, for it was edited by hand", pulled.unreadable)
        sys.stdout.flush()

    def say(words: str) -> None:
        print(stamped(words), file=sys.stderr, flush=True)

    watching = Watch(session.workspace, pull_now, say)
    print(f"watching; Ctrl+C ends it and loses nothing (a look every {every:g} s)", file=sys.stderr, flush=True)
    try:
        keep_watch(watching, every=every, tell=tell, sleep=time.sleep)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)


def _told_push(stand: Stand, pushed: Pushed, *, is_dry: bool) -> str:
    version = f"version {pushed.version}" + (", a new one" if pushed.is_new_version else "")
    aside = [
        f"{n:,} {words}"
        for n, words in (
            (pushed.n_lying, "lie there already"),
            (pushed.n_held, "hold answers or drafts nobody pulled (afrel argilla pull)"),
            (pushed.n_sent_back, "were sent back and are answered in the review app"),
            (pushed.n_over_limit, "are left for another push by --limit"),
        )
        if n
    ]
    told = f"; {', '.join(aside)}" if aside else ""
    if is_dry:
        return f"would send {stand.plan.n_send:,} to {version}, take away {stand.plan.n_withdraw:,}{told}"
    if pushed.is_idle:
        return f"nothing to do: nothing new waits for an answer{told}"
    where = ", ".join(f"{n:,} to {name}" for name, n in pushed.by_dataset.items()) or "0"
    return f"sent {where}, {version}; took away {pushed.n_withdrawn:,}{told}"


def _pull_json(pulled: Pulled) -> dict[str, Any]:
    told = asdict(replace(pulled, acts=Counter()))  # asdict of a Counter that holds something takes it apart wrongly
    return {**{name: value for name, value in told.items() if name != "cursors"}, "acts": dict(pulled.acts)}


def _tell_pull(pulled: Pulled, *, is_dry: bool) -> None:
    aside = [
        f"{n:,} {words}"
        for n, words in (
            (pulled.n_comments, "comments"),
            (pulled.n_drafts, "drafts left where they are"),
            (len(pulled.refused), "refused"),
        )
        if n
    ]
    told = f"; {', '.join(aside)}" if aside else ""
    said = ", ".join(f"{n:,} {act.replace('_', ' ')}" for act, n in pulled.acts.most_common())
    if pulled.n_new:
        print(f"{'would take in' if is_dry else 'took in'} {said}{told}")
    else:
        print(f"nothing to do: nothing was answered since{told}")
    _list("conflict", [f"{one.candidate_id}: {one.account} {one.words}" for one in pulled.conflicts])
    _list("left out", pulled.left_out)
    _list("refused", [f"{one.candidate_id}, {one.username}: {one.reason}" for one in pulled.refused])


def _list(kind: str, lines: list[str]) -> None:
    for line in lines[:_MOST_SHOWN]:
        print(f"  {kind}: {line}")
    if len(lines) > _MOST_SHOWN:
        print(f"  and {len(lines) - _MOST_SHOWN:,} more of this kind: afrel argilla pull --json")

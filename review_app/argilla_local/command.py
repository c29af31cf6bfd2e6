"""`afrel argilla up`, `down`, `status`, `logs`, `reindex`: the genuine Argilla on this machine, with no cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from storage.errors import UserError
from storage.people.accounts import Act
from storage.session import Session

if TYPE_CHECKING:
    from review_app.argilla_local.health import Health
    from review_app.argilla_local.home import Running, ServerHome

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def up(
    ctx: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port; the last one by default, at first 6900.")
    ] = None,
    new_password: Annotated[
        list[str] | None, typer.Option("--new-password", metavar="ACCOUNT", help="Give this account a new password.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start Argilla on this machine, for this workspace, with a user for each account; it runs until `down`.

    Example: afrel -w shop argilla up
    """
    from review_app.argilla_local.home import ServerHome

    session: Session = ctx.obj
    session.allow(Act.ACCOUNTS)
    pins = session.pins()
    if not any(pin.retired_at is None for pin in pins.values()):
        raise UserError(
            f"{session.workspace.root} has no accounts, so nobody could log in. Make the first one: "
            f"afrel -w {session.workspace.root} account add NAME --role admin"
        )
    home = ServerHome.of(session.workspace.root)
    with home.held():
        running, is_new = _ensure_running(home, port)
        counts, passwords = _ensure_people(session, new_password or [], as_json=as_json)
    if as_json:
        print(json.dumps({"url": running.url, "is_new": is_new, "users": counts, "passwords": passwords}))
        return
    if is_new:
        print(f"Argilla is up at {running.url}, for this machine only. Send it work: afrel argilla push")
    elif not passwords:
        print(f"nothing to do: Argilla is up at {running.url}")


def down(ctx: typer.Context) -> None:
    """Stop this machine's Argilla with its worker; what it holds stays.

    Example: afrel -w shop argilla down
    """
    from review_app.argilla_local.home import ServerHome
    from review_app.argilla_local.process import stop

    session: Session = ctx.obj
    session.allow(Act.ACCOUNTS)
    home = ServerHome.of(session.workspace.root)
    running = home.last_run()
    if running is None or not home.is_up():
        print("nothing to do: Argilla is down")
        return
    with home.held():
        is_clean = not home.is_up() or stop(home, running)
    print("Argilla is down" if is_clean else "Argilla did not end in time and was killed; nothing stored is lost")


def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Say whether this machine's Argilla is up, who may log in, and how search and jobs are; exit status 1 when down.

    Example: afrel -w shop argilla status
    """
    from review_app.argilla_bridge.api import ArgillaApi
    from review_app.argilla_bridge.target import local_target
    from review_app.argilla_local.health import read_health
    from review_app.argilla_local.home import ServerHome

    session: Session = ctx.obj
    home = ServerHome.of(session.workspace.root)
    running = home.last_run()
    if running is None or not home.is_up():
        print(json.dumps({"is_up": False}) if as_json else "Argilla is down. Start it: afrel argilla up")
        raise typer.Exit(1)
    target = local_target(home, running)
    with ArgillaApi(target) as api:
        health = read_health(api, target)
    if as_json:
        print(json.dumps({"is_up": True, "url": running.url, "pid": running.pid, **health.to_dict()}))
    else:
        _tell(running, health)


def logs(
    ctx: typer.Context,
    n: Annotated[int, typer.Option("-n", min=1, max=2000, help="So many lines.")] = 50,
) -> None:
    """Print the end of what this machine's Argilla and its worker said.

    Example: afrel -w shop argilla logs -n 100
    """
    from review_app.argilla_local.home import ServerHome

    session: Session = ctx.obj
    lines = ServerHome.of(session.workspace.root).last_lines(n)
    for line in lines:
        print(line)
    if not lines:
        print("nothing was said yet", file=sys.stderr)


def reindex(ctx: typer.Context) -> None:
    """Build the search of this machine's Argilla anew from its database, while it runs or not.

    Example: afrel -w shop argilla reindex
    """
    from review_app.argilla_local.environment import find_environment
    from review_app.argilla_local.home import ServerHome
    from review_app.argilla_local.process import reindex as build

    session: Session = ctx.obj
    session.allow(Act.ACCOUNTS)
    home = ServerHome.of(session.workspace.root)
    python = find_environment()
    if python is None or home.last_run() is None:
        raise UserError(
            "no Argilla was started in this workspace, so there is nothing to index. Start it: afrel argilla up"
        )
    build(home, python)
    print("the search index is built anew")


def _ensure_running(home: ServerHome, port: int | None) -> tuple[Running, bool]:
    """Return the running server, started where it is not, and whether it was."""
    from review_app.argilla_local.process import DEFAULT_PORT, STARTING_SECONDS, start, wait_until

    last = home.last_run()
    if home.is_up() and last is not None:
        # whoever started it may have been killed before it answered
        if not wait_until(lambda: _answers(last.url) or not home.is_up(), STARTING_SECONDS):
            raise UserError(f"Argilla runs at {last.url} and does not answer. Stop it: afrel argilla down")
        if home.is_up():
            _check_port(last, port)
            return last, False
    python = _python()
    return start(home, python, port or _port_of(last) or DEFAULT_PORT), True


def _check_port(running: Running, port: int | None) -> None:
    if port is not None and port != _port_of(running):
        raise UserError(f"Argilla is up at {running.url} already. Stop it first: afrel argilla down")


def _port_of(running: Running | None) -> int | None:
    from urllib.parse import urlsplit

    return urlsplit(running.url).port if running is not None else None


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/api/v1/version", timeout=5.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _python() -> Path:
    """Return the server's python, its environment made where there is none."""
    from review_app.argilla_local.environment import environment_folder, find_environment, make_environment
    from storage.progress_bar import progress_bar

    python = find_environment()
    if python is not None:
        return python
    print(f"installing Argilla's server, once, in {environment_folder()}: half a gigabyte, minutes", file=sys.stderr)
    with progress_bar() as tell:
        return make_environment(tell)


def _ensure_people(session: Session, renew: list[str], *, as_json: bool) -> tuple[dict[str, int], list[dict[str, str]]]:
    """Give each account its user; return how many there are by role, and the passwords that are new."""
    from dataclasses import asdict

    from review_app.argilla_bridge.api import ArgillaApi
    from review_app.argilla_bridge.target import local_target
    from review_app.argilla_local.home import ServerHome
    from review_app.argilla_local.people import Shown, ensure_users

    home = ServerHome.of(session.workspace.root)
    running = home.last_run()
    assert running is not None
    passwords: list[dict[str, str]] = []

    def show(shown: Shown) -> None:
        if not as_json:
            if not passwords:
                print("New users, whose passwords are shown this once and kept nowhere:")
            print(f"  {shown.username:<24} {shown.role:<10} {shown.password}", flush=True)
        passwords.append(asdict(shown))

    with ArgillaApi(local_target(home, running)) as api:
        counts = ensure_users(api, session.pins().values(), renew=renew, show=show)
    return counts, passwords


def _tell(running: Running, health: Health) -> None:
    worker = health.worker
    users = ", ".join(f"{n} {role}" for role, n in sorted(health.users.items()))
    found, total = sum(one.n_found for one in health.datasets), sum(one.n_records for one in health.datasets)
    print(
        f"Argilla {health.version} is up at {running.url}, process {running.pid}, since {running.started_at[:16]} UTC"
    )
    print(f"  users   {users or 'none'}")
    lacking = f"; misses some of {', '.join(health.lacking)}: afrel argilla reindex" if health.lacking else ""
    print(f"  search  {found:,} of {total:,} records in {len(health.datasets)} datasets{lacking}")
    at_work = "starts" if worker.pid is None else f"process {worker.pid}"
    restarts = f", started {worker.n_started} times: afrel argilla logs" if worker.n_started > 1 else ""
    jobs = f"{worker.n_running} jobs run, {worker.n_waiting} wait, {worker.n_failed} failed"
    print(f"  worker  {at_work}; {jobs}{restarts}")

"""`afrel demo`: the first cycle on the bundled sample, as a list of afrel verbs run one after another.

Nothing here knows more than a user does: each stage is a command line of its own process. The recorded answers of the
sample stand in for people, and every place where they do says so.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from storage.errors import UserError
from storage.workspace import afrel_home

DOC_ROLES = "doc_id=doc_id,title=title,body=body"
PAIR_ROLES = "query_id=query_id,query=query,doc_id=doc_id,split=split"
PEOPLE = {
    "root": "admin",
    "cleo": "curator",
    "dora": "adjudicator",
    "eli": "engineer",
    "ana": "reviewer",
    "bo": "reviewer",
    "chen": "reviewer",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One or more verbs that belong together. Each command is (account or None, words)."""

    title: str
    commands: tuple[tuple[str | None, tuple[str, ...]], ...]
    n_lines: int = 12


def stages(workspace: Path, files: Path, field_names: tuple[str, ...]) -> list[Stage]:
    """Return the cycle as verbs. `files` is the sample's folder."""
    fields = "".join(f",field.{name}={name}" for name in field_names)
    source = ("--source", "homeware")
    first, *others = PEOPLE.items()
    approve = ("approve", "--all", "--judgments", "import")
    accounts: list[tuple[str | None, tuple[str, ...]]] = [(None, ("account", "add", first[0], "--role", first[1]))]
    accounts += [(first[0], ("account", "add", name, "--role", role)) for name, role in others]
    return [
        Stage("workspace", ((None, ("init", str(workspace), "--guideline", str(files.parent / "guideline.md"))),)),
        Stage("accounts", tuple(accounts)),
        Stage(
            "ingest",
            (
                ("cleo", ("ingest", str(files / "docs.jsonl"), "--map", DOC_ROLES + fields, *source)),
                ("cleo", ("ingest", str(files / "pairs.csv"), "--map", PAIR_ROLES, *source)),
                ("cleo", ("ingest", str(files / "seed.csv"), "--map", PAIR_ROLES + ",grade=grade", *source)),
            ),
        ),
        Stage("mine rules", (("cleo", ("mine", "--judgments", "import")),), n_lines=3),
        # by the judgments they were mined from: those of the review to come would approve others when run again
        Stage("approve rules", (("dora", (*approve, "--min-accuracy", "0.6", "--min-votes", "3")),)),
        Stage("mutate", (("cleo", ("mutate", "--judgments", "import")),)),
        Stage("label", (("cleo", ("label",)),)),
        Stage("screen", (("cleo", ("screen",)),)),
        Stage("respond (replayed)", (("root", ("respond", "--replay", str(files / "responses.jsonl"))),)),
        Stage(
            "adjudicate",
            (
                ("dora", ("adjudicate",)),
                ("root", ("adjudicate", "--replay", str(files / "adjudications.jsonl"), "--by", "dora")),
            ),
        ),
        Stage("tier", (("cleo", ("tier",)),)),
        Stage("snapshot", (("cleo", ("snapshot",)),)),
        Stage("sign", (("dora", ("sign",)),)),
        Stage("train sft", (("eli", ("train", "sft", "--model", "tiny")),)),
        Stage("evaluate", (("eli", ("evaluate", "--split", "test")),)),
    ]


def demo(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where the demo's workspace goes.")] = Path("demo"),
) -> None:
    """Run the cycle on the bundled sample, ending with a trained model and its figures. No key, no GPU.

    Example: afrel demo
    """
    home = afrel_home() / "demo"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = home / "password"
    if not password.exists():
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24), encoding="utf-8")
    env = {**os.environ, "AFREL_HOME": str(home), "AFREL_PASSWORD_FILE": str(password)}
    with resources.as_file(resources.files("samples") / "homeware-data") as files:
        field_names = tuple(sorted(_field_names(files)))
        console = Console(stderr=True)
        console.print(f"afrel demo in {folder}: the recorded answers of the bundled sample stand in for people")
        for stage in stages(folder, files, field_names):
            _run_stage(stage, folder, env, console)
    _summarise(folder, env)


def _field_names(files: Path) -> set[str]:
    names: set[str] = set()
    with (files / "docs.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            names |= set(json.loads(line))
    return names - {"doc_id", "title", "body"}


def _run_stage(stage: Stage, folder: Path, env: Mapping[str, str], console: Console) -> None:
    columns = (SpinnerColumn(), TextColumn("{task.description:<18}"), BarColumn(20), TimeElapsedColumn())
    said: list[str] = []
    started = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(stage.title, total=len(stage.commands))
        for account, words in stage.commands:
            said += _afrel(words, folder, env, account=account, on_tick=lambda: _show_training(progress, bar, folder))
            progress.update(bar, advance=1)
    took = time.monotonic() - started
    # a stage of many like commands is told by its first line, one that was idle by saying so
    shown = said[:1] if said[0].startswith("nothing to do") or len(stage.commands) > 3 else said
    console.print(f"[bold]{stage.title}[/bold]  {took:.1f} s", highlight=False)
    for line in shown if len(shown) <= stage.n_lines else [*shown[: stage.n_lines - 1], shown[-1]]:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _show_training(progress: Progress, bar: Any, folder: Path) -> None:
    """Let the bar follow the newest run's progress file while it trains."""
    newest = max(folder.glob("runs/*/progress.json"), key=lambda path: path.stat().st_mtime, default=None)
    if newest is None or time.time() - newest.stat().st_mtime > 30:
        return
    try:
        now = json.loads(newest.read_text(encoding="utf-8"))
    except ValueError:
        return
    if now.get("total"):
        progress.update(bar, total=now["total"], completed=now["done"])


def _afrel(
    words: tuple[str, ...],
    folder: Path,
    env: Mapping[str, str],
    *,
    account: str | None = None,
    on_tick: Any = None,
) -> list[str]:
    """Run one verb; return what it printed. A verb that fails ends the demo with its own words."""
    front = [] if words[0] == "init" else ["-w", str(folder)]
    front += ["--as", account] if account else []
    process = subprocess.Popen(
        [sys.executable, "-m", "afrel", *front, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(env),
    )
    while True:
        try:
            out, err = process.communicate(timeout=0.5)
            break
        except subprocess.TimeoutExpired:
            if on_tick is not None:
                on_tick()
    if process.returncode != 0:
        raise UserError(f"the demo stopped at `afrel {' '.join([*front, *words])}`:\n{out}{err}".rstrip())
    return out.splitlines()


def _summarise(folder: Path, env: Mapping[str, str]) -> None:
    """Print what was made, what was set aside and why, the figures, where things lie, and what to type next."""
    counts = json.loads("".join(_afrel(("status", "--json"), folder, env)))["counts"]
    print()
    print("Made")
    for what in ("queries", "docs", "pairs", "rules", "candidates", "responses", "judgments", "mutations"):
        value = counts.get(what, 0)
        detail = ", ".join(f"{n} {which}" for which, n in value.items()) if isinstance(value, dict) else ""
        total = sum(value.values()) if isinstance(value, dict) else value
        print(f"  {what:<12} {total:>6}  {detail}")
    print("Set aside, and why")
    for what in ("rejected records", "set aside"):
        for which, n in (counts.get(what) or {}).items():
            print(f"  {n:>6}  {what}: {which}")
    tiers = json.loads("".join(_afrel(("tier", "--json"), folder, env)))
    for reason, n in tiers["left_out"].items():
        if n:
            print(f"  {n:>6}  left out of the snapshot: {reason}")
    eliminated = (counts.get("mutations") or {}).get("eliminated", 0)
    print(f"  {eliminated:>6}  mutations eliminated: the verifier did not find the effect they declare")
    waiting = sum((counts.get("queue") or {}).values())
    print(f"  {waiting:>6}  wait for a (further) human answer, confirmed mutations among them")
    print("The model on the test split, with 95% bootstrap intervals")
    for line in _afrel(("evaluate", "--split", "test"), folder, env)[1:]:  # the first says it was measured before
        print(f"  {line}")
    home = env["AFREL_HOME"]
    print("Where everything lies")
    print(f"  {folder}/             the workspace: store, snapshots/, runs/")
    print(f"  {home}    the demo's keys and password")
    print("Next")
    print(f"  export AFREL_HOME={home} AFREL_PASSWORD_FILE={home}/password")
    print(f"  afrel -w {folder} --as ana respond")
    print(f'  afrel -w {folder} sql "select status, count(*) as n from candidate_status group by status"')

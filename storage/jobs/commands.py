"""`afrel jobs`: verbs as processes of their own: asked for, watched, cancelled, taken up again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.errors import UserError
from storage.session import Session

if TYPE_CHECKING:
    from storage.jobs.line import JobLine
    from storage.rows import JobRow

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Its id, as `afrel jobs` lists it.")]
LINES_SHOWN = 12

jobs = typer.Typer(name="jobs", help="Verbs that run by themselves.", rich_markup_mode=None, add_completion=False)


@jobs.callback(invoke_without_command=True)
def jobs_list(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the jobs, and start those that wait and may run.

    Example: afrel -w shop jobs
    """
    if ctx.invoked_subcommand is not None:
        return
    from storage.jobs.telling import in_line, in_short

    with _line(ctx) as line:
        line.start_waiting()
        rows = line.all()
    if as_json:
        print(json.dumps([in_short(job) for job in rows], ensure_ascii=False, default=str))
        return
    for job in rows:
        print(in_line(job))
    if not rows:
        print("no jobs. Start one: afrel jobs start train sft")


@jobs.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def start(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="VERB …", help="The command, as behind `afrel`.")],
    as_json: JsonOption = False,
) -> None:
    """Put a command in the line and leave; it starts when its turn comes and outlives this terminal.

    Example: afrel -w shop jobs start train sft --snapshot snap_91be4c01d2aa --config sft.toml
    """
    from storage.jobs.kept_config import keep_config
    from storage.jobs.typed_words import read_words
    from storage.jobs.verbs import find_verb

    session: Session = ctx.obj
    command, path = read_words(ctx.find_root(), words)
    if (act := find_verb(command.verb).act) is not None:
        session.allow(act)
    with _line(ctx) as line:
        queued = line.queue(command, account=session.account, config=None if path is None else keep_config(path))
        line.start_waiting()
    tell_queued(queued.job_id, as_json=as_json)


@jobs.command()
def show(
    ctx: typer.Context,
    job: JobArgument,
    lines: Annotated[int, typer.Option(min=0, metavar="N", help="How many last lines of its log.")] = LINES_SHOWN,
    as_json: JsonOption = False,
) -> None:
    """Show a job: its state, how far it is, the end of its log.

    Example: afrel -w shop jobs show job_4c1f09ab32
    """
    with _line(ctx) as line:
        line.start_waiting()
        _show(line, line.find(job), n_lines=lines, as_json=as_json)


@jobs.command()
def wait(
    ctx: typer.Context,
    job: JobArgument,
    timeout: Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="Give up after so long.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a job until it has ended, then show it. Exit status 0 when it finished, 1 when not, 3 when time is up.

    Example: afrel -w shop jobs wait job_4c1f09ab32
    """
    from storage.jobs.following import follow, to_stderr
    from storage.jobs.line import OPEN, JobStatus
    from storage.progress_bar import progress_bar

    with progress_bar() as show:
        row = follow(ctx.obj, job, from_start=False, tell=to_stderr, show=show, timeout=timeout)
    with _line(ctx) as line:
        _show(line, row, n_lines=LINES_SHOWN, as_json=as_json)
    if row.status != JobStatus.FINISHED:
        raise typer.Exit(3 if row.status in OPEN else 1)


@jobs.command()
def cancel(ctx: typer.Context, job: JobArgument) -> None:
    """Cancel a job: out of the line, or ended; it is asked first and killed after ten seconds. What it kept stays.

    One that was lost is let go of: it will not be resumed.

    Example: afrel -w shop jobs cancel job_4c1f09ab32
    """
    from storage.jobs.line import OPEN
    from storage.jobs.runner import cancel as cancel_job

    with _line(ctx) as line:
        _allow(ctx, line.find(job))
        was = line.find(job).status
        status = cancel_job(line, job)
    if status in OPEN:
        raise UserError(f"{job} does not end. See what it says: afrel jobs show {job}")
    print(f"{job} is {status}" if status != was else f"nothing to do: {job} is {status}")


@jobs.command()
def resume(ctx: typer.Context, job: JobArgument) -> None:
    """Put a job that failed, was cancelled or lost back in the line: the same command and configuration again.

    Example: afrel -w shop jobs resume job_4c1f09ab32
    """
    with _line(ctx) as line:
        _allow(ctx, line.find(job))
        is_resumed = line.resume(job)
        line.start_waiting()
        status = line.find(job).status
    print(f"{job} is in the line again" if is_resumed else f"nothing to do: {job} is {status}")


@jobs.command()
def prune(
    ctx: typer.Context,
    days: Annotated[float, typer.Option(min=0, metavar="DAYS", help="Those that ended before so many days.")] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which would go; remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the folders of jobs that ended long ago, with their logs; what ran and how it ended stays in the list.

    Example: afrel -w shop jobs prune --days 30
    """
    from storage.jobs.pruning import prune as prune_folders

    with _line(ctx) as line:
        gone = prune_folders(line, days=days, is_dry=dry_run)
    n_bytes = sum(one.n_bytes for one in gone)
    if as_json:
        told = [{"job_id": one.job_id, "status": one.status, "n_bytes": one.n_bytes} for one in gone]
        print(json.dumps({"is_dry": dry_run, "n_bytes": n_bytes, "removed": told}))
    elif not gone:
        print(f"nothing to do: no job that ended over {days:g} days ago has a folder")
    else:
        print(f"{'would remove' if dry_run else 'removed'} {len(gone)} folders, {n_bytes / 1000:,.0f} kB")


def tell_queued(job_id: str, *, as_json: bool) -> None:
    """Say that a job is in the line, and how to watch it."""
    print(json.dumps({"job_id": job_id, "status": "queued"}) if as_json else f"queued as {job_id}")
    print(f"next: afrel jobs show {job_id}", file=sys.stderr)


@contextmanager
def _line(ctx: typer.Context) -> Iterator[JobLine]:
    from storage.jobs.line import JobLine

    session: Session = ctx.obj
    with session.store() as store:
        yield JobLine(session.workspace, store)


def _allow(ctx: typer.Context, job: JobRow) -> None:
    from storage.jobs.verbs import find_verb

    session: Session = ctx.obj
    if (act := find_verb(job.verb).act) is not None:
        session.allow(act)


def _show(line: JobLine, job: JobRow, *, n_lines: int, as_json: bool) -> None:
    from storage.jobs.telling import in_full, in_words

    told: dict[str, Any] = in_full(line, job, n_lines=n_lines)
    print(json.dumps(told, ensure_ascii=False, default=str) if as_json else "\n".join(in_words(job, told)))

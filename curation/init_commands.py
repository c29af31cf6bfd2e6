"""`afrel init`: a new workspace with its scale, first instruction, and the default causes for a second look."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from storage.errors import UserError
from storage.grades import Scale, parse_scale

# What stands in a folder before `afrel.toml`, which is written last.
HALF_MADE = {"store.lock", ".gitignore", "afrel.duckdb", "afrel.duckdb.wal", "handover", ".publish"}
WORKSPACE_TOML = """\
# An afrel workspace. Every key is optional; unknown keys are errors.

# [llm]                          # the model that proposes, for: afrel label --provider openai
# model = "gpt-5-mini"
# base_url = "http://127.0.0.1:8000/v1"
# key_variable = "LOCAL_LLM_KEY" # a host of your own names its own key variable

# [[tiers]]                      # replaces the default tiers; columns: afrel tier --help
# tier = 1
# name = "clear"
# where = "is_unanimous and not has_rule_conflict"

# [pool]                         # docs of each kind for a query; all keys: docs/pool.md
# top = 10

# [[review_causes]]              # replaces the default causes for a second look
# cause = "low_confidence"
# predicate = "confidence < 0.3"
# n_required = 2
"""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The workspace to make; it may exist but be empty.")],
    scale: Annotated[str, typer.Option(help="Grades, lowest first: 0-3, or names: bad,fair,good")] = "0-3",
    guideline: Annotated[
        Path | None, typer.Option(help="The labelling guideline (Markdown): the first instruction.")
    ] = None,
) -> None:
    """Make a workspace.

    Example: afrel init shop --scale 0-2 --guideline guideline.md
    """
    from curation.review_policy import DEFAULT_CAUSES, cause_rows
    from storage.clock import now
    from storage.ids import content_id
    from storage.rows import GradeRow, InstructionRow
    from storage.runs import start_run
    from storage.store import Store
    from storage.workspace import CONFIG_NAME, Workspace

    grades = parse_scale(scale)
    text = _guideline(guideline)
    if (folder / CONFIG_NAME).exists():
        _check_same(folder, grades)
        print(f"nothing to do: {folder} is a workspace already")
        return
    _refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    lock = os.open(folder / "store.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"another afrel init is making {folder} right now. Wait for it: afrel -w {folder} status"
        ) from None
    _clear_half_made(folder)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    with Store.embedded(folder) as store, start_run(store, verb="init", config={"scale": scale}) as run:
        at = now()
        store.append(
            {
                "grades": [
                    GradeRow(grade_id=content_id("g", grade, name), grade=grade, name=name, created_at=at)
                    for grade, name in zip(grades.values, grades.names, strict=True)
                ],
                "instructions": [
                    InstructionRow(
                        instruction_id=content_id("i", text),
                        text=text,
                        operator="guideline" if guideline else "default",
                        generation=0,
                        run_id=run.run_id,
                        created_at=at,
                    )
                ],
                "review_causes": cause_rows(DEFAULT_CAUSES, at),
            }
        )
    # Written last: a folder with it is whole.
    (folder / CONFIG_NAME).write_text(WORKSPACE_TOML, encoding="utf-8")
    os.close(lock)
    Workspace.open(folder)
    named = ", ".join(f"{g} {n}" for g, n in zip(grades.values, grades.names, strict=True))
    print(f"workspace {folder} with grades {named}")
    print(f"next: afrel -w {folder} account add NAME --role admin", file=sys.stderr)


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder with anything in it but what a killed `init` leaves."""
    if folder.exists() and (not folder.is_dir() or {entry.name for entry in folder.iterdir()} - HALF_MADE):
        raise UserError(f"{folder} is not empty. Name a new or an empty folder: afrel init DIR")


def _clear_half_made(folder: Path) -> None:
    """Remove what a killed `init` left: `afrel.toml` is written last, so nobody can have used it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "store.lock":
            entry.unlink()


def _guideline(path: Path | None) -> str:
    if path is None:
        return "Grade how well the document answers the query, from the lowest grade to the highest."
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--guideline {path} cannot be read: {error}. Give a UTF-8 text file") from error
    if not text:
        raise UserError(f"--guideline {path} is empty. Leave the option out, or write a guideline first")
    return text


def _check_same(folder: Path, scale: Scale) -> None:
    from storage.session import read_scale
    from storage.store import Store
    from storage.workspace import Workspace

    with Store.connect(Workspace.open(folder)) as store:
        held = read_scale(store)
    if held != scale:
        raise UserError(
            f"{folder} is a workspace with grades {list(zip(held.values, held.names, strict=True))}; "
            "a scale is fixed for life. Name another folder: afrel init DIR"
        )

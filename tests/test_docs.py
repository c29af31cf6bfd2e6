"""The docs are true: every verb is documented, every command shown exists, the README's commands run."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from afrel import VERBS
from tests.conftest import ROOT, Afrel, stop_store_process
from tests.test_architecture import MODULES

# words that follow the product's name where it is no command
PROSE = {"does", "knows", "reads", "takes", "wrote", "writes", "workspace", "cannot", "was"}
SHOWN = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_is_documented(verb: str) -> None:
    assert f"| `{verb}` |" in (ROOT / "docs" / "verbs.md").read_text(encoding="utf-8")


def test_every_verb_shown_exists() -> None:
    for path in SHOWN:
        for line in re.findall(r"^afrel .*$|`afrel ([^`]+)`", path.read_text(encoding="utf-8"), flags=re.M):
            words = [w for w in shlex.split(line.replace("…", "")) if w]
            while words and words[0].startswith("-"):
                words = words[1:] if words[0] in ("--help",) else words[2:]
            assert not words or words[0] in VERBS, f"{path.name}: {line}"


def strings_that_are_said(path: Path) -> list[tuple[int, str]]:
    """Return (line, text) of every string constant that is not a docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_every_command_an_error_recommends_exists() -> None:
    """`afrel` in a string of the code, flags skipped, is followed by a verb."""
    wrong = []
    for path in MODULES:
        for line, text in strings_that_are_said(path):
            for verb in re.findall(r"\bafrel (?:(?:-w|--as) \S+ )*([a-z][a-z_]+)", text):
                if verb not in VERBS and verb not in PROSE:
                    wrong.append(f"{path.relative_to(ROOT)}:{line} afrel {verb}")
    assert wrong == []


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## On your own data")[1].split("```")[1]
    return [line for line in section.strip().splitlines() if line.startswith("afrel ")]


def test_the_readme_commands_run_on_a_small_fixture(afrel: Afrel, tmp_path: Path) -> None:
    (tmp_path / "guideline.md").write_text("# Grade\n0 is bad, 2 is good.\n")
    colours, things = ("red", "blue", "green", "black"), ("sofa", "lamp", "rug", "chair", "table", "mirror")
    rows = ["query,title,brand,label,split"]
    for n, (colour, thing) in enumerate((c, t) for c in colours for t in things):
        split = ("train", "train", "train", "train", "dev", "test")[n % 6]
        rows.append(f"{colour} {thing},{colour} {thing} Nordli,Nordli,2,{split}")
        rows.append(f"{colour} {thing},{colours[(n + 1) % 4]} {thing},Terrane,1,{split}")
        rows.append(f"{colour} {thing},{things[(n + 2) % 6]} cleaner,Nordli,0,{split}")
        rows.append(f"{colour} {thing},{colour} {thing} cover,Terrane,,{split}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    commands = readme_commands()
    assert len(commands) > 10
    said = {}
    for command in commands:
        words = shlex.split(command)[1:]
        workspace = account = None
        if words[0] == "-w":
            workspace, words = tmp_path / words[1], words[2:]
        if words[0] == "--as":
            account, words = words[1], words[2:]
        said[words[0]] = afrel(*words, workspace=workspace, account=account).stdout
    assert "96 rows: 24 queries" in said["ingest"]
    assert "snap_" in said["snapshot"]
    assert "awaiting_review" in said["sql"]


@pytest.mark.slow
def test_make_demo_ends_with_figures_and_run_again_every_stage_is_idle(tmp_path: Path) -> None:
    """Through make where the set-up is done (as in CI), else by the command it calls."""
    folder = tmp_path / "demo"
    is_set_up = (ROOT / ".venv" / ".ready").exists()
    command = ["make", "demo", f"DEMO={folder}"] if is_set_up else [sys.executable, "-m", "afrel", "demo", str(folder)]
    env = {**os.environ, "AFREL_HOME": str(tmp_path / "home")}
    try:
        first, second = (
            subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=900) for _ in range(2)
        )
    finally:
        stop_store_process(folder)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "The model on the test split" in first.stdout
    done = [line for line in second.stderr.splitlines() if line.startswith("  ")]
    assert len(done) >= 15 and all("nothing to do" in line for line in done)
    assert figures(second.stdout) == figures(first.stdout)


def figures(summary: str) -> str:
    return summary.split("The model on the test split")[1].split("Where everything lies", maxsplit=1)[0]

"""The house's plan, kept: who may import whom, and which library stays in which room."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = ("storage", "curation", "evolution", "review_app", "trainers", "samples")
MAY_IMPORT = {
    "storage": set(),
    "curation": {"storage"},
    "evolution": {"storage", "curation"},
    "review_app": {"storage", "curation"},
    "trainers": {"storage", "curation"},
    "samples": {"storage"},  # the demo runs verbs as processes
}
FENCES = {
    "duckdb": {"storage"},
    "cryptography": {"storage"},
    "streamlit": {"review_app"},
    "argilla": {"review_app"},
    "argilla_server": {"review_app"},
    "torch": {"trainers"},
    "transformers": {"trainers"},
    "trl": {"trainers"},
    "tokenizers": {"curation", "trainers"},
    "openai": {"evolution"},
}
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the top-level names a module imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            names.add("a relative import")
    return names


def test_every_room_imports_only_the_rooms_below_it() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in MODULES
        for name in imported(path) & {*ROOMS, "a relative import", "afrel", "tests", "benchmarks"}
        if name != path.relative_to(ROOT).parts[0] and name not in MAY_IMPORT[path.relative_to(ROOT).parts[0]]
    ]
    assert wrong == []


def test_every_fenced_library_stays_in_its_room() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in MODULES
        for name in imported(path) & set(FENCES)
        if path.relative_to(ROOT).parts[0] not in FENCES[name]
    ]
    assert wrong == []


def test_sql_stands_only_in_storage() -> None:
    """A statement, not a word: select … from, insert into, update … set, delete from, at the start of a string."""
    starts = ("select ", "insert into ", "delete from ", "with ", "copy ", "attach ")
    wrong = []
    for path in MODULES:
        if path.relative_to(ROOT).parts[0] == "storage" or "argilla_search" in path.parts:  # a file of its own
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = " ".join(node.value.lower().split())
                if text.startswith(starts) and " from " in f"{text} " and "afrel sql" not in text:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {text[:60]}")
    assert wrong == []


def test_modules_are_documented_and_small() -> None:
    undocumented = [str(p.relative_to(ROOT)) for p in MODULES if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    # vocabulary is a table, however long
    code = [p for p in MODULES if "homeware" not in p.parts]
    long = [str(p.relative_to(ROOT)) for p in code if p.read_text("utf-8").count("\n") > 400]
    assert (undocumented, long) == ([], [])


def test_no_name_says_nothing() -> None:
    banned = {"data", "info", "item", "manager", "handler", "processor", "helper", "helpers", "util", "utils", "common"}
    assert [p.name for p in MODULES if set(p.stem.split("_")) & (banned | {"misc", "base", "engine"})] == []


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_is_quick_because_rooms_are_imported_when_used(words: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['afrel', *{words!r}]\nimport afrel\ntry:\n    afrel.app()\nexcept SystemExit: pass\n"
    )
    code += "print([m for m in ('torch', 'transformers', 'duckdb', 'polars', 'pyarrow') if m in sys.modules])"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert time.perf_counter() - started < 5  # a bound on disaster only; the figure is in benchmarks
    assert done.stdout.strip().splitlines()[-1] == "[]"

"""What the source can say when it refuses: every such sentence of the modules a page can reach, read from the source.

A page reaches what its modules import, at whatever depth, and what the processes it starts or asks import: the one of
a snapshot's work, the store's, the one of a query. A value in a sentence is written as `\\0`.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.conftest import ROOT

ROOMS = ("storage", "curation", "review_app")
ENTRANCES = ("review_app.snapshot_work", "storage.process.server", "storage.sql.console_child")
# what makes an error or a problem: the place of its sentence among the arguments, and what is put around it
SAYING = {
    **dict.fromkeys(("UserError", "WrongPasswordError", "TooEarlyError", "SealError", "NotEntitledError"), (0, "{}")),
    "RefusedError": (0, "{}"),
    "refusal": (1, "predicate \0 {}\0."),
    "Problem": (1, "{}"),
    "Receipt": (2, "{}"),
}
# functions whose texts are parts of such sentences, or are told beside them
SPEAKING = {
    "curation.balance": {"_problems"},
    "curation.balance_config": {"balance_mistakes", "_slice_mistakes"},
    "curation.config_tables": {"table_mistakes", "repeated"},
    "curation.snapshot_cut": {"require_no_leak"},
    "review_app.snapshot_desk": {"_line"},
    "storage.jobs.on_sign": {"queue_signed", "read_on_sign", "_planned"},
    "storage.jobs.telling": {"why"},
    "storage.snapshots.diff": {"_collect"},
    "storage.snapshots.row_checks": {"problems", "batches", "_row_problems"},
    "storage.snapshots.verify": {"_size_problem", "_file_problem"},
    "storage.sql.console": {"_readable"},
    "storage.sql.console_hints": {"_of_table", "_of_column"},
}
_WORDY = re.compile(r"[A-Za-z]{2,} [A-Za-z`']+|[A-Za-z]{3,}[^\0]* [a-z]")


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence where it is said; `sentence` is None when the source alone does not show it."""

    module: str
    function: str
    line: int
    sentence: str | None


@cache
def reached() -> tuple[str, ...]:
    """Return the modules of ours that a page can reach."""
    modules = _modules()
    todo = [name for name in modules if name.startswith(("review_app.server", "review_app.views"))] + [*ENTRANCES]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in modules and name not in seen:
            seen.add(name)
            todo += _imported(modules[name])
    return tuple(sorted(seen))


def said_in(module: str) -> list[Said]:
    """Return what a module can say, each alternative of a sentence that has some."""
    tree = _tree(_modules()[module])
    found: dict[tuple[str, int, str | None], Said] = {}
    for function, node in _in_functions(tree, None):
        for said in _said_by(module, function, node):
            found[(function.name if function else "", node.lineno, said)] = Said(
                module, function.name if function else "", node.lineno, said
            )
    return list(found.values())


_Function = ast.FunctionDef | ast.AsyncFunctionDef | None


def _in_functions(tree: ast.AST, function: _Function) -> Iterator[tuple[_Function, ast.expr]]:
    for child in ast.iter_child_nodes(tree):
        inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(child, ast.expr):
            yield inner, child
        yield from _in_functions(child, inner)


def _said_by(module: str, function: _Function, node: ast.expr) -> Iterator[str | None]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYING:
        place, around = SAYING[node.func.id]
        if place < len(node.args):
            for sentence in _sentences(module, function, node.args[place]):
                yield None if sentence is None else tidy(around.format(sentence))
    elif function is not None and function.name in SPEAKING.get(module, ()) and id(node) in _texts_of(function):
        for sentence in _sentences(module, function, node):
            if sentence is not None and _WORDY.search(sentence):
                yield tidy(sentence)


@cache
def _texts_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[int]:
    """Return which texts of a function are told: no docstring, no part of another text, nothing compared or sought."""
    left_out: set[int] = set()
    for one in ast.walk(function):
        if isinstance(one, ast.JoinedStr):
            left_out |= {id(part) for part in ast.walk(one)} - {id(one)}
        elif isinstance(one, ast.Compare):
            left_out.add(id(one.left))
        elif isinstance(one, ast.Call) and _name(one) == "sub":
            left_out |= set(map(id, one.args))
        elif isinstance(one, ast.Expr):
            left_out.add(id(one.value))
    texts = (one for one in ast.walk(function) if isinstance(one, ast.JoinedStr) or _is_string(one))
    return frozenset(id(one) for one in texts if id(one) not in left_out)


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _sentences(module: str, function: _Function, node: ast.expr) -> list[str | None]:
    """Return the forms a text can take, None for one the source does not show."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            forms = itertools.product(*(_forms(module, part) for part in parts))
            return ["".join(form) for form in forms]
        case ast.IfExp(body=one, orelse=other):
            return _sentences(module, function, one) + _sentences(module, function, other)
        case ast.Call(func=ast.Name(id="str")):
            return []  # another error's own words
        case ast.Name(id=name):
            return _named(module, function, name)
    return [None]


def _named(module: str, function: _Function, name: str) -> list[str | None]:
    """Return the forms of what a name stands for: a constant, or what a function assigns to it."""
    held = getattr(import_module(module), name, None)
    if isinstance(held, str):
        return [held]
    assigned = [
        one.value
        for one in (ast.walk(function) if function is not None else ())
        if isinstance(one, ast.Assign) and any(isinstance(at, ast.Name) and at.id == name for at in one.targets)
    ]
    return [form for value in assigned for form in _sentences(module, function, value)] or [None]


def _forms(module: str, part: ast.expr) -> list[str]:
    match part:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.FormattedValue(
            value=ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(two)))
        ):
            return [one, two] if _is_word(one) and _is_word(two) else ["\0"]
        case ast.FormattedValue(value=ast.Name(id=name)) if name.isupper():
            held = getattr(import_module(module), name)
            return [held] if isinstance(held, str) else ["\0"]
        case ast.FormattedValue(value=ast.Call(func=ast.Name(id="cut_anew"))):
            return [import_module("storage.snapshots.manifest").cut_anew()]
        case ast.FormattedValue(value=ast.Call(func=ast.Name(id="_see"))):
            return ['See them: afrel sql "\0"']
    return ["\0"]


def _is_word(text: str) -> bool:
    return any(character.isalpha() for character in text)


def tidy(sentence: str) -> str:
    """Return a sentence with values that follow each other written as one."""
    return re.sub("\0+", "\0", sentence).strip()


@cache
def _modules() -> dict[str, Path]:
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)

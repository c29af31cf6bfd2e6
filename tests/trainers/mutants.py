"""Mutants: a module with one deliberate mistake, to prove that a check would notice it."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest


def mutated(module: ModuleType, old: str, new: str) -> ModuleType:
    """Return a copy of a module in which `old`, which must stand there once, reads `new`."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {module.__name__}"
    mutant = ModuleType(module.__name__)
    exec(compile(source.replace(old, new), f"<mutant of {module.__name__}>", "exec"), mutant.__dict__)
    return mutant


def assert_notices(check, module: ModuleType, old: str, new: str) -> None:
    """Assert that `check` passes on the module and fails on its mutant."""
    check(module)
    with pytest.raises(AssertionError):
        check(mutated(module, old, new))

"""What a named read is: SQL that lives here, parameters that come from outside, and whether it shows test grades."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Read:
    """One named read. `sql` takes `$name` parameters.

    `shows_test` marks a read through which grades, rationales or responses of test pairs pass: only a store opened
    with `sees_test=True` (evaluate, snapshot, human review) may call it.
    """

    sql: str
    shows_test: bool = False

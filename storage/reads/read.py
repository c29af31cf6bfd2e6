"""What a named read is: SQL that lives here, parameters that come from outside, and whether it shows test grades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Read:
    """One named read. `sql` takes `$name` parameters.

    `shows_test` marks a read through which grades, rationales or responses of test pairs pass: only a store opened
    with `sees_test=True` (evaluate, snapshot, human review) may call it.

    `finds` names tables of which only the rows with one id matter: {table: (indexed column, parameter)}. In the SQL
    `{table}` stands for those rows, which the owner finds by its index: at five million rows a scan takes 100 ms. A
    parameter is one id or a list of ids. In place of a parameter, `table.column` names a column of a table found
    before; an indexed column `table.column` is one of a table whose row i belongs to row i of this one.

    `is_steady` marks a read of what does not change once it is there, or of what is acknowledged only when it is
    committed: it may be answered before rows that are just acknowledged are folded in, for none of them is asked for.

    `made_of` names all tables that a small answer without parameters is made of, where it is asked for all the time:
    the owner keeps it until one of them changes.
    """

    sql: str
    shows_test: bool = False
    finds: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    is_steady: bool = False
    made_of: frozenset[str] = frozenset()


# The pair of a found candidate, its query and its doc.
PAIR_TEXTS: Mapping[str, tuple[str, str]] = {
    "pairs": ("pair_id", "candidates.pair_id"),
    "queries": ("query_id", "pairs.query_id"),
    "docs": ("doc_id", "pairs.doc_id"),
}

"""A predicate taken apart into its alternatives, as its own grammar reads it."""

from __future__ import annotations

import pytest

from storage.sql.predicate_parts import alternatives, columns_named


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ("a",)),
        ("a or b and c", ("a", "b and c")),
        ("(a or b) and c OR d", ("(a or b) and c", "d")),
        ("case when a or b then c end or d", ("case when a or b then c end", "d")),
        ("x = 'a or b' or \"or\" > 1 -- or c", ("x = 'a or b'", '"or" > 1 -- or c')),
        ("list_contains(xs, 'or') or y in [1, 2]", ("list_contains(xs, 'or')", "y in [1, 2]")),
    ],
)
def test_alternatives_stand_between_the_outermost_ors(text: str, parts: tuple[str, ...]) -> None:
    assert alternatives(text) == parts


def test_columns_are_named_once_in_their_order_and_as_the_relation_spells_them() -> None:
    assert columns_named("B > 1 and not a and b < 2 and c = 'a'", {"a": "", "b": "", "d": ""}) == ("b", "a")

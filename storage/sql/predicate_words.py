"""What a predicate may say: the cheap functions, types and operators, and the names of what it may not.

A function is here if its time is linear in its arguments and its result no larger than they are; a test measures each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Each `%` of a pattern may scan the text once more.
MAX_PATTERN_CHARACTERS = 100
MAX_PATTERN_WILDCARDS = 5
MANY = 100


@dataclass(frozen=True, slots=True)
class Function:
    """DuckDB's name of a cheap function, how many arguments it takes, whether a list literal may be one of them."""

    name: str
    least: int
    most: int
    takes_lists: bool = False


FUNCTIONS: Mapping[str, Function] = {
    "abs": Function("abs", 1, 1),
    "array_contains": Function("list_contains", 2, 2, takes_lists=True),
    "array_has": Function("list_contains", 2, 2, takes_lists=True),
    "array_has_all": Function("list_has_all", 2, 2, takes_lists=True),
    "array_has_any": Function("list_has_any", 2, 2, takes_lists=True),
    "ceil": Function("ceil", 1, 1),
    "ceiling": Function("ceil", 1, 1),
    "coalesce": Function("coalesce", 1, MANY),
    "contains": Function("contains", 2, 2, takes_lists=True),
    "ends_with": Function("ends_with", 2, 2),
    "floor": Function("floor", 1, 1),
    "greatest": Function("greatest", 1, MANY),
    "ifnull": Function("coalesce", 2, 2),
    "least": Function("least", 1, MANY),
    "len": Function("len", 1, 1),
    "length": Function("len", 1, 1),
    "list_contains": Function("list_contains", 2, 2, takes_lists=True),
    "list_has": Function("list_contains", 2, 2, takes_lists=True),
    "list_has_all": Function("list_has_all", 2, 2, takes_lists=True),
    "list_has_any": Function("list_has_any", 2, 2, takes_lists=True),
    "lower": Function("lower", 1, 1),
    "nullif": Function("nullif", 2, 2),
    "prefix": Function("prefix", 2, 2),
    "round": Function("round", 1, 2),
    "starts_with": Function("starts_with", 2, 2),
    "suffix": Function("suffix", 2, 2),
    "trim": Function("trim", 1, 1),
    "upper": Function("upper", 1, 1),
}
ALLOWED_FUNCTIONS = tuple(sorted({*FUNCTIONS, "cast", "try_cast"}))
TYPES: Mapping[str, str] = {
    "bigint": "bigint",
    "bool": "boolean",
    "boolean": "boolean",
    "date": "date",
    "double": "double",
    "float": "double",
    "int": "integer",
    "integer": "integer",
    "real": "double",
    "smallint": "integer",
    "text": "varchar",
    "timestamp": "timestamp",
    "tinyint": "integer",
    "varchar": "varchar",
}
COMPARISONS: Mapping[str, str] = {
    "=": "({} = {})",
    "==": "({} = {})",
    "<>": "({} <> {})",
    "!=": "({} <> {})",
    "<": "({} < {})",
    "<=": "({} <= {})",
    ">": "({} > {})",
    ">=": "({} >= {})",
    "&&": "list_has_any({}, {})",
    "@>": "list_has_all({}, {})",
}
COMPARING_WORDS = ("is", "in", "like", "ilike", "between", "not")
SUMS: Mapping[str, str] = {"+": "({} + {})", "-": "({} - {})"}
PRODUCTS: Mapping[str, str] = {
    "*": "({} * {})",
    "/": "({} / nullif({}, 0))",
    "//": "({} // nullif({}, 0))",
    "%": "({} % nullif({}, 0))",
}
# What a token would begin in SQL that has no place here.
NOT_ALLOWED: Mapping[str, str] = {
    **dict.fromkeys(("select", "from", "with", "exists", "values", "table"), "a subquery"),
    **dict.fromkeys(("any", "all", "some"), "a quantifier"),
    **dict.fromkeys(("union", "intersect", "except", "copy"), "a statement"),
    "over": "a window function",
    "filter": "an aggregate filter",
    "as": "a name for the outcome",
    "*": "a star",
    "||": "concatenation ||",
    "->": "a lambda or a JSON path",
    "->>": "a JSON path",
    "**": "a power",
    "<<": "a shift of bits",
    "<@": "<@ (write @> the other way round)",
    ":=": "a named argument",
    "[": "a list literal or an index; lists stand in list functions and beside in, =, && and @>",
}

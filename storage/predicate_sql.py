"""Write a parsed predicate as DuckDB SQL, from a closed list of what it may hold.

The renderer is the guard: whatever it has no line for cannot pass. It writes every operator with its own brackets and
every name quoted, so that DuckDB reads exactly the tree that was checked, whatever either parser makes of the text.
Functions whose result can outgrow their input (repeat, concatenation, padding, ranges) have no line: a memory limit
does not stop them. Division is by `nullif(…, 0)` and casts are `try_cast`: no value of a row can make them fail.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from storage.errors import UserError

MAX_DEPTH = 40
# A pattern of `%` and literals is matched in linear time; `_` after `%` is tried at every place of the text, and DuckDB
# looks at the clock only between vectors of 2,048 rows.
MAX_PATTERN_CHARACTERS = 100
MAX_PATTERN_WILDCARDS = 5

# Function node -> DuckDB's name and the node's arguments in order; `*x` is a list of arguments.
FUNCTIONS: Mapping[type[exp.Expr], tuple[str, tuple[str, ...]]] = {
    exp.Lower: ("lower", ("this",)),
    exp.Upper: ("upper", ("this",)),
    exp.Trim: ("trim", ("this",)),
    exp.Length: ("len", ("this",)),
    exp.Abs: ("abs", ("this",)),
    exp.Floor: ("floor", ("this",)),
    exp.Ceil: ("ceil", ("this",)),
    exp.Round: ("round", ("this", "decimals")),
    exp.Coalesce: ("coalesce", ("this", "*expressions")),
    exp.Nullif: ("nullif", ("this", "expression")),
    exp.Least: ("least", ("this", "*expressions")),
    exp.Greatest: ("greatest", ("this", "*expressions")),
    exp.StartsWith: ("starts_with", ("this", "expression")),
    exp.EndsWith: ("ends_with", ("this", "expression")),
    exp.Contains: ("contains", ("this", "expression")),
    exp.ArrayContains: ("list_contains", ("this", "expression")),
    exp.ArrayOverlaps: ("list_has_any", ("this", "expression")),
    exp.ArrayContainsAll: ("list_has_all", ("this", "expression")),
}
# Functions that the parser knows by name only, with their number of arguments.
NAMED_FUNCTIONS = {"list_has_all": 2, "prefix": 2, "suffix": 2}
LOGICAL: Mapping[type[exp.Expr], str] = {exp.And: "and", exp.Or: "or"}
ARITHMETIC: Mapping[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
DIVISIONS: Mapping[type[exp.Expr], str] = {exp.Div: "/", exp.IntDiv: "//", exp.Mod: "%"}
COMPARISONS: Mapping[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "is not distinct from",
    exp.NullSafeNEQ: "is distinct from",
}
TYPES: Mapping[str, str] = {
    "BOOLEAN": "boolean",
    "TINYINT": "integer",
    "SMALLINT": "integer",
    "INT": "integer",
    "BIGINT": "bigint",
    "FLOAT": "double",
    "DOUBLE": "double",
    "TEXT": "varchar",
    "VARCHAR": "varchar",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
}
ALLOWED_FUNCTIONS = tuple(
    sorted({name for name, _ in FUNCTIONS.values()} | set(NAMED_FUNCTIONS) | {"cast", "try_cast"})
)
# Arguments the parser sets that change nothing in DuckDB.
_NEUTRAL_ARGUMENTS = {"typed", "safe", "ignore_nulls", "value_constructor", "nested", "is_string", "quoted"}
_WHAT = {
    exp.Select: "a subquery",
    exp.Subquery: "a subquery",
    exp.Exists: "a subquery",
    exp.Any: "any(…)",
    exp.Window: "a window function",
    exp.Filter: "an aggregate filter",
    exp.Placeholder: "a parameter",
    exp.Parameter: "a parameter",
    exp.PositionalColumn: "a positional column",
    exp.Star: "a star",
    exp.DPipe: "concatenation ||",
    exp.Concat: "concatenation",
    exp.Block: "a second statement",
    exp.Lambda: "a lambda",
    exp.Pow: "a power",
}


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders trees over one relation's columns; `text` is the predicate as written, for messages."""

    text: str
    columns: Collection[str]
    _by_lower: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_lower", {column.lower(): column for column in self.columns})

    def render(self, node: exp.Expr, *, depth: int = 0) -> str:
        """Return the SQL of a node; UserError names the first thing that is not on the list."""
        if depth > MAX_DEPTH:
            raise self.refusal(f"is nested deeper than {MAX_DEPTH}")
        writer = WRITERS.get(type(node))
        if writer is None:
            raise self._not_allowed(node)
        return writer(self, node, depth + 1)

    def refusal(self, what: str, node: exp.Expr | None = None) -> UserError:
        """Return the error for this predicate: its text, what is wrong, where."""
        return UserError(f"predicate {_shortened(self.text)!r} {what}{_place(node)}.")

    def _bracketed(self, node: exp.Expr, depth: int) -> str:
        return self.render(self._only(node, "this")["this"], depth=depth)

    def _constant(self, node: exp.Expr, _depth: int) -> str:
        return "null" if type(node) is exp.Null else "true" if node.this else "false"

    def _logical(self, node: exp.Expr, depth: int) -> str:
        parts = [self.render(part, depth=depth) for part in _operands(node)]
        return f"({f' {LOGICAL[type(node)]} '.join(parts)})"

    def _prefixed(self, node: exp.Expr, depth: int) -> str:
        word = "not" if type(node) is exp.Not else "-"
        return f"({word} {self.render(self._only(node, 'this')['this'], depth=depth)})"

    def _between(self, node: exp.Expr, depth: int) -> str:
        parts = self._only(node, "this", "low", "high")
        subject, low, high = (self.render(parts[name], depth=depth) for name in ("this", "low", "high"))
        return f"({subject} between {low} and {high})"

    def _is(self, node: exp.Expr, depth: int) -> str:
        parts = self._only(node, "this", "expression")
        if type(parts["expression"]) not in (exp.Null, exp.Boolean):
            raise self.refusal("may compare with `is` only to null, true and false", node)
        return f"({self.render(parts['this'], depth=depth)} is {self.render(parts['expression'], depth=depth)})"

    def _array(self, node: exp.Expr, depth: int) -> str:
        self._only(node, "expressions")
        return f"[{', '.join(self.render(value, depth=depth) for value in node.expressions)}]"

    def _column(self, node: exp.Expr, _depth: int) -> str:
        identifier = self._only(node, "this")["this"]
        if type(identifier) is not exp.Identifier:
            raise self._not_allowed(node)
        name = str(identifier.this)
        column = name if name in self.columns else self._by_lower.get(name.lower())
        if column is None:
            near = difflib.get_close_matches(name.lower(), self._by_lower, n=1, cutoff=0.5)
            hint = (
                f"; the nearest is {self._by_lower[near[0]]!r}"
                if near
                else f"; it has {', '.join(sorted(self.columns))}"
            )
            raise self.refusal(f"names the unknown column {name!r}{hint}", identifier)
        return quote_name(column)

    def _literal(self, node: exp.Expr, _depth: int) -> str:
        value = str(node.this)
        if node.args.get("is_string"):
            return quote_text(value)
        if not re.fullmatch(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", value, re.ASCII) or len(value) > 30:
            raise self.refusal(f"holds the number {value[:40]!r}, which is no plain decimal", node)
        return value

    def _comparison(self, node: exp.Expr, depth: int) -> str:
        parts = self._only(node, "this", "expression")
        if any(type(part) in COMPARISONS for part in parts.values()):
            raise self.refusal("chains comparisons; write `1 < x and x < 3`", node)
        left, right = (self.render(parts[name], depth=depth) for name in ("this", "expression"))
        return f"({left} {COMPARISONS[type(node)]} {right})"

    def _arithmetic(self, node: exp.Expr, depth: int) -> str:
        parts = self._only(node, "this", "expression")
        left, right = (self.render(parts[name], depth=depth) for name in ("this", "expression"))
        if type(node) in DIVISIONS:
            return f"({left} {DIVISIONS[type(node)]} nullif({right}, 0))"
        return f"({left} {ARITHMETIC[type(node)]} {right})"

    def _function(self, node: exp.Expr, depth: int) -> str:
        name, order = FUNCTIONS[type(node)]
        self._only(node, *(argument.lstrip("*") for argument in order))
        arguments: list[str] = []
        for argument in order:
            part = node.args.get(argument.lstrip("*"))
            values = part if isinstance(part, list) else [part] if part is not None else []
            arguments += [self.render(value, depth=depth) for value in values]
        return f"{name}({', '.join(arguments)})"

    def _named_function(self, node: exp.Expr, depth: int) -> str:
        name = str(node.this).lower()
        arguments = node.expressions
        if NAMED_FUNCTIONS.get(name) != len(arguments):
            raise self._not_allowed(node)
        return f"{name}({', '.join(self.render(argument, depth=depth) for argument in arguments)})"

    def _cast(self, node: exp.Expr, depth: int) -> str:
        parts = self._only(node, "this", "to")
        to = parts["to"]
        name = TYPES.get(getattr(to.this, "name", "")) if type(to) is exp.DataType else None
        if name is None or to.expressions:
            raise self.refusal(f"casts to something but {', '.join(sorted(set(TYPES.values())))}", node)
        return f"try_cast({self.render(parts['this'], depth=depth)} as {name})"

    def _like(self, node: exp.Expr, depth: int) -> str:
        parts = self._only(node, "this", "expression", "negate")
        pattern = parts["expression"]
        if type(pattern) is not exp.Literal or not pattern.args.get("is_string"):
            raise self.refusal("uses `like` with a pattern that is not a quoted text", node)
        if len(pattern.this) > MAX_PATTERN_CHARACTERS or pattern.this.count("%") > MAX_PATTERN_WILDCARDS:
            limits = f"{MAX_PATTERN_CHARACTERS} characters or {MAX_PATTERN_WILDCARDS} '%'"
            raise self.refusal(f"uses a `like` pattern of over {limits}", node)
        if "%" in pattern.this and "_" in pattern.this:
            raise self.refusal("uses a `like` pattern with both '%' and '_', which is slow on long texts", node)
        word = "like" if type(node) is exp.Like else "ilike"
        negated = "not " if node.args.get("negate") else ""
        return f"({self.render(parts['this'], depth=depth)} {negated}{word} {quote_text(pattern.this)})"

    def _in(self, node: exp.Expr, depth: int) -> str:
        parts = self._only(node, "this", "expressions", "field")
        subject = self.render(parts["this"], depth=depth)
        if "field" in parts:
            return f"list_contains({self.render(parts['field'], depth=depth)}, {subject})"
        if "expressions" not in parts:
            raise self.refusal("has an empty `in` list", node)
        return f"({subject} in ({', '.join(self.render(value, depth=depth) for value in node.expressions)}))"

    def _case(self, node: exp.Expr, depth: int) -> str:
        parts = self._only(node, "this", "ifs", "default")
        words = ["case"]
        if parts.get("this") is not None:
            words.append(self.render(parts["this"], depth=depth))
        for branch in parts["ifs"]:
            arm = self._only(branch, "this", "true")
            words.append(f"when {self.render(arm['this'], depth=depth)} then {self.render(arm['true'], depth=depth)}")
        if parts.get("default") is not None:
            words.append(f"else {self.render(parts['default'], depth=depth)}")
        return f"({' '.join(words)} end)"

    def _only(self, node: exp.Expr, *allowed: str) -> dict[str, exp.Expr]:
        """Return the node's set arguments; UserError when one is set beyond the allowed and the neutral."""
        parts = {
            name: part for name, part in node.args.items() if part is not None and part is not False and part != []
        }
        for name in parts:
            if name not in allowed and name not in _NEUTRAL_ARGUMENTS:
                raise self._not_allowed(node)
        return {name: part for name, part in parts.items() if name in allowed}

    def _not_allowed(self, node: exp.Expr) -> UserError:
        what = _WHAT.get(type(node))
        if what is None and isinstance(node, exp.Func):
            name = str(node.this) if type(node) is exp.Anonymous else node.sql_name().lower()
            what = f"the function {name}"
        hint = f" Allowed are columns, literals, operators, case and {', '.join(ALLOWED_FUNCTIONS)}."
        return UserError(f"{self.refusal(f'uses {what or node.key}, which is not allowed', node)}{hint}")


WRITERS: Mapping[type[exp.Expr], Callable[[Renderer, exp.Expr, int], str]] = {
    exp.Paren: Renderer._bracketed,
    exp.Column: Renderer._column,
    exp.Literal: Renderer._literal,
    exp.Boolean: Renderer._constant,
    exp.Null: Renderer._constant,
    **dict.fromkeys(LOGICAL, Renderer._logical),
    exp.Not: Renderer._prefixed,
    exp.Neg: Renderer._prefixed,
    **dict.fromkeys(COMPARISONS, Renderer._comparison),
    **dict.fromkeys([*ARITHMETIC, *DIVISIONS], Renderer._arithmetic),
    **dict.fromkeys(FUNCTIONS, Renderer._function),
    exp.Anonymous: Renderer._named_function,
    exp.Cast: Renderer._cast,
    exp.TryCast: Renderer._cast,
    exp.Like: Renderer._like,
    exp.ILike: Renderer._like,
    exp.In: Renderer._in,
    exp.Between: Renderer._between,
    exp.Is: Renderer._is,
    exp.Case: Renderer._case,
    exp.Array: Renderer._array,
}


def quote_name(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _operands(node: exp.Expr) -> list[exp.Expr]:
    """Return the operands of a chain of the same logical operator, left to right, without recursion."""
    kind, operands = type(node), []
    while type(node) is kind:
        operands.append(node.args["expression"])
        node = node.args["this"]
    return [node, *reversed(operands)]


def _place(node: exp.Expr | None) -> str:
    if node is None:
        return ""
    for part in _positions(node):
        return f" (line {part['line']}, column {part['start_column']})"
    return ""


def _positions(node: exp.Expr) -> Iterator[dict[str, int]]:
    for part in node.walk():
        if {"line", "col", "start", "end"} <= part.meta.keys():
            width = part.meta["end"] - part.meta["start"]
            yield {"line": part.meta["line"], "start_column": max(1, part.meta["col"] - width)}


def _shortened(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119]}…"

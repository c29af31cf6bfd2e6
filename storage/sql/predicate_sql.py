"""Read a predicate by its own small grammar and write it anew as DuckDB SQL.

The grammar is the guard: what it has no line for cannot pass. It writes every operator with its own brackets and every
name quoted, so that DuckDB reads exactly what was checked. Reading is linear in the text: a general SQL parser took
minutes for 115 characters of nested calls. Nothing that passes can outgrow its row: no repeat, concatenation, padding
or range; and a list literal stands only where the outcome is true or false, because `[[x]::varchar]::varchar` doubles
its escapes each time, unseen by any memory limit. Division is by `nullif(…, 0)` and casts are `try_cast`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.sql.predicate_tokens import Kind, Token, refusal, tokens
from storage.sql.predicate_words import (
    ALLOWED_FUNCTIONS,
    COMPARING_WORDS,
    COMPARISONS,
    FUNCTIONS,
    MAX_PATTERN_CHARACTERS,
    MAX_PATTERN_WILDCARDS,
    NOT_ALLOWED,
    PRODUCTS,
    SUMS,
    TYPES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.errors import UserError

MAX_DEPTH = 40  # operators
MAX_NESTING = 20  # brackets, calls, cases, `not` and `-`: each costs the reader a dozen frames of Python's stack


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of SQL and how deep its operators nest."""

    sql: str
    depth: int = 0


def write_condition(text: str, columns: Collection[str]) -> str:
    """Return the SQL of a predicate over the columns; UserError names the first thing that is not allowed and where."""
    return _Reader(text, columns).read()


def quote_name(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


class _Reader:
    """One reading of one text, by recursive descent: or, and, not, comparison, sum, product, sign, cast, atom."""

    def __init__(self, text: str, columns: Collection[str]) -> None:
        self._text = text
        self._columns = columns
        self._by_lower = {column.lower(): column for column in columns}
        self._tokens = list(tokens(text))
        self._place = 0
        self._nesting = 0

    def read(self) -> str:
        if self._is_over():
            raise refusal(self._text, "holds nothing but comments")
        condition = self._condition()
        if not self._is_over():
            raise self._unexpected()
        return condition.sql

    def _is_over(self) -> bool:
        return self._next.kind is Kind.END

    def _condition(self) -> Part:
        with self._nested():
            return self._chain("or", lambda: self._chain("and", self._negation))

    def _chain(self, word: str, operand: Callable[[], Part]) -> Part:
        parts = [operand()]
        while self._next.is_word(word):
            self._take()
            parts.append(operand())
        return parts[0] if len(parts) == 1 else self._part(f"({f' {word} '.join(part.sql for part in parts)})", *parts)

    def _negation(self) -> Part:
        if not self._next.is_word("not"):
            return self._comparison()
        self._take()
        with self._nested():
            operand = self._negation()
        return self._part(f"(not {operand.sql})", operand)

    def _comparison(self) -> Part:
        begins = self._next
        left = self._side()
        if not self._compares():
            if begins.is_sign("["):
                raise self._not_allowed(begins)
            return left
        compared = self._compared(left)
        if self._compares():
            raise refusal(self._text, "chains comparisons; put one of them in brackets", self._next.place)
        return compared

    def _compares(self) -> bool:
        return self._next.is_sign(*COMPARISONS) or self._next.is_word(*COMPARING_WORDS)

    def _compared(self, left: Part) -> Part:
        token = self._take()
        if token.kind is Kind.SIGN:
            right = self._side()
            return self._part(COMPARISONS[token.value].format(left.sql, right.sql), left, right)
        if token.value == "is":
            return self._is(left)
        negated = ""
        if token.value == "not":
            negated, token = "not ", self._take()
        if token.value == "between" and token.kind is Kind.WORD:
            low = self._sum()
            self._expect("and")
            high = self._sum()
            return self._part(f"({left.sql} {negated}between {low.sql} and {high.sql})", left, low, high)
        if token.is_word("like", "ilike"):
            return self._part(f"({left.sql} {negated}{token.value} {quote_text(self._pattern())})", left)
        if token.is_word("in"):
            return self._in(left, negated)
        raise self._unexpected(token)

    def _is(self, left: Part) -> Part:
        words = "is"
        if self._next.is_word("not"):
            self._take()
            words = "is not"
        if self._next.is_word("distinct"):
            self._take()
            self._expect("from")
            right = self._side()
            return self._part(f"({left.sql} {words} distinct from {right.sql})", left, right)
        if not self._next.is_word("null", "true", "false"):
            raise refusal(self._text, "may compare with `is` only to null, true and false", self._next.place)
        return self._part(f"({left.sql} {words} {self._take().value})", left)

    def _in(self, left: Part, negated: str) -> Part:
        if not self._next.is_sign("("):
            among = self._side()
            return self._part(f"({negated}list_contains({among.sql}, {left.sql}))", left, among)
        self._take()
        if self._next.is_sign(")"):
            raise refusal(self._text, "has an empty `in` list", self._next.place)
        values = self._listed(")")
        return self._part(f"({left.sql} {negated}in ({_joined(values)}))", left, *values)

    def _pattern(self) -> str:
        token = self._take()
        if token.kind is not Kind.TEXT:
            raise refusal(self._text, "uses `like` with a pattern that is not a quoted text", token.place)
        if len(token.value) > MAX_PATTERN_CHARACTERS or token.value.count("%") > MAX_PATTERN_WILDCARDS:
            limits = f"{MAX_PATTERN_CHARACTERS} characters or {MAX_PATTERN_WILDCARDS} '%'"
            raise refusal(self._text, f"uses a `like` pattern of over {limits}", token.place)
        if "%" in token.value and "_" in token.value:
            raise refusal(self._text, "uses a `like` pattern with both '%' and '_', which is slow", token.place)
        return token.value

    def _side(self) -> Part:
        """Read one side of a comparison: the only place, with list functions, where a list literal may stand."""
        return self._list() if self._next.is_sign("[") else self._sum()

    def _list(self) -> Part:
        self._take()
        values = [] if self._next.is_sign("]") else self._listed("]")
        if not values:
            self._take()
        return self._part(f"[{_joined(values)}]", *values)

    def _sum(self) -> Part:
        return self._arithmetic(SUMS, lambda: self._arithmetic(PRODUCTS, self._signed))

    def _arithmetic(self, signs: Mapping[str, str], operand: Callable[[], Part]) -> Part:
        left = operand()
        while self._next.is_sign(*signs):
            template = signs[self._take().value]
            right = operand()
            left = self._part(template.format(left.sql, right.sql), left, right)
        return left

    def _signed(self) -> Part:
        if not self._next.is_sign("-"):
            return self._cast_value()
        self._take()
        with self._nested():
            operand = self._signed()
        return self._part(f"(- {operand.sql})", operand)

    def _cast_value(self) -> Part:
        value = self._atom()
        while self._next.is_sign("::"):
            self._take()
            value = self._as_type(value)
        return value

    def _as_type(self, value: Part) -> Part:
        token = self._take()
        name = TYPES.get(token.value) if token.kind is Kind.WORD else None
        if name is None or self._next.is_sign("[", "("):
            known = ", ".join(sorted(set(TYPES.values())))
            raise refusal(self._text, f"casts to something but {known}", token.place)
        return self._part(f"try_cast({value.sql} as {name})", value)

    def _atom(self) -> Part:
        token = self._take()
        if token.kind is Kind.NUMBER:
            return Part(token.value)
        if token.kind is Kind.TEXT:
            return Part(quote_text(token.value))
        if token.is_word("true", "false", "null"):
            return Part(token.value)
        if token.is_sign("("):
            inner = self._condition()
            self._expect(")")
            return inner
        if token.is_word("case"):
            with self._nested():
                return self._case()
        if token.kind in (Kind.WORD, Kind.NAME):
            return self._call(token) if self._next.is_sign("(") else self._column(token)
        raise self._not_allowed(token)

    def _case(self) -> Part:
        parts: list[Part] = []
        words = ["case"]
        if not self._next.is_word("when"):
            parts.append(self._condition())
            words.append(parts[-1].sql)
        while self._next.is_word("when"):
            for word in ("when", "then"):
                self._expect(word)
                parts.append(self._condition())
                words.append(f"{word} {parts[-1].sql}")
        if self._next.is_word("else"):
            self._take()
            parts.append(self._condition())
            words.append(f"else {parts[-1].sql}")
        self._expect("end")
        return self._part(f"({' '.join(words)} end)", *parts)

    def _call(self, token: Token) -> Part:
        if token.kind is Kind.WORD and token.value in ("cast", "try_cast"):
            self._take()
            value = self._condition()
            self._expect("as")
            cast = self._as_type(value)
            self._expect(")")
            return cast
        function = FUNCTIONS.get(token.value.lower())
        if function is None:
            raise self._no_function(token)
        self._take()
        arguments = [] if self._next.is_sign(")") else self._listed(")", takes_lists=function.takes_lists)
        if not arguments:
            self._take()
        if not function.least <= len(arguments) <= function.most:
            count = f"{function.least}" if function.least == function.most else f"{function.least} or more"
            what = f"gives {token.value} {len(arguments)} arguments; it takes {count}"
            raise refusal(self._text, what, token.place)
        return self._part(f"{function.name}({_joined(arguments)})", *arguments)

    def _listed(self, closing: str, *, takes_lists: bool = False) -> list[Part]:
        """Read values with commas between and the closing sign after them."""
        values = []
        while True:
            values.append(self._list() if takes_lists and self._next.is_sign("[") else self._condition())
            if self._next.is_sign(closing):
                self._take()
                return values
            self._expect(",")

    def _column(self, token: Token) -> Part:
        column = token.value if token.value in self._columns else self._by_lower.get(token.value.lower())
        if column is not None:
            return Part(quote_name(column))
        if token.kind is Kind.WORD and token.value in NOT_ALLOWED:
            raise self._not_allowed(token)
        near = difflib.get_close_matches(token.value.lower(), self._by_lower, n=1, cutoff=0.5)
        hint = f"the nearest is {self._by_lower[near[0]]!r}" if near else f"it has {', '.join(sorted(self._columns))}"
        raise refusal(self._text, f"names the unknown column {token.value!r}; {hint}", token.place)

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._tokens[self._place]
        if token.kind is not Kind.END:
            self._place += 1
        return token

    def _expect(self, wanted: str) -> None:
        token = self._take()
        if not (token.is_word(wanted) or token.is_sign(wanted)):
            raise self._unexpected(token, wanted)

    def _part(self, sql: str, *parts: Part) -> Part:
        depth = 1 + max((part.depth for part in parts), default=0)
        if depth > MAX_DEPTH:
            raise refusal(self._text, f"chains more than {MAX_DEPTH} operators in one another", self._next.place)
        return Part(sql, depth)

    @contextmanager
    def _nested(self) -> Iterator[None]:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise refusal(self._text, f"is nested deeper than {MAX_NESTING}", self._next.place)
        yield
        self._nesting -= 1

    def _unexpected(self, token: Token | None = None, wanted: str | None = None) -> UserError:
        token = token or self._next
        if token.value in NOT_ALLOWED and token.kind in (Kind.WORD, Kind.SIGN):
            return self._not_allowed(token)
        near = "its end" if token.kind is Kind.END else repr(token.value)
        missing = f": {wanted!r} is missing" if wanted else ""
        return refusal(self._text, f"cannot be read near {near}{missing}", token.place)

    def _not_allowed(self, token: Token) -> UserError:
        if token.value not in NOT_ALLOWED:
            return self._unexpected(token)
        return refusal(self._text, f"uses {NOT_ALLOWED[token.value]}, which is not allowed", token.place)

    def _no_function(self, token: Token) -> UserError:
        what = NOT_ALLOWED.get(token.value, f"the function {token.value}")
        error = refusal(self._text, f"uses {what}, which is not allowed", token.place)
        hint = f"Allowed are columns, literals, operators, case and {', '.join(ALLOWED_FUNCTIONS)}."
        return type(error)(f"{error} {hint}")


def _joined(parts: list[Part]) -> str:
    return ", ".join(part.sql for part in parts)

"""What a query says about a doc's fields: field values seen in the corpus that stand in the query as a phrase.

Needs no ontology: the corpus itself says that `leather` is a material. Long values and fields with very many values
are left out, because a title-like field would make an attribute of every word.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from curation.text import STOP_WORDS, Negation, normalise, singular, tokenize_normal

MAX_VALUE_TOKENS = 3
MAX_FIELD_VALUES = 400
BRAND_FIELDS = frozenset({"brand", "brand_name", "manufacturer", "maker", "品牌"})
_SEPARATOR = re.compile(r"\s*[|;,]\s*|\s+[/>]\s+|\s*[、；]\s*")
_NOT_A_VALUE = frozenset({"yes", "no", "true", "false", "none", "n/a", "unknown", "other"})

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Attribute:
    """A field and one of its values, both in normal form."""

    field: str
    value: str

    def __str__(self) -> str:
        return f"{self.field}={self.value}"


@dataclass(frozen=True, slots=True)
class QueryAttributes:
    """The attributes a query asks for and those it rules out."""

    wanted: tuple[Attribute, ...]
    ruled_out: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class AttributeVerdicts:
    """Where a doc agrees with a query's attributes and where it does not; a field it does not have is neither."""

    matched: tuple[Attribute, ...]
    conflicting: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class FieldVocabulary:
    """The attribute values of a corpus: for each phrase the attributes it may stand for."""

    phrases: Mapping[Phrase, tuple[Attribute, ...]] = field(default_factory=dict)

    @classmethod
    def from_docs(cls, fields: Iterable[Mapping[str, str]]) -> FieldVocabulary:
        """Collect the values of all docs' fields; one mapping of field name to text for each doc."""
        values: defaultdict[str, set[str]] = defaultdict(set)
        for doc_fields in fields:
            for name, text in doc_fields.items():
                values[normalise(name)].update(_SEPARATOR.split(text.strip()))
        phrases: defaultdict[Phrase, set[Attribute]] = defaultdict(set)
        for name, texts in values.items():
            normal = {normalise(text).strip() for text in texts}
            if len(normal) <= MAX_FIELD_VALUES:
                for value in normal:
                    if phrase := _value_phrase(value):
                        phrases[phrase].add(Attribute(name, value))
        return cls({phrase: tuple(sorted(attributes)) for phrase, attributes in phrases.items()})

    def find(self, text: str) -> tuple[Attribute, ...]:
        """Return the attributes a text in normal form names; within a field the longest phrase counts."""
        if not self.phrases:
            return ()
        tokens = [singular(token) for token in tokenize_normal(text)]
        found: dict[Attribute, None] = {}
        taken: defaultdict[str, set[int]] = defaultdict(set)
        for width in range(min(MAX_VALUE_TOKENS, len(tokens)), 0, -1):
            for start in range(len(tokens) - width + 1):
                span = range(start, start + width)
                for attribute in self.phrases.get(tuple(tokens[start : start + width]), ()):
                    if taken[attribute.field].isdisjoint(span):
                        taken[attribute.field].update(span)
                        found[attribute] = None
        return tuple(found)

    def find_asked(self, query: str, negation: Negation) -> QueryAttributes:
        """Return what a query (normal form) asks for and rules out.

        A ruled-out attribute is one named by the whole query whose phrase starts with a word the query rules out.
        """
        wanted = self.find(negation.wanted)
        if not negation.ruled_out:
            return QueryAttributes(wanted, ())
        heads = {singular(word) for word in negation.ruled_out}
        named = self.find(query)
        return QueryAttributes(wanted, tuple(a for a in named if a not in wanted and _is_headed(a.value, heads)))

    def of_doc(self, fields: Mapping[str, str]) -> tuple[Attribute, ...]:
        """Return the doc's own attributes, those of the vocabulary only."""
        found: dict[Attribute, None] = {}
        for name, text in fields.items():
            for part in _SEPARATOR.split(text.strip()):
                attribute = Attribute(normalise(name), normalise(part).strip())
                phrase = _value_phrase(attribute.value)
                if phrase and attribute in self.phrases.get(phrase, ()):
                    found[attribute] = None
        return tuple(found)


def compare_attributes(asked: QueryAttributes, held: Sequence[Attribute]) -> AttributeVerdicts:
    """Hold the asked attributes against a doc's.

    A doc agrees when its value is the asked one or narrows it (`blue`, `dark blue`); a wider one (`dark blue`, `blue`)
    neither agrees nor conflicts. A phrase that may stand for several fields and agrees in one contradicts no other.
    """
    matched: dict[Attribute, None] = {}
    wider: set[Attribute] = set()
    for attribute in asked.wanted:
        phrase = _words(attribute.value)
        rivals = [_words(other.value) for other in held if other.field == attribute.field]
        if any(phrase in rival for rival in rivals):
            matched[attribute] = None
        elif any(rival in phrase for rival in rivals):
            wider.add(attribute)
    met_fields, met_values = {a.field for a in matched}, {_words(a.value) for a in matched}
    held_fields = {a.field for a in held}
    conflicting = [
        a
        for a in asked.wanted
        if a.field in held_fields - met_fields and a not in wider and _words(a.value) not in met_values
    ]
    for attribute in asked.ruled_out:
        if any(o.field == attribute.field and _words(attribute.value) in _words(o.value) for o in held):
            conflicting.append(attribute)
        elif attribute.field in held_fields:
            matched[attribute] = None
    return AttributeVerdicts(tuple(matched), tuple(conflicting))


@lru_cache(maxsize=65536)
def _words(value: str) -> str:
    """Return a value as its words between blanks, so that one value holds another exactly when it holds its words."""
    return f" {' '.join(singular(token) for token in tokenize_normal(value))} "


def _value_phrase(value: str) -> Phrase | None:
    """Return the phrase a value is found by, None for a value no query means by its words alone."""
    tokens = tuple(singular(token) for token in tokenize_normal(value))
    if not 1 <= len(tokens) <= MAX_VALUE_TOKENS or value in _NOT_A_VALUE or all(t in STOP_WORDS for t in tokens):
        return None
    return None if all(token[0].isdigit() for token in tokens) else tokens


def _is_headed(value: str, heads: set[str]) -> bool:
    tokens = tokenize_normal(value)
    return bool(tokens) and any(singular(tokens[0]) == head or head.startswith(tokens[0]) for head in heads)

"""Pairs rewritten on purpose, each with the effect it declares on the grade.

An operator is a function from a judged pair to its mutation, or None where it does not apply. Both operators here
work on the attributes of the corpus: they know that a doc is blue because its colour field says so. Which other value
to take is decided by what other docs like this one have, so that a kettle is asked for in steel and not in size 42.
Where no field applies, the numbers of the text serve as attributes.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from curation.attributes import Attribute, FieldVocabulary
from curation.text import is_unspaced, normalise, split_negation
from evolution.number_mutations import Numbers, number_swaps, numbers_to_add, replace_number
from evolution.verifier import Effect
from storage.grades import Scale

N_CHOICES = 5  # another value is drawn from the most fitting few
MIN_FIT = 0.5
KEEP_RATE = 1 / 3  # share of added constraints that the doc meets


@dataclass(frozen=True, slots=True)
class SourcePair:
    """A judged train pair to be mutated."""

    pair_id: str
    query: str
    fields: Mapping[str, str]
    grade: int
    doc_text: str = ""


@dataclass(frozen=True, slots=True)
class MutatedPair:
    """The rewritten query, the effect it declares, and what was changed, in words."""

    operator: str
    query: str
    effect: Effect
    effect_grade: int | None
    change: str


class Corpus:
    """The attributes of the docs: which values a field has, and what goes with what; and the numbers of their texts."""

    def __init__(self, fields: Iterable[Mapping[str, str]], texts: Iterable[str] = ()) -> None:
        self.numbers = Numbers(texts)
        held = list(fields)
        self.vocabulary = FieldVocabulary.from_docs(held)
        self._company: defaultdict[Attribute, Counter[Attribute]] = defaultdict(Counter)
        self._n_docs: Counter[Attribute] = Counter()
        for attributes in map(self.vocabulary.of_doc, held):
            self._n_docs.update(attributes)
            for attribute in attributes:
                self._company[attribute].update(other for other in attributes if other.field != attribute.field)
        self._values: defaultdict[str, list[Attribute]] = defaultdict(list)
        for attribute in sorted(self._company):
            self._values[attribute.field].append(attribute)

    def others(self, attribute: Attribute, held: Iterable[Attribute]) -> list[Attribute]:
        """Return other values of the field, none of them the doc's, those that best go with its attributes first.

        A value must be seen together with at least half of what the doc has, rare attributes counting for more: mugs
        come in other colours, not in another department.
        """
        mine = set(held)
        company = {a: 1.0 / self._n_docs[a] for a in mine if a.field != attribute.field}
        least = MIN_FIT * sum(company.values())
        fit = {
            a: sum(weight for other, weight in company.items() if other in self._company[a])
            for a in self._values[attribute.field]
            if a not in mine and a != attribute
        }
        fitting = [a for a, weight in fit.items() if weight >= least]
        return sorted(fitting, key=lambda a: (-fit[a], a))[:N_CHOICES]


class Mutation(Protocol):
    """An operator. `draw` is the only source of chance; None where the operator does not apply."""

    def __call__(
        self, pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random
    ) -> MutatedPair | None: ...


def swap_attribute(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> MutatedPair | None:
    """Ask for another value of a field the query names.

    Where the doc has the value asked for, it no longer does: the grade falls. Where it has another, the query now
    asks for that one: the grade rises. Queries that rule something out are left alone.
    """
    normal = normalise(pair.query)
    if split_negation(normal).ruled_out:
        return None
    held = corpus.vocabulary.of_doc(pair.fields)
    by_field = {a.field: a for a in reversed(held)}
    named = [a for a in corpus.vocabulary.find(normal) if a.field in by_field]
    options: list[tuple[Attribute, Attribute, Effect]] = []
    for attribute in named:
        if attribute in held and pair.grade > scale.lowest:
            options += [(attribute, other, Effect.LOWER) for other in corpus.others(attribute, held)]
        elif attribute not in held and pair.grade < scale.highest:
            options.append((attribute, by_field[attribute.field], Effect.RAISE))
    draw.shuffle(options)
    for old, new, effect in options:
        query = _replace(pair.query, old.value, new.value)
        if query is not None and new in corpus.vocabulary.find(normalise(query)):
            return MutatedPair("attribute_swap", query, effect, None, f"{old.field}: {old.value} → {new.value}")
    return _swap_number(pair, corpus, scale=scale, draw=draw)


def add_constraint(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> MutatedPair | None:
    """Ask for one thing more, in a field the doc has and the query does not name.

    Another value than the doc's lowers the grade; the doc's own value keeps it. Pairs of the lowest grade are left
    alone: nothing can be learnt from a constraint on a doc of another kind.
    """
    if pair.grade == scale.lowest:
        return None
    normal = normalise(pair.query)
    named = {a.field for a in corpus.vocabulary.find(normal)}
    held = corpus.vocabulary.of_doc(pair.fields)
    free = [a for a in held if a.field not in named]
    draw.shuffle(free)
    wants_keep = draw.random() < KEEP_RATE
    for own in free:
        others = corpus.others(own, held)
        if not others:
            continue
        added, effect = (own, Effect.KEEP) if wants_keep else (draw.choice(others), Effect.LOWER)
        query = f"{pair.query.strip()} {added.value}"
        if added in corpus.vocabulary.find(normalise(query)):
            return MutatedPair("constraint_added", query, effect, None, f"{added.field}: + {added.value}")
    number = numbers_to_add(pair.query, pair.doc_text, corpus.numbers, draw=draw, wants_held=wants_keep)
    if number is None:
        return None
    effect = Effect.KEEP if wants_keep else Effect.LOWER
    return MutatedPair("constraint_added", f"{pair.query.strip()} {number}", effect, None, f"number: + {number}")


def _swap_number(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> MutatedPair | None:
    swaps = number_swaps(pair.query, pair.doc_text, corpus.numbers)
    draw.shuffle(swaps)
    for old, new, is_held in swaps:
        query = replace_number(pair.query, old, new)
        has_room = pair.grade < scale.highest if is_held else pair.grade > scale.lowest
        if query is not None and has_room:
            effect = Effect.RAISE if is_held else Effect.LOWER
            return MutatedPair("attribute_swap", query, effect, None, f"number: {old} → {new}")
    return None


MUTATIONS: dict[str, Mutation] = {"attribute_swap": swap_attribute, "constraint_added": add_constraint}


def _replace(query: str, old: str, new: str) -> str | None:
    """Put one value's words in place of another's; None where they do not stand in the query just once."""
    words = r"[\W_]+".join(re.escape(word) for word in old.split())
    pattern = words if is_unspaced(old) else rf"(?<!\w){words}s?(?!\w)"
    replaced, n_replaced = re.subn(pattern, lambda _: new, query, flags=re.IGNORECASE)
    return replaced if n_replaced == 1 and replaced != query else None

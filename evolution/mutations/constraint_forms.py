"""Forms that ask for one thing more, one thing less, or that something be not so."""

from __future__ import annotations

import random

from curation.attributes import Attribute
from curation.text import is_unspaced, normalise, split_negation
from evolution.mutations.corpus import Corpus
from evolution.mutations.effects import Effect, fall, low_bound
from evolution.mutations.operator import Rewriting, SourcePair
from evolution.mutations.phrases import append_phrase, drop_value
from evolution.mutations.query_slots import find_numbers, replace_number
from storage.grades import Scale

KEEP_RATE = 1 / 3  # share of added constraints that the doc meets
MIN_CORE = 2  # words, or twice as many characters of an unspaced script, that a dropped kind must leave


def add_constraint(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Ask for one thing more, in a field the doc has and the query does not name.

    Another value than the doc's lowers the highest grade and raises no other; the doc's own value keeps it. Pairs of
    the lowest grade are left alone: nothing can be learnt from a constraint on a doc of another kind.
    """
    if pair.grade == scale.lowest:
        return None
    held = corpus.vocabulary.of_doc(pair.fields)
    named = {a.field for a in corpus.vocabulary.find(normalise(pair.query))}
    free = [a for a in held if a.field not in named]
    draw.shuffle(free)
    wants_keep = draw.random() < KEEP_RATE
    for own in free:
        others = corpus.others(own, held)
        if not others:
            continue
        added, effect = (own, Effect.KEEP) if wants_keep else (draw.choice(others), fall(pair.grade, scale)[0])
        query = append_phrase(pair.query, added.value)
        if added in corpus.vocabulary.find(normalise(query)):
            return Rewriting(query, effect, f"{added.field}: + {added.value}")
    return None if pair.fields else _add_year(pair, corpus, draw)


def remove_constraint(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Ask for one thing less: the one the doc breaks (raise), one it meets (keep), one it does not state (at least)."""
    if split_negation(normalise(pair.query)).ruled_out:
        return None
    if not pair.fields:
        return _remove_number(pair)
    held, named = corpus.vocabulary.of_doc(pair.fields), corpus.vocabulary.find(normalise(pair.query))
    fields = {a.field for a in held}
    broken = [a for a in named if a.field in fields and a not in held]
    options = [a for a in named if a.field not in (corpus.kind_field, corpus.shelf_field)]
    draw.shuffle(options)
    for attribute in options:
        query = drop_value(pair.query, attribute, corpus)
        effect = Effect.AT_LEAST
        if attribute in held:
            effect = Effect.KEEP
        elif broken == [attribute] and pair.grade < scale.highest:
            effect = Effect.RAISE
        if query is not None:
            return Rewriting(query, effect, f"{attribute.field}: - {attribute.value}")
    return None


def negate(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Rule out a value: one the doc has (lower), or one asked for that the doc has not (raise, at least)."""
    if split_negation(normalise(pair.query)).ruled_out:
        return None
    held, named = corpus.vocabulary.of_doc(pair.fields), corpus.vocabulary.find(normalise(pair.query))
    fields = {a.field for a in held}
    core = (corpus.kind_field, corpus.shelf_field)
    broken = [a for a in named if a.field in fields and a not in held]
    unnamed = [a for a in held if a.field not in {n.field for n in named}]
    options = [a for a in (*named, *unnamed) if a.field in fields and a.field not in core]
    draw.shuffle(options)
    for attribute in options:
        rest = drop_value(pair.query, attribute, corpus) if attribute in named else pair.query
        if rest is None:
            continue
        query = append_phrase(rest, _not(attribute, rest))
        change = f"{attribute.field}: not {attribute.value}"
        if attribute in held and pair.grade > scale.lowest:
            effect, bound = fall(pair.grade, scale, bound=low_bound(scale))
            return Rewriting(query, effect, change, bound)
        if attribute not in held:
            is_only = broken == [attribute] and pair.grade < scale.highest
            return Rewriting(query, Effect.RAISE if is_only else Effect.AT_LEAST, change)
    return None


def drop_core(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Leave out what kind of thing is asked for, so that only details are left: nothing answers that better.

    Only where the doc is of that kind by its fields; without fields the last word of a query of words is the kind.
    """
    if pair.grade == scale.lowest or split_negation(normalise(pair.query)).ruled_out:
        return None
    held = corpus.vocabulary.of_doc(pair.fields)
    kinds = [a for a in corpus.vocabulary.find(normalise(pair.query)) if a.field == corpus.kind_field and a in held]
    draw.shuffle(kinds)
    for kind in kinds:
        rest = drop_value(pair.query, kind, corpus)
        if rest is not None:
            return Rewriting(rest, Effect.AT_MOST, f"no longer asks for: {kind.value}")
    words = pair.query.split()
    if pair.fields or is_unspaced(pair.query) or len(words) <= MIN_CORE or not words[-1].isalpha():
        return None
    return Rewriting(" ".join(words[:-1]), Effect.AT_MOST, f"no longer asks for: {words[-1]}")


def _not(attribute: Attribute, query: str) -> str:
    return f"不要{attribute.value}" if is_unspaced(f"{query}{attribute.value}") else f"not {attribute.value}"


def _add_year(pair: SourcePair, corpus: Corpus, draw: random.Random) -> Rewriting | None:
    years = corpus.slots.years()
    if find_numbers(pair.query) or not years:
        return None
    year = draw.choice(years)
    return Rewriting(append_phrase(pair.query, year), Effect.AT_MOST, f"year: + {year}")


def _remove_number(pair: SourcePair) -> Rewriting | None:
    for number in find_numbers(pair.query):
        rest = replace_number(pair.query, number, "")
        if rest is not None and any(character.isalpha() for character in rest):
            return Rewriting(" ".join(rest.split()), Effect.AT_LEAST, f"number: - {number}")
    return None

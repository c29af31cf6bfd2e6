"""Forms that ask for another value: attribute, brand, category and place, the wider and the narrower word.

They read what the doc's fields say, never its text. Where docs have no fields, what may stand for what is learnt from
other queries, and the declared effect rests on the pair's own grade alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from curation.attributes import BRAND_FIELDS, Attribute
from curation.text import normalise, split_negation
from evolution.mutations.corpus import PLACE_FIELDS, Corpus
from evolution.mutations.effects import Effect, fall, low_bound
from evolution.mutations.lexicon import PLACES
from evolution.mutations.operator import Rewriting, SourcePair
from evolution.mutations.phrases import ask_for, replace_phrase
from storage.grades import Scale


def swap_attribute(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Ask for another detail: one the doc lacks for one it has, or the doc's own for one it lacks."""
    if pair.fields:
        return _swap(pair, corpus, scale, draw, corpus.is_detail)
    return _swap_stretch(pair, corpus, scale, draw)


def swap_brand(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Ask for another brand."""
    return _swap(pair, corpus, scale, draw, BRAND_FIELDS.__contains__)


def shift_category(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Ask for another kind of thing; a doc of the kind asked before is then hardly an answer."""
    return _swap(pair, corpus, scale, draw, {corpus.kind_field}.__contains__, bound=low_bound(scale))


def shift_location(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Ask for another place: of the docs' fields, else one of the listed cities for another of its country."""
    found = _swap(pair, corpus, scale, draw, PLACE_FIELDS.__contains__)
    if found is not None or pair.grade == scale.lowest:
        return found
    normal = normalise(pair.query)
    for places in PLACES:
        for old in (place for place in places if place in normal):
            new = draw.choice([place for place in places if place not in normal])
            query = replace_phrase(pair.query, old, new)
            if query is not None:
                return Rewriting(query, fall(pair.grade, scale)[0], f"place: {old} → {new}")
    return None


def widen(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:  # noqa: ARG001
    """Ask for the shelf instead of the kind, or drop what makes a value special: who met the narrow word still does."""
    for kind in _named(pair.query, corpus):
        shelf = corpus.shelf_of(kind) if kind.field == corpus.kind_field else None
        wider = [shelf] if shelf else corpus.wider(kind)
        draw.shuffle(wider)
        for attribute in wider:
            query = ask_for(pair.query, kind, attribute, corpus)
            if query is not None:
                return Rewriting(query, Effect.AT_LEAST, f"{kind.value} → {attribute.value}")
    return None


def narrow(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Ask for one kind of a shelf, or a special sort of a value: the doc's own keeps the grade, another lowers it."""
    held = corpus.vocabulary.of_doc(pair.fields)
    for attribute in _named(pair.query, corpus):
        is_shelf = attribute.field == corpus.shelf_field
        narrower = corpus.kinds_on(attribute) if is_shelf else corpus.narrower(attribute)
        if attribute not in held and not is_shelf:
            continue
        draw.shuffle(narrower)
        for value in narrower:
            effect = Effect.KEEP if value in held else fall(pair.grade, scale)[0]
            query = ask_for(pair.query, attribute, value, corpus)
            if query is not None:
                return Rewriting(query, effect, f"{attribute.value} → {value.value}")
    return None


def _swap(
    pair: SourcePair,
    corpus: Corpus,
    scale: Scale,
    draw: random.Random,
    is_meant: Callable[[str], bool],
    *,
    bound: int | None = None,
) -> Rewriting | None:
    """Swap a value of the fields meant. Queries that rule something out are left alone."""
    if split_negation(normalise(pair.query)).ruled_out:
        return None
    held = corpus.vocabulary.of_doc(pair.fields)
    by_field = {a.field: a for a in reversed(held)}
    named = [a for a in _named(pair.query, corpus) if a.field in by_field]
    broken = [a for a in named if a not in held]
    options: list[tuple[Attribute, Attribute]] = []
    for attribute in (a for a in named if is_meant(a.field)):
        if attribute in held and pair.grade > scale.lowest:
            options += [(attribute, other) for other in corpus.others(attribute, held)]
        elif attribute not in held and pair.grade < scale.highest:
            options.append((attribute, by_field[attribute.field]))
    draw.shuffle(options)
    for old, new in options:
        query = ask_for(pair.query, old, new, corpus)
        if query is not None:
            effect, at_most = fall(pair.grade, scale, bound=bound)
            if new in held:
                effect, at_most = (Effect.RAISE if broken == [old] else Effect.AT_LEAST), None
            return Rewriting(query, effect, f"{old.field}: {old.value} → {new.value}", at_most)
    return None


def _swap_stretch(pair: SourcePair, corpus: Corpus, scale: Scale, draw: random.Random) -> Rewriting | None:
    if pair.grade == scale.lowest:
        return None
    swaps = corpus.slots.swaps(pair.query)
    draw.shuffle(swaps)
    for old, new in swaps:
        query = replace_phrase(pair.query, old, new)
        if query is not None:
            return Rewriting(query, fall(pair.grade, scale)[0], f"asked: {old} → {new}")
    return None


def _named(query: str, corpus: Corpus) -> list[Attribute]:
    """Return the values a query names and nothing else in it means: a phrase of two fields says too little."""
    found = corpus.vocabulary.find(normalise(query))
    fields: dict[str, set[str]] = {}
    for attribute in found:
        fields.setdefault(attribute.value, set()).add(attribute.field)
    return [a for a in found if len(fields[a.value]) == 1 or a.field == corpus.kind_field]

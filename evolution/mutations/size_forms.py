"""Forms that work on quantities: the same size in another unit, and another size."""

from __future__ import annotations

import random
import re

from curation.quantities import UNITS, find_quantities
from curation.text import is_unspaced, normalise, split_negation
from evolution.mutations.corpus import Corpus
from evolution.mutations.effects import Effect, fall
from evolution.mutations.operator import Rewriting, SourcePair
from evolution.mutations.query_slots import find_numbers, replace_number
from storage.grades import Scale

# What people write of a dimension, by script; sizes and their relations come from `curation.quantities`.
_WRITTEN = {
    False: (("mm", "cm", "m", "inch"), ("g", "kg"), ("ml", "cl", "l"), ("w", "kw"), ("mb", "gb", "tb")),
    True: (("毫米", "厘米", "米"), ("克", "斤", "公斤"), ("毫升", "升")),
}
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_QUANTITY = re.compile(rf"(?<![\d.,])(\d+(?:\.\d+)?)(\s*)({_UNIT})(?![a-z])", re.IGNORECASE)
MAX_DIGITS = 6
N_CHOICES = 8  # of the commonest sizes


def change_unit(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:  # noqa: ARG001
    """Write the same quantity in another unit of its dimension: 1 kg, 1000 g. Nothing about the answer changes."""
    for match in _QUANTITY.finditer(pair.query):
        number, gap, unit = match.groups()
        family = next((f for f in _WRITTEN[is_unspaced(unit)] if unit.lower() in f), ())
        options = [
            (other, text)
            for other in family
            if other != unit.lower() and (text := _convert(number, unit.lower(), other)) is not None
        ]
        if options:
            other, text = draw.choice(options)
            query = f"{pair.query[: match.start()]}{text}{gap}{other}{pair.query[match.end() :]}"
            return Rewriting(query, Effect.KEEP, f"unit: {match.group()} → {text}{gap}{other}")
    return None


def change_size(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:
    """Ask for another size: one the doc has not for one it has (lower), or the doc's own for one it has not (raise).

    Where docs have no fields, another number that queries name; the pair's own grade says that this one was right.
    """
    if split_negation(normalise(pair.query)).ruled_out:
        return None
    if not pair.fields:
        return _change_number(pair, corpus, scale, draw)
    matches = list(_QUANTITY.finditer(pair.query))
    if len(matches) != 1 or len(found := find_quantities(normalise(pair.query))) != 1 or found[0].limit != "exact":
        return None
    (asked,), (match,) = found, matches
    own = [text.strip() for text in pair.fields.values() if _is_size(text, asked.dimension)]
    is_held = any(_same_size(text, match.group()) for text in own)
    if is_held and pair.grade > scale.lowest:
        others = [s for s in corpus.sizes(asked.dimension or "") if not any(_same_size(s, held) for held in own)]
        options, effect = others[:N_CHOICES], fall(pair.grade, scale)[0]
    elif own and not is_held and pair.grade < scale.highest:
        options, effect = own[:1], Effect.AT_LEAST if _breaks_more(pair, corpus) else Effect.RAISE
    else:
        return None
    if not options:
        return None
    size = draw.choice(options)
    query = f"{pair.query[: match.start()]}{size}{pair.query[match.end() :]}"
    return Rewriting(query, effect, f"size: {match.group()} → {size}")


def _breaks_more(pair: SourcePair, corpus: Corpus) -> bool:
    """Say whether the query names a value in a field where the doc has another: then a right size is not all."""
    held = corpus.vocabulary.of_doc(pair.fields)
    fields = {a.field for a in held}
    return any(a.field in fields and a not in held for a in corpus.vocabulary.find(normalise(pair.query)))


def _change_number(pair: SourcePair, corpus: Corpus, scale: Scale, draw: random.Random) -> Rewriting | None:
    if pair.grade == scale.lowest:
        return None
    numbers = find_numbers(pair.query)
    draw.shuffle(numbers)
    for old in numbers:
        options = corpus.slots.numbers_like(old, pair.query)
        query = replace_number(pair.query, old, new) if options and (new := draw.choice(options)) else None
        if query is not None:
            return Rewriting(query, fall(pair.grade, scale)[0], f"number: {old} → {new}")
    return None


def _convert(number: str, unit: str, other: str) -> str | None:
    """Return the number in the other unit, None where it does not come out short."""
    value = float(number) * UNITS[unit][1] / UNITS[other][1]
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    is_exact = float(text) > 0 and abs(float(text) / value - 1) < 1e-9
    return text if is_exact and len(text.replace(".", "")) <= MAX_DIGITS and value >= 0.1 else None


def _is_size(text: str, dimension: str | None) -> bool:
    found = find_quantities(normalise(text))
    return len(found) == 1 and dimension is not None and found[0].dimension == dimension


def _same_size(first: str, second: str) -> bool:
    one, other = find_quantities(normalise(first)), find_quantities(normalise(second))
    return bool(one and other) and abs(one[0].value - other[0].value) <= 0.01 * one[0].value

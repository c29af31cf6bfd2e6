"""The operators, each declared in a few lines: what it rewrites, what it claims of the grade, what that rests on.

To add one, write its form, its prompt `prompts/mutate_<name>.txt` and its declaration here; nothing else names it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from evolution.mutations import constraint_forms, doc_forms, size_forms, value_forms, wording_forms
from evolution.mutations.corpus import Corpus
from evolution.mutations.effects import Effect, has_room
from evolution.mutations.operator import (
    MAX_QUERY_CHARACTERS,
    Evidence,
    Operator,
    Rewriting,
    Side,
    SourceDoc,
    SourcePair,
)
from storage.grades import Scale

_BY_FIELDS = frozenset({Evidence.FIELDS, Evidence.OWN_GRADE, Evidence.SEEN_VALUES})
_BY_WORDS = frozenset({Evidence.LEXICON})
KEEP, RAISE, LOWER, AT_MOST, AT_LEAST = Effect.KEEP, Effect.RAISE, Effect.LOWER, Effect.AT_MOST, Effect.AT_LEAST

_DECLARED = (
    Operator(
        "constraint_added",
        "One thing more is asked: the doc's own value keeps the grade, another lowers the highest and raises none.",
        (LOWER, AT_MOST, KEEP),
        _BY_FIELDS,
        constraint_forms.add_constraint,
    ),
    Operator(
        "constraint_removed",
        "One thing less is asked: the only broken one raises the grade, a met one keeps it, others never lower it.",
        (AT_LEAST, RAISE, KEEP),
        _BY_FIELDS,
        constraint_forms.remove_constraint,
    ),
    Operator(
        "attribute_swap",
        "Another detail is asked: one the doc lacks lowers the highest grade and raises none; the doc's own raises it "
        "where it was the only fault, and lowers none.",
        (LOWER, AT_MOST, RAISE, AT_LEAST),
        _BY_FIELDS,
        value_forms.swap_attribute,
    ),
    Operator(
        "brand_swap",
        "Another brand is asked: one that is not the doc's lowers the highest grade and raises none, the doc's own "
        "raises it where it was the only fault.",
        (LOWER, AT_MOST, RAISE, AT_LEAST),
        _BY_FIELDS,
        value_forms.swap_brand,
    ),
    Operator(
        "category_shift",
        "Another kind of thing is asked: the doc's grade falls to the low end, or rises where its own kind is asked "
        "and that was the only fault.",
        (LOWER, AT_MOST, RAISE, AT_LEAST),
        _BY_FIELDS,
        value_forms.shift_category,
    ),
    Operator(
        "location_shift",
        "Another place is asked: the highest grade falls and none rises, or rises where it is the doc's own.",
        (LOWER, AT_MOST, RAISE, AT_LEAST),
        _BY_FIELDS | _BY_WORDS,
        value_forms.shift_location,
    ),
    Operator(
        "negation",
        "A value is ruled out: one the doc has lowers the grade to the low end, one it has not never lowers it.",
        (LOWER, AT_MOST, RAISE, AT_LEAST),
        _BY_FIELDS,
        constraint_forms.negate,
    ),
    Operator(
        "unit_change",
        "The same quantity is written in another unit: the grade stays.",
        (KEEP,),
        _BY_WORDS,
        size_forms.change_unit,
    ),
    Operator(
        "size_change",
        "Another size or number is asked: one the doc has not lowers the highest grade and raises none, the doc's own "
        "raises it where it was the only fault.",
        (LOWER, AT_MOST, RAISE, AT_LEAST),
        _BY_FIELDS,
        size_forms.change_size,
    ),
    Operator("typo", "One word is mistyped: the grade stays.", (KEEP,), _BY_WORDS, wording_forms.mistype),
    Operator(
        "slang", "One word is said as people speak: the grade stays.", (KEEP,), _BY_WORDS, wording_forms.say_casually
    ),
    Operator(
        "hypernym",
        "The wider word is asked (the shelf instead of the kind): the grade never falls.",
        (AT_LEAST,),
        frozenset({Evidence.SEEN_VALUES}),
        value_forms.widen,
    ),
    Operator(
        "hyponym",
        "A narrower word is asked: the doc's own keeps the grade, another lowers the highest and raises none.",
        (LOWER, AT_MOST, KEEP),
        _BY_FIELDS,
        value_forms.narrow,
    ),
    Operator(
        "paraphrase",
        "The same request in other words or another order: the grade stays.",
        (KEEP,),
        frozenset({Evidence.SEEN_VALUES, Evidence.LEXICON}),
        wording_forms.reword,
    ),
    Operator(
        "core_intent_drop",
        "What kind of thing is wanted is left out, details stay: the grade never rises.",
        (AT_MOST,),
        _BY_FIELDS,
        constraint_forms.drop_core,
    ),
    Operator(
        "language_mix",
        "One word is said in another language: the grade stays.",
        (KEEP,),
        _BY_WORDS,
        wording_forms.mix_languages,
    ),
    Operator(
        "doc_truncation",
        "The doc loses its later text: the grade never rises.",
        (AT_MOST,),
        frozenset(),
        doc_form=doc_forms.truncate,
        side=Side.DOC,
    ),
    Operator(
        "distractor_injection",
        "Words that are not about the doc stand beside it: the grade stays.",
        (KEEP,),
        frozenset({Evidence.FIELDS, Evidence.SEEN_VALUES, Evidence.LEXICON}),
        doc_form=doc_forms.add_distractor,
        side=Side.DOC,
    ),
)
OPERATORS: dict[str, Operator] = {operator.name: operator for operator in _DECLARED}


@dataclass(frozen=True, slots=True)
class Original:
    """A judged train pair as it stands."""

    pair_id: str
    query: str
    title: str
    body: str
    fields: Mapping[str, str]
    grade: int

    def for_query_form(self) -> SourcePair:
        """Return what a query form may see."""
        return SourcePair(self.query, self.fields, self.grade)

    def for_doc_form(self) -> SourceDoc:
        """Return what a doc form may see."""
        return SourceDoc(self.title, self.body, self.fields, self.grade)


@dataclass(frozen=True, slots=True)
class MutatedPair:
    """A pair with one side rewritten, the effect that declares, and what was changed, in words."""

    operator: str
    query: str
    title: str
    body: str
    effect: Effect
    effect_grade: int | None
    change: str


def rewrite(
    operator: Operator, original: Original, corpus: Corpus, *, scale: Scale, draw: random.Random
) -> MutatedPair | None:
    """Rewrite a pair without a model; None where the operator does not apply or its effect has no room on the scale."""
    if len(original.query) > MAX_QUERY_CHARACTERS or not original.query.strip():
        return None
    done: Rewriting | None = None
    if operator.query_form is not None:
        done = operator.query_form(original.for_query_form(), corpus, scale=scale, draw=draw)
    elif operator.doc_form is not None:
        done = operator.doc_form(original.for_doc_form(), corpus, scale=scale, draw=draw)
    return None if done is None else apply_rewriting(operator, original, done, scale)


def apply_rewriting(operator: Operator, original: Original, done: Rewriting, scale: Scale) -> MutatedPair | None:
    """Put the rewritten side in its place; None where nothing changed or the scale has no room for the effect."""
    if not has_room(done.effect, original.grade, scale, bound=done.bound):
        return None
    query, title, body = original.query, original.title, original.body
    if operator.side is Side.QUERY:
        query = " ".join(done.text.split())
    else:
        title, body = done.title if done.title is not None else title, done.text
    if (query, title, body) == (" ".join(original.query.split()), original.title, original.body) or not query:
        return None
    return MutatedPair(operator.name, query, title, body, done.effect, done.bound, done.change)

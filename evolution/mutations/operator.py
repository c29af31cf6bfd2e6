"""What an operator is: the side it rewrites, the effect it declares, the evidence it rests that on, and its two forms.

A mutation is worth something only where the verifier that confirms it looks at something else than the operator did.
So what each may read is its argument type: a form that rewrites a query is given the query, the doc's fields and the
pair's own grade, and never the doc's text; one that rewrites a doc is given the doc and its grade, and never the query.
The verifier (`verifier.py`) is given query and text, without fields and without the pair's grade. What both read is the
rewritten side alone, without which there would be nothing to talk of.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from evolution.mutations.corpus import Corpus
from evolution.mutations.effects import Effect
from storage.grades import Scale

MAX_QUERY_CHARACTERS = 400  # longer ones are pasted pages: nothing in them can be said to be rewritten


class Side(StrEnum):
    """Which half of a pair is rewritten."""

    QUERY = "query"
    DOC = "doc"


class Evidence(StrEnum):
    """What a declared effect, or a verdict on one, may rest on beside the rewritten side."""

    FIELDS = "the doc's fields"
    OWN_GRADE = "the pair's own grade"
    SEEN_VALUES = "field values and wordings elsewhere in the workspace"
    LEXICON = "a small list of words"
    MODEL = "what a language model knows"
    DOC_TEXT = "the doc's title and body"
    QUERY_TEXT = "the query"
    OTHER_GRADES = "train judgments of other queries"


@dataclass(frozen=True, slots=True)
class SourcePair:
    """What a query form is given of a judged train pair: no title, no body."""

    query: str
    fields: Mapping[str, str]
    grade: int


@dataclass(frozen=True, slots=True)
class SourceDoc:
    """What a doc form is given of a judged train pair: no query."""

    title: str
    body: str
    fields: Mapping[str, str]
    grade: int


@dataclass(frozen=True, slots=True)
class Rewriting:
    """The rewritten side, what that does to the grade, and what was changed, in words.

    `text` is the query, or the doc's body; `title` is the doc's where that was rewritten too.
    """

    text: str
    effect: Effect
    change: str
    bound: int | None = None
    title: str | None = None


class QueryForm(Protocol):
    """Rewrites a query without a model. `draw` is the only source of chance; None where it does not apply."""

    def __call__(self, pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None: ...


class DocForm(Protocol):
    """Rewrites a doc without a model. `draw` is the only source of chance; None where it does not apply."""

    def __call__(self, doc: SourceDoc, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None: ...


@dataclass(frozen=True, slots=True)
class Operator:
    """One way to rewrite a pair on purpose. Its prompt lies in `prompts/mutate_<name>.txt`.

    `claim` says in words when which effect is declared; `effects` are those there are, first the one a model is
    asked for. `reads` is what the effect rests on. One of the two forms, or neither: then only
    a model can do it.
    """

    name: str
    claim: str
    effects: tuple[Effect, ...]
    reads: frozenset[Evidence]
    query_form: QueryForm | None = None
    doc_form: DocForm | None = None
    side: Side = field(default=Side.QUERY)

    @property
    def prompt_name(self) -> str:
        return f"mutate_{self.name}"

    @property
    def is_model_free(self) -> bool:
        return self.query_form is not None or self.doc_form is not None

"""Forms that rewrite the doc: less of it, or more beside it. They never see the query.

What is put beside is page furniture and values of fields, never a sentence of another doc: an erased text must not live
on in somebody else's.
"""

from __future__ import annotations

import random
import re

from curation.text import is_unspaced
from evolution.mutations.corpus import Corpus
from evolution.mutations.effects import Effect
from evolution.mutations.lexicon import BESIDE, BESIDE_UNSPACED, FURNITURE, FURNITURE_UNSPACED
from evolution.mutations.operator import Rewriting, SourceDoc
from storage.grades import Scale

MAX_BODY = 200_000  # characters: no second copy is made of a longer doc
MIN_TITLE = 6  # words, or characters of an unspaced script, below which a title is not cut
KEPT_RATE = 2 / 3
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


def truncate(doc: SourceDoc, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:  # noqa: ARG001
    """Cut the body behind its first sentences, the title where there is no body: who says less answers no better."""
    if not doc.body.strip():
        return _truncate_title(doc)
    if len(doc.body) > MAX_BODY:
        return Rewriting(doc.body[: MAX_BODY // 2], Effect.AT_MOST, f"body cut to {MAX_BODY // 2} characters")
    ends = _sentence_ends(doc.body)
    if len(ends) < 2:
        return None
    n_kept = draw.randint(1, len(ends) // 2)
    change = f"body cut to {n_kept} of {len(ends)} sentences"
    return Rewriting(doc.body[: ends[n_kept - 1]].rstrip(), Effect.AT_MOST, change)


def add_distractor(doc: SourceDoc, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:  # noqa: ARG001
    """Put words beside the doc that are not about it: page furniture, and another thing of the shop if there is one."""
    if len(doc.body) > MAX_BODY or not f"{doc.title}{doc.body}".strip():
        return None
    unspaced = is_unspaced(doc.title or doc.body)
    furniture = draw.choice(FURNITURE_UNSPACED if unspaced else FURNITURE)
    beside = _another_thing(doc, corpus, draw, unspaced=unspaced)
    text = f"{beside} {furniture}" if beside else furniture
    body = f"{doc.body.rstrip()}{'' if unspaced else ' '}{text}".strip()
    return Rewriting(body, Effect.KEEP, f"beside: {text}")


def _another_thing(doc: SourceDoc, corpus: Corpus, draw: random.Random, *, unspaced: bool) -> str | None:
    held = corpus.vocabulary.of_doc(doc.fields)
    kind = next((a for a in held if a.field == corpus.kind_field), None)
    others = [a for a in corpus.others(kind, held) if is_unspaced(a.value) == unspaced] if kind else []
    if not others:
        return None
    return (BESIDE_UNSPACED if unspaced else BESIDE).format(draw.choice(others).value)


def _truncate_title(doc: SourceDoc) -> Rewriting | None:
    if is_unspaced(doc.title):
        n = len(doc.title)
        kept = doc.title[: round(KEPT_RATE * n)]
    else:
        words = doc.title.split()
        n = len(words)
        kept = " ".join(words[: round(KEPT_RATE * n)])
    if n < MIN_TITLE:
        return None
    return Rewriting("", Effect.AT_MOST, f"title cut to {kept!r}", title=kept.rstrip())


def _sentence_ends(body: str) -> list[int]:
    """Return where each sentence ends; blanks are none."""
    ends, start = [], 0
    for match in (*_SENTENCE.finditer(body), None):
        end = match.start() if match else len(body)
        if body[start:end].strip():
            ends.append(end)
        start = match.end() if match else end
    return ends

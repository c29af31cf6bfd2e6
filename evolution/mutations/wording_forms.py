"""Forms that change how a query is worded and not what it asks for. They read nothing but the query.

That the grade stays is declared blindly; the verifier says whether a reader who knows only the texts agrees.
"""

from __future__ import annotations

import random
import re

from curation.text import is_unspaced, normalise, split_negation
from evolution.mutations.corpus import Corpus
from evolution.mutations.effects import Effect
from evolution.mutations.lexicon import HOMOPHONES, REQUESTS, REQUESTS_UNSPACED, SLANG, TWO_LANGUAGES
from evolution.mutations.operator import Rewriting, SourcePair
from evolution.mutations.phrases import has_conditions, replace_phrase
from storage.grades import Scale

MIN_LETTERS = 4  # shorter words become other words
MIN_RUN = 4  # characters of an unspaced script
_WORD = re.compile(rf"(?<![\w-])[a-z]{{{MIN_LETTERS},}}(?![\w-])", re.IGNORECASE)
_RUN = re.compile(rf"[\u4e00-\u9fff]{{{MIN_RUN},}}")


def mistype(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:  # noqa: ARG001
    """Mistype one word: two letters change places, one is left out or doubled; a character that sounds the same."""
    words = list(_WORD.finditer(pair.query))
    if words:
        word = draw.choice(words)
        old, at = word.group(), draw.randrange(1, len(word.group()) - 1)
        slips = [
            old[:at] + old[at + 1] + old[at] + old[at + 2 :],
            old[:at] + old[at + 1 :],
            old[:at] + old[at] + old[at:],
        ]
        slips = [slip for slip in slips if slip != old]
        new, start, end = draw.choice(slips), word.start(), word.end()
    else:
        options = [(at, other) for at, sign in enumerate(pair.query) for other in _sounds_like(sign)]
        runs = list(_RUN.finditer(pair.query))
        if options:
            start, new = draw.choice(options)
            end, old = start + 1, pair.query[start]
        elif runs:
            start = draw.randrange((run := draw.choice(runs)).start(), run.end() - 1)
            end = start + 2
            old, new = pair.query[start:end], pair.query[start:end][::-1]
        else:
            return None
    query = f"{pair.query[:start]}{new}{pair.query[end:]}"
    return Rewriting(query, Effect.KEEP, f"typed: {old} → {new}") if query != pair.query else None


def say_casually(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:  # noqa: ARG001
    """Say one word as people speak."""
    normal = normalise(pair.query)
    options = sorted((old for old in SLANG if old in normal), key=len, reverse=True)
    for old in options:
        query = replace_phrase(pair.query, old, SLANG[old])
        if query is not None:
            return Rewriting(query, Effect.KEEP, f"said: {old} → {SLANG[old]}")
    return None


def reword(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:  # noqa: ARG001
    """Put the same request in other words: a value moves behind the rest, or a request phrase goes around."""
    options: list[tuple[str, str]] = []
    if not has_conditions(pair.query):
        for attribute in corpus.vocabulary.find(normalise(pair.query)):
            rest = replace_phrase(pair.query, attribute.value, "")
            moved = f"{rest} {attribute.value}" if rest else ""
            if rest and moved.split() != pair.query.casefold().split():
                options.append((moved, f"moved: {attribute.value}"))
    phrases = REQUESTS_UNSPACED if is_unspaced(pair.query) else REQUESTS
    phrase = draw.choice(phrases)
    options.append((phrase.replace("{}", pair.query.strip()), f"asked as: {phrase.format('…')}"))
    query, change = draw.choice(options)
    return Rewriting(query, Effect.KEEP, change)


def mix_languages(pair: SourcePair, corpus: Corpus, *, scale: Scale, draw: random.Random) -> Rewriting | None:  # noqa: ARG001
    """Say one word in the other language of the two that shoppers here mix."""
    normal = normalise(pair.query)
    if split_negation(normal).ruled_out:
        return None
    options = []
    for english, chinese in TWO_LANGUAGES:
        for old, new in ((english, chinese), (chinese, english)):
            if old in normal and len(normal) > len(old):
                # a word of letters needs room around it where the other language writes none
                text = f" {new} " if new.isascii() else new
                query = replace_phrase(pair.query, old, text)
                if query is not None:
                    options.append((" ".join(query.split()), f"{old} → {new}"))
    if not options:
        return None
    query, change = draw.choice(options)
    return Rewriting(query, Effect.KEEP, change)


def _sounds_like(sign: str) -> str:
    group = next((group for group in HOMOPHONES if sign in group), "")
    return group.replace(sign, "")

"""Changes of a query's text, one phrase at a time: what is not meant to change stays as it was typed, sign for sign."""

from __future__ import annotations

import re

from curation.attributes import Attribute
from curation.quantities import find_quantities
from curation.text import is_unspaced, normalise, split_negation
from evolution.mutations.corpus import Corpus


def replace_phrase(query: str, old: str, new: str) -> str | None:
    """Put one value's words in place of another's; None where they do not stand in the query just once."""
    words = r"[\W_]+".join(re.escape(word) for word in old.split())
    pattern = words if is_unspaced(old) else rf"(?<!\w){words}s?(?!\w)"
    replaced, n_replaced = re.subn(pattern, lambda _: new, query, flags=re.IGNORECASE)
    replaced = " ".join(replaced.split()) if not new else replaced
    return replaced if n_replaced == 1 and replaced != query and replaced.strip() else None


def ask_for(query: str, old: Attribute, new: Attribute, corpus: Corpus) -> str | None:
    """Return the query asking for another value; None where it would not be read as asking for it."""
    replaced = replace_phrase(query, old.value, new.value)
    return replaced if replaced is not None and new in corpus.vocabulary.find(normalise(replaced)) else None


def drop_value(query: str, attribute: Attribute, corpus: Corpus) -> str | None:
    """Return the query without a value; None where nothing would be left or the value would still be read in it."""
    rest = replace_phrase(query, attribute.value, "")
    return rest if rest is not None and attribute not in corpus.vocabulary.find(normalise(rest)) else None


def append_phrase(query: str, phrase: str) -> str:
    """Return the query with a phrase behind it."""
    return f"{query.strip()} {phrase}"


def has_conditions(query: str) -> bool:
    """Say whether a query rules something out or names a quantity: then words must stay where they are."""
    normal = normalise(query)
    return bool(split_negation(normal).ruled_out or find_quantities(normal))

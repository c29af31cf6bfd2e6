"""The judged train pairs in the order they are mutated: a shuffle, with pairs of forgotten rules put forward.

What a model forgot when it was last trained it shall see more of: as long as there are such pairs, three of ten sources
are of that kind (METHODS: about 70% plain, 30% hard; a rule of thumb of the field, not a result of ours).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence, Set
from itertools import chain, zip_longest

import polars as pl

from curation.rules import Rule
from evolution.mutations.drawing import Source
from evolution.mutations.operators import Original
from evolution.rules.forgotten import voted_on
from storage.store import Store

HARD_OF_TEN = 3


def ordered_sources(
    judged: pl.DataFrame, seed: int, *, taken: Set[str], forgotten: Set[str] = frozenset()
) -> list[Source]:
    """Return the judged pairs that are not taken; `taken` and `forgotten` are pair ids."""
    sources = [
        Source(
            Original(row["pair_id"], row["query"], row["title"], row["body"], fields_of(row["fields"]), row["grade"]),
            row["query_id"],
            row["doc_id"],
            row["root_query_id"],
        )
        for row in judged.iter_rows(named=True)
        if row["pair_id"] not in taken
    ]
    random.Random(seed).shuffle(sources)
    hard = [one for one in sources if one.original.pair_id in forgotten]
    plain = [one for one in sources if one.original.pair_id not in forgotten]
    return list(_mixed(hard, plain))


def pairs_of(rules: Sequence[Rule], store: Store, *, judgments: str) -> set[str]:
    """Return the judged train pairs that any of the rules votes on."""
    if not rules:
        return set()
    features = store.frame("train_features", judgments=judgments)
    return set(features.filter(pl.Series(voted_on(rules, features)))["pair_id"])


def fields_of(text: str | None) -> dict[str, str]:
    """Return a doc's fields as words."""
    return {name: str(value) for name, value in json.loads(text or "{}").items()}


def _mixed(hard: Sequence[Source], plain: Sequence[Source]) -> Iterator[Source]:
    """Yield three and seven in turn, then what is left of either; all of one kind is yielded as it is."""
    tens = zip_longest(_parts(hard, HARD_OF_TEN), _parts(plain, 10 - HARD_OF_TEN), fillvalue=())
    return chain.from_iterable(chain(first, then) for first, then in tens)


def _parts(sources: Sequence[Source], n: int) -> Iterator[Sequence[Source]]:
    return (sources[start : start + n] for start in range(0, len(sources), n))

"""Which docs are judged for a query, and which split the query is in.

Pairs are chosen as a pool is: hits, near misses, accessories and strays in a believable mix. Every rare rule is drawn
for several queries and kept under 1% of the training pairs. A split is whole queries, and every rule has some in train.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from random import Random

from samples.homeware.catalogue import Doc
from samples.homeware.intents import Query
from samples.homeware.kinds import ACCESSORIES, SUBSTITUTES
from samples.homeware.truth import Verdict, decide, share

N_PAIRS = 3000
MOST_PAIRS_OF_A_RARE_RULE = 20
MOST_PAIRS_OF_A_RARE_RULE_IN_A_QUERY = 4
MOST_RARE_PAIRS_OF_A_QUERY = 6
FEWEST_PAIRS_OF_A_FREQUENT_RULE = 46
FEW_QUERIES = 24  # a frequent rule with so few queries takes its fair share from each of them
N_STRAYS = 12
UNDECIDED_RATE = 0.08
N_DEV_QUERIES, N_TEST_QUERIES = 20, 40


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a doc with their true grade. `rule_id` is None where no rule decides the grade."""

    query_id: str
    query: Query
    doc: Doc
    split: str
    grade: int
    rule_id: str | None
    verdict: Verdict


def pick_pairs(queries: Sequence[Query], docs: Sequence[Doc], *, seed: int) -> list[Pair]:
    """Return N_PAIRS pairs in query order, with split and truth."""
    draws = Random(f"pairs {seed}")
    sizes, counts = _sizes(len(queries), draws), Counter[str]()
    words = {doc.doc_id: frozenset({*doc.fields.values(), *doc.title.lower().split()}) for doc in docs}
    found = [_candidates(query, docs, words, draws) for query in queries]
    chosen: list[list[tuple[Doc, Verdict]]] = [[] for _ in queries]
    order = sorted(range(len(queries)), key=lambda place: share(seed, "rare first", place))
    rare = [[one for one in candidates if one[1].rule is not one[1].usual] for candidates in found]
    for _ in range(MOST_RARE_PAIRS_OF_A_QUERY):
        for place in order:
            own = Counter(verdict.rule.rule_id for _, verdict in chosen[place])
            open_ = [
                one
                for one in rare[place]
                if counts[one[1].rule.rule_id] < MOST_PAIRS_OF_A_RARE_RULE
                and own[one[1].rule.rule_id] < MOST_PAIRS_OF_A_RARE_RULE_IN_A_QUERY
            ]
            if open_:
                pick = min(open_, key=lambda one: (own[one[1].rule.rule_id], counts[one[1].rule.rule_id]))
                rare[place].remove(pick)
                chosen[place].append(pick)
                counts[pick[1].rule.rule_id] += 1
    usual = [[one for one in candidates if one[1].rule is one[1].usual] for candidates in found]
    supply = Counter(rule_id for candidates in usual for rule_id in {verdict.rule.rule_id for _, verdict in candidates})
    for place, size in enumerate(sizes):
        own = Counter[str]()
        for doc, verdict in usual[place]:
            rule_id = verdict.rule.rule_id
            fair_share = ceil(FEWEST_PAIRS_OF_A_FREQUENT_RULE / supply[rule_id])
            if supply[rule_id] <= FEW_QUERIES and own[rule_id] < fair_share and len(chosen[place]) < size - 3:
                chosen[place].append((doc, verdict))
                counts[rule_id] += 1
                own[rule_id] += 1
        _fill(chosen[place], found[place], size, counts)
    return _with_truth(queries, chosen, seed)


def _sizes(n_queries: int, draws: Random) -> list[int]:
    mean = N_PAIRS // n_queries
    sizes = [mean + draws.choice((-2, -1, 0, 1, 2)) for _ in range(n_queries)]
    while (excess := sum(sizes) - N_PAIRS) != 0:
        sizes[draws.randrange(n_queries)] -= 1 if excess > 0 else -1
    return sizes


def _candidates(
    query: Query, docs: Sequence[Doc], words: dict[str, frozenset[str]], draws: Random
) -> list[tuple[Doc, Verdict]]:
    """Return the docs a search would plausibly return for the query, shuffled, each with what decides it."""
    related = {query.kind} | {kind for kind, mains in ACCESSORIES.items() if query.kind in mains}
    related |= {kind for group in SUBSTITUTES if query.kind in group for kind in group}
    near = [doc for doc in docs if doc.kind in related]
    siblings = [doc for doc in docs if doc.category == query.category and doc.kind not in related]
    asked = frozenset({*query.wants.values(), *query.text.split()})
    far = [doc for doc in docs if doc.category != query.category and doc.kind not in related]
    look_alike = [doc for doc in far if not asked.isdisjoint(words[doc.doc_id])]
    strays = draws.sample(siblings, min(N_STRAYS, len(siblings))) + draws.sample(far, 3)
    strays += draws.sample(look_alike, min(N_STRAYS, len(look_alike)))
    candidates = list(dict.fromkeys(doc.doc_id for doc in (*near, *strays)))
    by_id = {doc.doc_id: doc for doc in (*near, *strays)}
    draws.shuffle(candidates)
    return [(by_id[doc_id], decide(query, by_id[doc_id])) for doc_id in candidates]


def _fill(chosen: list[tuple[Doc, Verdict]], found: list[tuple[Doc, Verdict]], size: int, counts: Counter[str]) -> None:
    """Add pairs of frequent rules until the query has its size: the grade most wanting, then the rule least used."""
    shares = {3: 0.30, 2: 0.25, 1: 0.22, 0: 0.23}
    taken = {doc.doc_id for doc, _ in chosen}
    free = [one for one in found if one[1].rule is one[1].usual and one[0].doc_id not in taken]
    while len(chosen) < size:
        grades = Counter(verdict.rule.grade for _, verdict in chosen)
        own = Counter(verdict.rule.rule_id for _, verdict in chosen)
        pick = min(
            free,
            key=lambda one: (
                (grades[one[1].rule.grade] + 0.5) / (size * shares[one[1].rule.grade]),
                own[one[1].rule.rule_id],
                counts[one[1].rule.rule_id],
            ),
        )
        free.remove(pick)
        chosen.append(pick)
        counts[pick[1].rule.rule_id] += 1


def _with_truth(queries: Sequence[Query], chosen: list[list[tuple[Doc, Verdict]]], seed: int) -> list[Pair]:
    splits = _split(chosen, seed)
    pairs = [
        Pair(f"q{place + 1:03}", queries[place], doc, splits[place], verdict.rule.grade, verdict.rule.rule_id, verdict)
        for place, docs in enumerate(chosen)
        for doc, verdict in sorted(docs, key=lambda one: one[0].doc_id)
    ]
    # No rule decides these: a grade of their own, fixed by a hash. Rare rules keep their few pairs.
    frequent = [place for place, pair in enumerate(pairs) if pair.verdict.rule is pair.verdict.usual]
    frequent.sort(key=lambda place: share(seed, "undecided", pairs[place].query_id, pairs[place].doc.doc_id))
    for place in frequent[: round(UNDECIDED_RATE * len(pairs))]:
        pair = pairs[place]
        grade = int(4 * share(seed, "own grade", pair.query_id, pair.doc.doc_id))
        pairs[place] = replace(pair, grade=grade, rule_id=None)
    return pairs


def _split(chosen: list[list[tuple[Doc, Verdict]]], seed: int) -> list[str]:
    """Return each query's split: test and dev cover as many rules as they can and leave each one a query in train."""
    rules = [{verdict.rule.rule_id for _, verdict in docs} for docs in chosen]
    left = Counter(rule_id for own in rules for rule_id in own)
    splits = ["train"] * len(chosen)
    for split, n_queries in (("test", N_TEST_QUERIES), ("dev", N_DEV_QUERIES)):
        seen: Counter[str] = Counter()
        for _ in range(n_queries):
            open_ = [
                place
                for place, own in enumerate(rules)
                if splits[place] == "train" and all(left[rule_id] > 1 for rule_id in own)
            ]
            pick = min(
                open_,
                key=lambda place: (-sum(not seen[rule_id] for rule_id in rules[place]), share(seed, split, place)),
            )
            splits[pick] = split
            for rule_id in rules[pick]:
                seen[rule_id] += 1
                left[rule_id] -= 1
    return splits

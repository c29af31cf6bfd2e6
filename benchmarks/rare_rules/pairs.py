"""The bundled shop at any size: its queries against docs drawn anew, each pair with the planted rule that decides it.

The sample itself keeps to 3,000 pairs and 20 of a rare rule. Here its generator draws docs for its 200 queries until
every rule has what is asked of it: hits, near misses one field off, accessories, stand-ins, neighbours and strays. No
two pairs have the same query and title. The planted rules alone decide; nobody's answer is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random

from samples.homeware import chinese, wording
from samples.homeware.assortment import KINDS
from samples.homeware.catalogue import Doc, draw_fields, variants
from samples.homeware.exceptions import RARE_RULES
from samples.homeware.intents import Query
from samples.homeware.kinds import ACCESSORIES, SUBSTITUTES, Kind
from samples.homeware.queries_chinese import CHINESE_QUERIES
from samples.homeware.queries_grocery import GROCERY_QUERIES
from samples.homeware.queries_home import HOME_QUERIES
from samples.homeware.rules import FREQUENT_RULES
from samples.homeware.truth import decide

HEADS = tuple(rule.rule_id for rule in FREQUENT_RULES)
RARE = tuple(rule.rule_id for rule in RARE_RULES)
GRADES: Mapping[str, int] = {rule.rule_id: rule.grade for rule in (*FREQUENT_RULES, *RARE_RULES)}
MAX_TURNS = 400  # over the queries; what a rule lacks after so many it cannot have


@dataclass(frozen=True, slots=True)
class ShopPair:
    """A query and a doc; `rule` decides its grade, `usual` is the head that holds (the same but for rare rules)."""

    query: str
    title: str
    fields: Mapping[str, str]
    rule: str
    usual: str

    @property
    def grade(self) -> int:
        """The true grade."""
        return GRADES[self.rule]


def rule_id(rule: str) -> str:
    """Return the id a planted rule is cited by: letters only, so that it costs a small tokenizer few tokens."""
    return "r_" + "".join("abcdef"[digit % 6] for digit in sha256(rule.encode()).digest()[:6])


def draw_pairs(wanted: Mapping[str, int], *, seed: int) -> dict[str, list[ShopPair]]:
    """Return as many pairs of each rule as are wanted of it; ValueError for a rule that cannot have so many.

    Queries take turns; once a rule has all its pairs, only queries that rules in want were found under are asked.
    """
    random = Random(f"rare rules {seed}")
    queries = [*HOME_QUERIES, *GROCERY_QUERIES, *CHINESE_QUERIES]
    held: dict[str, list[ShopPair]] = {rule: [] for rule in wanted}
    seen: set[tuple[str, str]] = set()
    found_under: dict[str, set[int]] = {rule: set() for rule in wanted}
    for turn in range(MAX_TURNS):
        lacking = {rule for rule, pairs in held.items() if len(pairs) < wanted[rule]}
        if not lacking:
            return held
        asked = range(len(queries)) if turn < 20 else sorted(set().union(*(found_under[rule] for rule in lacking)))
        for place in asked:
            for doc_kind, fixed, is_chinese in _docs_for(queries[place], random):
                pair = _judged(queries[place], doc_kind, fixed, random, is_chinese=is_chinese)
                if pair is None or pair.rule not in lacking or (pair.query, pair.title) in seen:
                    continue
                found_under[pair.rule].add(place)
                if len(held[pair.rule]) < wanted[pair.rule]:
                    seen.add((pair.query, pair.title))
                    held[pair.rule].append(pair)
    short = {rule: f"{len(pairs)} of {wanted[rule]}" for rule, pairs in held.items() if len(pairs) < wanted[rule]}
    if short:
        raise ValueError(f"the shop has not enough pairs under {short}")
    return held


Asked = tuple[Kind, Mapping[str, str | None], bool]


def _docs_for(query: Query, random: Random) -> Iterator[Asked]:
    """Yield what docs to draw: around the query, of related kinds with what they can have of it, and strays."""
    plant = next((f"{cue} drink" for cue in query.cues if f"{cue} drink" in KINDS), query.kind)
    for name in dict.fromkeys((plant, query.kind)):
        for fixed in variants(query, KINDS[name]):
            yield KINDS[name], fixed, query.is_chinese
        for is_chinese in (False, True):
            yield KINDS[name], _wanted_of(query, KINDS[name]), is_chinese
            yield KINDS[name], {}, is_chinese
    for name in _related(query.kind):
        for _ in range(2):
            yield KINDS[name], _wanted_of(query, KINDS[name]), query.is_chinese
            yield KINDS[name], {}, query.is_chinese
    same = [kind for kind in KINDS.values() if kind.category == query.category and kind.name != query.kind]
    for kind in [*random.sample(same, min(2, len(same))), *random.sample(list(KINDS.values()), 2)]:
        yield kind, _wanted_of(query, kind), query.is_chinese


def _related(name: str) -> list[str]:
    supplies = {kind for kind, mains in ACCESSORIES.items() if name in mains}
    return sorted((supplies | {kind for group in SUBSTITUTES if name in group for kind in group}) - {name})


def _wanted_of(query: Query, kind: Kind) -> dict[str, str | None]:
    return {field: value for field, value in query.wants.items() if field == "brand" or value in kind.values(field)}


def _judged(
    query: Query, kind: Kind, fixed: Mapping[str, str | None], random: Random, *, is_chinese: bool
) -> ShopPair | None:
    """Draw one doc and decide; None where the kind has no Chinese name."""
    if is_chinese and kind.name not in chinese.KINDS:
        return None
    fields = draw_fields(kind, dict(fixed), random, is_chinese=is_chinese)
    if is_chinese:
        written = wording.in_chinese(kind, fields)
        fields = {field: fields[field] for field in written}
        title, _ = wording.write_chinese(kind, written, random)
    else:
        written = fields
        title, _ = wording.write_english(kind, fields, random)
    verdict = decide(query, Doc("", kind.name, kind.category, is_chinese, fields, written, title, ""))
    return ShopPair(query.text, title, written, verdict.rule.rule_id, verdict.usual.rule_id)


def rare_shares() -> Sequence[float]:
    """Return the share of the rare mass each rare rule has: `1 / (place + 10)`, as in the study in small."""
    weights = [1 / (place + 10) for place in range(len(RARE))]
    return [weight / sum(weights) for weight in weights]


def count_of_each(n: int, rare_mass: float) -> dict[str, int]:
    """Return how many of n pairs fall under each rule: heads evenly, rare rules by `rare_shares`, none with less than 1
    where rare mass is asked for at all.
    """
    counts = {rule: round(n * (1 - rare_mass) / len(HEADS)) for rule in HEADS}
    least = 1 if rare_mass else 0
    return counts | {
        rule: max(least, round(n * rare_mass * share)) for rule, share in zip(RARE, rare_shares(), strict=True)
    }

"""The true grade of a pair and the rule that decides it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from samples.homeware.catalogue import Doc
from samples.homeware.exceptions import RARE_RULES
from samples.homeware.intents import Query
from samples.homeware.rules import FREQUENT_RULES, Rule

RULES: dict[str, Rule] = {rule.rule_id: rule for rule in (*FREQUENT_RULES, *RARE_RULES)}
_EXCEPTIONS: dict[str, tuple[Rule, ...]] = {
    rule.rule_id: tuple(rare for rare in RARE_RULES if rule.rule_id in rare.overrides) for rule in FREQUENT_RULES
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What decides a pair: `usual` is the frequent rule that holds, `rule` the one that decides (a rare one may)."""

    # `rule is usual` unless overridden.

    rule: Rule
    usual: Rule


def decide(query: Query, doc: Doc) -> Verdict:
    """Return the deciding rule: the first frequent rule that holds, or the first rare one that overrides it."""
    usual = next(rule for rule in FREQUENT_RULES if rule.holds(query, doc))
    rare = next((rule for rule in _EXCEPTIONS[usual.rule_id] if rule.holds(query, doc)), usual)
    return Verdict(rare, usual)


def share(*parts: object) -> float:
    """Return a fixed pseudo-random number in [0, 1) for these parts: the same on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64

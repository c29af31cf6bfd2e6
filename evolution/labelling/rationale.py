"""The lexical provider's reasons: a few words a step, built from features, so that a tiny model can learn them.

Every word is either afrel's own or a word of the pair, cleaned so that it can cite no rule and break no line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.completion import Step, one_line
from curation.text import join_bigrams
from storage.grades import Scale

MAX_INTENT_WORDS = 5
MAX_TITLE_CHARACTERS = 40
MAX_CITED = 2
CATEGORY_FIELDS = frozenset({"category", "type", "product_type", "product type", "kind", "genre", "类目", "品类"})
_MARKUP = re.compile(r"[\[\]<>{}|`]")


@dataclass(frozen=True, slots=True)
class VotingRule:
    """An approved rule that votes on a pair; `weight` is how much its vote speaks for its grade (log odds)."""

    rule_id: str
    text: str
    grade: int
    weight: float


def cited_rules(rules: Sequence[VotingRule], grade: int) -> tuple[VotingRule, ...]:
    """Return the rules to cite for a grade: those that vote it, the weightiest first, two at most."""
    backing = sorted((rule for rule in rules if rule.grade == grade), key=lambda rule: (-rule.weight, rule.rule_id))
    return tuple(backing[:MAX_CITED])


def write_rationale(
    features: Mapping[str, Any], *, title: str, grade: int, rules: Sequence[VotingRule], scale: Scale
) -> tuple[Step, ...]:
    """Write the steps for a grade from one `pair_features` row; about 40 words at most.

    The verdict begins with the grade's name. Rules are cited only where they vote for the grade.
    """
    steps = [
        Step("intent", _intent(features)),
        Step("document", _short(title) or "untitled"),
    ]
    if category := _category(features):
        steps.append(Step("category", category))
    steps.append(Step("attributes", _attributes(features)))
    if cited := cited_rules(rules, grade):
        steps.append(Step("rules", " ".join(f"[{rule.rule_id}]" for rule in cited)))
    steps.append(Step("verdict", f"{scale.name(grade)}: {_verdict(features, grade, scale)}"))
    return tuple(steps)


def _intent(features: Mapping[str, Any]) -> str:
    terms = [word for term in join_bigrams(features["query_terms"]) if (word := _clean(term))]
    wanted = " ".join(terms[:MAX_INTENT_WORDS]) or "no plain words"
    return f"{wanted}, something ruled out" if features["has_negation"] else wanted


def _category(features: Mapping[str, Any]) -> str | None:
    for name in features["matched_fields"]:
        if name in CATEGORY_FIELDS:
            return f"{_clean(name)} agrees"
    for name in features["conflicting_fields"]:
        if name in CATEGORY_FIELDS:
            return f"{_clean(name)} differs"
    return None


def _attributes(features: Mapping[str, Any]) -> str:
    parts = []
    if conflicting := _fields(features["conflicting_fields"]):
        parts.append(f"{conflicting} differs")
    if features["n_number_conflicts"]:
        parts.append("number differs")
    if features["n_negated_present"]:
        parts.append("has what is ruled out")
    if matched := _fields(features["matched_fields"]):
        parts.append(f"{matched} agrees")
    if features["n_number_matches"] and not features["n_number_conflicts"]:
        parts.append("number agrees")
    missing = [word for term in join_bigrams(features["missing_terms"]) if (word := _clean(term))]
    parts.append(f"lacks {', '.join(missing[:2])}" if missing else "all terms found")
    return "; ".join(parts[:3] if len(parts) <= 3 else [*parts[:2], parts[-1]])


def _verdict(features: Mapping[str, Any], grade: int, scale: Scale) -> str:
    is_broken = features["n_attribute_conflicts"] or features["n_number_conflicts"] or features["n_negated_present"]
    if grade == scale.highest:
        return "close enough despite a difference" if is_broken else "meets what is asked"
    if grade == scale.lowest and (_category(features) or "").endswith("differs"):
        return "another kind of thing"
    if is_broken:
        return "a constraint is broken"
    overlap = features["term_overlap"]
    if overlap >= 1.0:
        return "the words agree, with a reservation"
    return "most is covered" if overlap >= 2 / 3 else "some is covered" if overlap >= 1 / 3 else "little is covered"


def _fields(names: Sequence[str]) -> str:
    shown = [word for name in names if name not in CATEGORY_FIELDS and (word := _clean(name))]
    return ", ".join(shown[:2])


def _short(title: str) -> str:
    """Cut a title at a blank where it has one near enough."""
    text = _clean(title)
    if len(text) <= MAX_TITLE_CHARACTERS:
        return text
    whole = text[: MAX_TITLE_CHARACTERS + 1].rpartition(" ")[0].rstrip(" ,-·|")
    return whole if len(whole) >= MAX_TITLE_CHARACTERS // 2 else text[:MAX_TITLE_CHARACTERS].strip()


def _clean(text: str) -> str:
    return one_line(_MARKUP.sub(" ", text.replace("_", " ")))

"""Which queries, docs and rationales are nearly the same, asked by id; a pair is when its query and its doc are.

Texts come as sketches, so what was sketched before is not read again. Texts with equal token sets are one group, named
by the first of them; all else is said of groups, so that a thousand copies are asked about once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from curation.near_duplicates import find_similar
from curation.sketches import Sketches


@dataclass(frozen=True, slots=True)
class TextGroups:
    """Texts of one kind in groups of equals. `similar` maps a group that was asked about to {group: Jaccard}; a group
    is 1.0 like itself. A text that is not among them, or has no token, is a group of its own."""

    group_of: Mapping[str, str] = field(default_factory=dict)
    similar: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def group(self, text_id: str) -> str:
        """Return the group of a text."""
        return self.group_of.get(text_id, text_id)

    def like(self, text_id: str) -> Mapping[str, float]:
        """Return the groups similar to a text that was asked about, with their Jaccard overlap."""
        group = self.group(text_id)
        return self.similar.get(group) or {group: 1.0}


@dataclass(frozen=True, slots=True)
class Likeness:
    """Queries, docs and, by candidate, rationales in groups."""

    queries: TextGroups = field(default_factory=TextGroups)
    docs: TextGroups = field(default_factory=TextGroups)
    rationales: TextGroups = field(default_factory=TextGroups)


def group_texts(sketches: Sketches, asked_ids: Sequence[str], *, threshold: float) -> TextGroups:
    """Group texts and find for the asked ones which groups are similar."""
    row_of = {text_id: row for row, text_id in enumerate(sketches.ids)}
    asked = np.zeros(len(sketches), np.bool_)
    asked[[row_of[text_id] for text_id in asked_ids]] = True
    found = find_similar(sketches, asked=asked, threshold=threshold)
    has_token = sketches.sets.sizes > 0
    group_of = {
        text_id: sketches.ids[first]
        for text_id, first, is_grouped in zip(sketches.ids, found.first.tolist(), has_token.tolist(), strict=True)
        if is_grouped
    }
    similar: dict[str, dict[str, float]] = {}
    for earlier, later, score in zip(found.earlier.tolist(), found.later.tolist(), found.score.tolist(), strict=True):
        for one, other in ((sketches.ids[earlier], sketches.ids[later]), (sketches.ids[later], sketches.ids[earlier])):
            similar.setdefault(one, {one: 1.0})[other] = score
    return TextGroups(group_of, similar)

"""Tiers being edited: kept in the session until they are saved or discarded, whatever page is looked at meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from curation.tier_config import SavedTiers
from curation.tiers import Tier

KEY, VERSION_KEY = "tiers.draft", "tiers.version"


def _next_version() -> int:
    st.session_state[VERSION_KEY] = st.session_state.get(VERSION_KEY, 0) + 1
    return int(st.session_state[VERSION_KEY])


@dataclass(slots=True)
class Draft:
    """Tiers as edited, on top of what was saved when editing began. Each draft has fields of its own, by `version`."""

    saved: SavedTiers
    tiers: tuple[Tier, ...]
    begun: tuple[Tier, ...] = field(init=False)  # what its fields hold before anybody types
    version: int = field(default_factory=_next_version)

    def __post_init__(self) -> None:
        self.begun = self.tiers

    def key(self, name: str, tier: int) -> str:
        """Return the key of a tier's field."""
        return f"tiers.{name}.{tier}.{self.version}"

    def of(self, tiers: Sequence[Tier]) -> Draft:
        """Return the draft with other tiers, its fields filled anew."""
        return Draft(self.saved, tuple(tiers))

    def in_fields(self) -> Draft:
        """Return the draft whose fields hold its tiers: this one, or a new one where the page was left in between."""
        was_drawn = all(self.key("where", tier.tier) in st.session_state for tier in self.tiers)
        if was_drawn or self.tiers == self.begun:
            return self
        again = self.of(self.tiers)
        st.session_state[KEY] = again
        return again

    def with_tier(self, tier: Tier) -> Draft:
        """Return the draft with one more tier."""
        return self.of((*self.tiers, tier))

    def without(self, place: int) -> Draft:
        """Return the draft without a tier."""
        return self.of((*self.tiers[:place], *self.tiers[place + 1 :]))


def held_draft(saved: SavedTiers) -> Draft:
    """Return the tiers being edited; the saved ones when nothing was changed in them, also by others meanwhile."""
    held: Draft | None = st.session_state.get(KEY)
    if held is None or (held.saved.mark != saved.mark and held.tiers == held.saved.tiers):
        held = Draft(saved, saved.tiers)
        st.session_state[KEY] = held
    return held


def keep_draft(draft: Draft | None) -> None:
    """Go on with another draft; None begins anew from what is saved."""
    if draft is None:
        st.session_state.pop(KEY, None)
    else:
        st.session_state[KEY] = draft


def is_edited(saved: SavedTiers) -> bool:
    """Say whether this tab holds changes of the tiers that are not saved."""
    held: Draft | None = st.session_state.get(KEY)
    return held is not None and held.tiers != saved.tiers

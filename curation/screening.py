"""First screening: what a machine can tell is wrong with a candidate before a person looks at it.

Each screen is one function that says in its first line what it finds. Screens of a candidate by itself come first;
those that hold it against earlier ones see only candidates that passed, so nothing is set aside for the sake of
something that is set aside itself. A flag is told and passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from curation.boilerplate import screen_boilerplate
from curation.screening_config import ScreeningConfig
from curation.screening_context import FAILURE_SCHEMA, ScreeningContext
from curation.screens_form import (
    screen_implied_grade,
    screen_inapplicable_rule,
    screen_schema,
    screen_unapproved_rule,
    screen_unknown_rule,
)
from curation.screens_likeness import (
    flag_near_rationale,
    screen_exact_duplicate,
    screen_leak,
    screen_near_duplicate,
)
from curation.screens_text import flag_personal, screen_copied_prompt, screen_length

Find = Callable[[pl.DataFrame, ScreeningContext], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Screen:
    """One screen: what finds failures, and the settings of `[screening]` it goes by."""

    find: Find
    settings: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What it finds, in a line."""
        return (self.find.__doc__ or "").splitlines()[0]

    def thresholds(self, config: ScreeningConfig) -> Mapping[str, float | str | None]:
        """Return its settings as they are."""
        return {name: getattr(config, name) for name in self.settings}


SCREENS: dict[str, Screen] = {
    "schema": Screen(screen_schema),
    "unknown_rule": Screen(screen_unknown_rule),
    "unapproved_rule": Screen(screen_unapproved_rule),
    "inapplicable_rule": Screen(screen_inapplicable_rule),
    "implied_grade": Screen(screen_implied_grade),
    "copied_prompt": Screen(screen_copied_prompt, ("copied_prompt",)),
    "boilerplate": Screen(screen_boilerplate, ("boilerplate", "boilerplate_repeats")),
    "length": Screen(screen_length, ("max_tokens", "tokenizer")),
    "leak": Screen(screen_leak, ("leak",)),
}
AMONG_SOUND: dict[str, Screen] = {
    "exact_duplicate": Screen(screen_exact_duplicate),
    "near_duplicate": Screen(screen_near_duplicate, ("near_duplicate",)),
}
FLAGS: dict[str, Screen] = {
    "near_rationale": Screen(flag_near_rationale, ("near_duplicate",)),
    "personal": Screen(flag_personal),
}


@dataclass(frozen=True, slots=True)
class Screened:
    """What the screens found. `flags` are of candidates that passed; a candidate with no failure passed all."""

    failures: pl.DataFrame
    flags: pl.DataFrame


def screen_all(candidates: pl.DataFrame, context: ScreeningContext) -> Screened:
    """Run all screens over candidates in the order they were made."""
    failed = pl.concat(
        [pl.DataFrame(schema=FAILURE_SCHEMA), *(screen.find(candidates, context) for screen in SCREENS.values())]
    )
    sound = candidates.join(failed, on="candidate_id", how="anti", maintain_order="left")
    failed = pl.concat([failed, *(screen.find(sound, context) for screen in AMONG_SOUND.values())])
    passed = candidates.join(failed, on="candidate_id", how="anti", maintain_order="left")
    flags = pl.concat([screen.find(passed, context) for screen in FLAGS.values()])
    return Screened(failed, flags)

"""Whether an edited instruction is taken: tried on train, then on dev, against its parent on the very same pairs.

It is taken when its objective (quality less length) is above its parent's on train and on dev, and no slice of the
judgments is surely worse (`gate`). Train comes first, because what fails there need not be paid for on dev. Pairs that
either text quotes are left out, and so are pairs that either failed to label; a text under which labels fail more often
is turned away. So is any until one has changed a label: to a labeller that does not read the instruction the shortest
would be the best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evolution.instructions.gate import changes, regressions
from evolution.instructions.ground import MAX_CHARACTERS, Ground
from evolution.instructions.scores import UNLABELLED, Gain, Ints, Mask, gain, objective
from evolution.instructions.situation import Errors, Version

if TYPE_CHECKING:
    from evolution.instructions.marking import Marker, Marks

MAX_MORE_FAILED = 0.05  # of the pairs asked, over the parent
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Contender:
    """An instruction with its labels: `said` runs parallel to the ground's pairs."""

    version: Version
    said: Ints
    failed_rate: float
    errors: Errors
    objective: float  # on dev


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided of an edit, and why; `said` are the labels it was tried with, none where it was not tried."""

    is_accepted: bool
    reason: str
    gain: Gain | None = None
    said: Ints | None = None
    contender: Contender | None = None


class Trials:
    """Tries edits one after another. `known` are the ids of all texts that were tried or held before."""

    def __init__(self, ground: Ground, marker: Marker, tell: Tell, known: set[str]) -> None:
        self._ground, self._marker, self._tell, self._known = ground, marker, tell, known
        self._is_read = False  # whether another text has ever changed a label

    def first(self, version: Version) -> Contender:
        """Label all scored pairs under the instruction that everything begins with."""
        marks = self._mark(version.text, self._ground.pair_ids, "the instruction in force", is_probed=False)
        self._known.add(version.instruction_id)
        return self._contender(version, marks)

    def fault_of(self, text: str) -> str | None:
        """Return why a text is not worth trying, None when it is."""
        if Version(text, 0).instruction_id in self._known:
            return f"it is {Version(text, 0).instruction_id}, which was there before"
        if len(text) > MAX_CHARACTERS:
            return f"{len(text):,} characters; at most {MAX_CHARACTERS:,} are tried"
        return None

    def judge(self, parent: Contender, child: Version, operator: str) -> Verdict:
        """Try an edit."""
        ground = self._ground
        self._known.add(child.instruction_id)
        rows = ground.unquoted(parent.version.text, child.text)
        marks = self._mark(child.text, ground.ids_of(dev=False), f"{operator}: train", is_probed=True)
        verdict = self._against(parent, child, marks, rows & ~ground.is_dev, "train")
        if verdict is not None:
            return verdict
        marks = self._mark(child.text, ground.ids_of(dev=True), f"{operator}: dev", is_probed=False)
        verdict = self._against(parent, child, marks, rows & ground.is_dev, "dev", also=rows)
        if verdict is not None:
            return verdict
        said = marks.places(ground.pair_ids, ground.scale)
        rise = self._gain(parent, child, said, rows & ground.is_dev)
        assert rise is not None
        sure = "surely" if rise.is_sure else "not surely more than chance"
        reason = (
            f"dev objective {rise.value:+.3f} ({rise.low:+.3f} to {rise.high:+.3f}, {sure}; n={rise.n}); "
            f"none of {len(ground.gated)} slices regresses"
        )
        return Verdict(True, reason, rise, said, self._contender(child, marks))

    def _against(
        self, parent: Contender, child: Version, marks: Marks, rows: Mask, split: str, also: Mask | None = None
    ) -> Verdict | None:
        """Return why an edit fails on a split, None when it does not. The gate looks at `also`, if given."""
        ground = self._ground
        said = marks.places(ground.pair_ids, ground.scale)
        if marks.fault is not None:
            return Verdict(False, marks.fault, said=said)
        if marks.failed_rate > parent.failed_rate + MAX_MORE_FAILED:
            told = f"labels fail more often under it: {marks.failed_rate:.0%}, {parent.failed_rate:.0%} before"
            return Verdict(False, told, said=said)
        rise = self._gain(parent, child, said, rows)
        on_dev = rise if split == "dev" else None
        if rise is None:
            return Verdict(False, f"no {split} pair was labelled under both", said=said)
        if why_not := self._no_better(parent, said, rows, rise, split):
            return Verdict(False, why_not, on_dev, said)
        seen = changes(ground.gated, ground.truth.places, parent.said, said, rows if also is None else also)
        if worse := regressions(seen):
            more = f", and {len(worse) - 1} more" if len(worse) > 1 else ""
            told = f"replay gate: {worse[0].told()}{more}; objective {rise.value:+.3f} on {split}"
            return Verdict(False, told, on_dev, said)
        return None

    def _no_better(self, parent: Contender, said: Ints, rows: Mask, rise: Gain, split: str) -> str | None:
        shared = rows & (said != UNLABELLED) & (parent.said != UNLABELLED)
        self._is_read |= bool((said != parent.said)[shared].any())
        if not self._is_read:
            return (
                f"nothing was labelled otherwise on {rise.n} {split} pairs, under this edit or one before it: "
                "as far as is seen the labeller does not read the instruction"
            )
        if rise.value <= 0:
            return (
                f"no better on {split}: objective {rise.value:+.3f} ({rise.low:+.3f} to {rise.high:+.3f}, n={rise.n})"
            )
        return None

    def _gain(self, parent: Contender, child: Version, said: Ints, rows: Mask) -> Gain | None:
        before, after = len(parent.version.text), len(child.text)
        drawn = rows & self._ground.is_drawn
        return gain(self._ground.truth, parent.said, said, drawn, n_parent=before, n_child=after)

    def _contender(self, version: Version, marks: Marks) -> Contender:
        ground = self._ground
        said = marks.places(ground.pair_ids, ground.scale)
        rows = ground.is_dev & ground.is_drawn & ground.unquoted(version.text)
        train = set(ground.ids_of(dev=False))
        errors = Errors(ground.train, {one: grade for one, grade in sorted(marks.grades.items()) if one in train})
        worth = objective(ground.truth, said, rows, len(version.text))
        return Contender(version, said, marks.failed_rate, errors, worth)

    def _mark(self, text: str, pair_ids: list[str], what: str, *, is_probed: bool) -> Marks:
        return self._marker.mark(
            text, pair_ids, is_probed=is_probed, tell=lambda done, total: self._tell(what, done, total)
        )

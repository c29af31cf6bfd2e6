"""Labels the judged pairs under one instruction after another: paid once, kept with the calls, no candidates made.

The requests are those of `afrel label`, so a pair that was labelled under the instruction in force is not asked again,
and a second run asks for nothing. Under a new instruction a few pairs are asked first: a text under which the model
gives no usable label is found out by them, not by a run that fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evolution.calls.failure_watch import kind_of
from evolution.instructions.desk import Desk, ServedRole
from evolution.instructions.scores import UNLABELLED, Ints
from evolution.labelling.request import LabelMaterial, UnusableReplyError, read_label
from evolution.labelling.run import asks_of
from storage.grades import Scale

N_PROBED = 8
MAX_FAILED_RATE = 0.5  # of the probed pairs, and of all: from there an instruction is no basis for a comparison


@dataclass(slots=True)
class Marks:
    """The grades labelling under an instruction gave, by pair, and why pairs have none."""

    grades: dict[str, int] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def n_failed(self) -> int:
        """Pairs asked about in vain."""
        return sum(self.failures.values())

    @property
    def failed_rate(self) -> float:
        """The share of the pairs asked about that was in vain."""
        return self.n_failed / max(1, len(self.grades) + self.n_failed)

    @property
    def fault(self) -> str | None:
        """Why these labels are nothing to go by; None when they are."""
        if self.failed_rate <= MAX_FAILED_RATE:
            return None
        ((reason, _),) = self.failures.most_common(1)
        n = len(self.grades) + self.n_failed
        return f"{self.n_failed} of {n} pairs could not be labelled under it, most: {reason}"

    def places(self, pair_ids: Sequence[str], scale: Scale) -> Ints:
        """Return the grades of pairs as places on the scale, in order; `UNLABELLED` without one."""
        at = {grade: place for place, grade in enumerate(scale.values)}
        found = (self.grades.get(one) for one in pair_ids)
        return np.array([UNLABELLED if grade is None else at[grade] for grade in found], np.intp)


class Marker:
    """Labels under instructions with one model. `materials`: what is known of each pair, by its id."""

    def __init__(self, desk: Desk, role: ServedRole, materials: Mapping[str, LabelMaterial], scale: Scale) -> None:
        self._desk, self._role, self._materials, self._scale = desk, role, materials, scale
        self._marks: dict[str, Marks] = {}

    def mark(self, text: str, pair_ids: Sequence[str], *, is_probed: bool, tell: Callable[[int, int], None]) -> Marks:
        """Label the pairs under an instruction; return all that was labelled under it so far.

        `is_probed`: stop after the first few when most of them fail. `tell` takes how many are done, and of how many.
        """
        marks = self._marks.setdefault(text, Marks())
        todo = [one for one in pair_ids if one not in marks.grades]
        n_told = 0

        def count() -> None:
            nonlocal n_told
            n_told += 1
            tell(n_told, len(todo))

        first = N_PROBED if is_probed else 0
        for part in (todo[:first], todo[first:]):
            if part and (first == 0 or marks.fault is None):
                self._label(text, part, marks, count)
        return marks

    def _label(self, text: str, pair_ids: Sequence[str], marks: Marks, count: Callable[[], None]) -> None:
        form = self._role.label_form(text, self._scale)
        asks = asks_of((self._materials[one] for one in pair_ids), form)
        for material, answer in self._desk.ask_all(asks, self._role, count):
            if answer.text is None:
                marks.failures[kind_of(answer.failure or "")] += 1
                continue
            try:
                marks.grades[material.pair_id] = read_label(answer.text, material).completion.grade
            except UnusableReplyError as error:
                marks.failures[kind_of(str(error))] += 1

"""The task of the mode-collapse study: head rules everybody meets, and rare rules that are exceptions overriding one.

A pair is 12 tokens: a query (its head, an attribute, noise, in any order), a doc (an attribute, perhaps a trigger,
noise, in any order), the cue. The head says which grade a doc with the same attribute gets and which any other. A rare
rule is a head together with one trigger: it overrides both with a third grade. A trigger without its head means
nothing, and half of all ordinary docs carry such a one, so an exception is known by the two together only. An expert's
trace is four tokens, answer first: the grade, the rule that decides, the grade restated, the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

N_GRADES, N_HEADS, N_RARE_PER_HEAD, N_TRIGGERS, N_ATTRIBUTES, N_NOISE = 4, 20, 3, 30, 5, 60
N_RARE = N_HEADS * N_RARE_PER_HEAD
N_RULES = N_HEADS + N_RARE  # rules 0..19 are heads, 20..79 rare ones, the most frequent first
END, CUE, BREAK = N_GRADES, N_GRADES + 1, N_GRADES + 2  # tokens 0..3 are the grades
FIRST_RULE = BREAK + 1
FIRST_HEAD = FIRST_RULE + N_RULES
FIRST_ATTRIBUTE = FIRST_HEAD + N_HEADS
FIRST_TRIGGER = FIRST_ATTRIBUTE + N_ATTRIBUTES
FIRST_NOISE = FIRST_TRIGGER + N_TRIGGERS
VOCABULARY = FIRST_NOISE + N_NOISE
PROMPT_LENGTH, TRACE_LENGTH = 12, 4
SFT_RARE_MASS = 0.12
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """n pairs. prompts (n, 12); grade and rule (n,): the truth; head_grade and head_rule: what the head alone says."""

    prompts: torch.Tensor
    grade: torch.Tensor
    rule: torch.Tensor
    head_grade: torch.Tensor
    head_rule: torch.Tensor

    def __len__(self) -> int:
        return len(self.grade)

    def take(self, places: Ints | torch.Tensor | slice) -> Pairs:
        """Return the pairs at some places."""
        return Pairs(*(getattr(self, name)[places] for name in self.__slots__))

    def traces(self) -> torch.Tensor:
        """Return the expert's traces (n, 4)."""
        return torch.stack([self.grade, FIRST_RULE + self.rule, self.grade, torch.full_like(self.grade, END)], dim=1)


class Task:
    """The rules of one seed. `trigger`, `rare_grade` and `head_of` (60,) run parallel to the rare rules.

    Rare rules share the rare mass by `1 / (place + 10)`, so that the first is seven times as frequent as the last.
    """

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng([seed, 11])
        self.grade_if_same = random.integers(2, 4, N_HEADS)  # 2 or 3
        self.grade_if_not = random.integers(0, 2, N_HEADS)  # 0 or 1
        self.head_of = random.permutation(np.repeat(np.arange(N_HEADS), N_RARE_PER_HEAD))
        triggers = [random.permutation(N_TRIGGERS)[:N_RARE_PER_HEAD] for _ in range(N_HEADS)]
        n_used = [0] * N_HEADS
        self.trigger = np.zeros(N_RARE, dtype=np.int64)
        self.rare_grade = np.zeros(N_RARE, dtype=np.int64)
        self.triggers_of = np.zeros((N_HEADS, N_TRIGGERS), dtype=bool)
        for rare, head in enumerate(self.head_of):
            self.trigger[rare] = triggers[head][n_used[head]]
            n_used[head] += 1
            self.triggers_of[head, self.trigger[rare]] = True
            others = [g for g in range(N_GRADES) if g not in (self.grade_if_same[head], self.grade_if_not[head])]
            self.rare_grade[rare] = random.choice(others)
        weights = 1 / (np.arange(N_RARE) + 10)
        self.rare_shares = weights / weights.sum()

    def draw(self, n: int, rare_mass: float, random: np.random.Generator) -> Pairs:
        """Return n pairs, of which a share of `rare_mass` (in expectation) fall under a rare rule."""
        rare = random.choice(N_RARE, n, p=self.rare_shares)
        return self._make(np.where(random.random(n) < rare_mass, rare, -1), random.integers(0, N_HEADS, n), random)

    def draw_of_each(self, n_each: int, random: np.random.Generator) -> Pairs:
        """Return `n_each` pairs of every rare rule, in the order of the rules."""
        rare = np.repeat(np.arange(N_RARE), n_each)
        return self._make(rare, np.zeros(len(rare), dtype=np.int64), random)

    def _make(self, rare: Ints, head: Ints, random: np.random.Generator) -> Pairs:
        """Write pairs: under rare rule `rare` where that is not -1, else under `head` alone."""
        n = len(rare)
        is_rare = rare >= 0
        head = np.where(is_rare, self.head_of[rare], head)
        asked = random.integers(0, N_ATTRIBUTES, n)
        is_same = random.random(n) < 0.5
        found = np.where(is_same, asked, (asked + random.integers(1, N_ATTRIBUTES, n)) % N_ATTRIBUTES)
        idle = self._idle_triggers(head, random)
        noise = random.integers(0, N_NOISE, (n, 7)) + FIRST_NOISE
        has_trigger = is_rare | (random.random(n) < 0.5)
        trigger = np.where(has_trigger, FIRST_TRIGGER + np.where(is_rare, self.trigger[rare], idle), noise[:, 6])
        query = np.stack([FIRST_HEAD + head, FIRST_ATTRIBUTE + asked, noise[:, 0], noise[:, 1]], axis=1)
        doc = np.stack([FIRST_ATTRIBUTE + found, trigger, *noise[:, 2:6].T], axis=1)
        ends = np.full((n, 1), BREAK), np.full((n, 1), CUE)
        prompts = np.concatenate(
            [random.permuted(query, axis=1), ends[0], random.permuted(doc, axis=1), ends[1]], axis=1
        )
        by_head = np.where(is_same, self.grade_if_same[head], self.grade_if_not[head])
        columns = (
            prompts,
            np.where(is_rare, self.rare_grade[rare], by_head),
            np.where(is_rare, N_HEADS + rare, head),
            by_head,
            head,
        )
        return Pairs(*(torch.from_numpy(np.ascontiguousarray(column)).long() for column in columns))

    def _idle_triggers(self, head: Ints, random: np.random.Generator) -> Ints:
        """Return for each pair a trigger that its head has no exception for."""
        ranks = random.random((len(head), N_TRIGGERS)) - self.triggers_of[head]
        idle: Ints = ranks.argmax(axis=1)
        return idle

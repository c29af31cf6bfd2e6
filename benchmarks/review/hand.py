"""The cards a reviewer without a browser holds, by the rules of review_app/card/queue.js: it claims as a page does."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Any

Cards = Sequence[dict[str, Any]]

LEAST, MOST = 12, 300  # cards on hand
REFILL_AT = 0.7  # of the hand
URGENT = LEAST // 2
GULP = 48  # cards of a claim
AFTER_FIRST_GULP, BETWEEN_GULPS = (0.0, 10.0), (10.0, 30.0)  # seconds
OFFLINE_SECONDS = 600.0  # that the hand is to last
FIRST_PACE = 8.0  # seconds a card is taken to cost before the first is answered
N_REMEMBERED = 50  # cards whose seconds tell the pace


class Hand:
    """Cards on hand, and when how many more are due."""

    def __init__(self, rng: random.Random) -> None:
        self.cards: deque[dict[str, Any]] = deque()
        self.seen: set[str] = set()  # pairs it was given
        self.n_given_again = 0
        self._n_waiting = 50
        self._seconds: deque[float] = deque(maxlen=N_REMEMBERED)
        self._next_gulp_at = 0.0
        self._rng = rng

    def take(self, seconds: float) -> dict[str, Any] | None:
        """Return the next card, None when there is none; the one before took so many seconds."""
        if not self.cards:
            return None
        self._seconds.append(seconds)
        return self.cards.popleft()

    def begin(self) -> None:
        """Count the time to the second gulp from now: the work begins."""
        self._next_gulp_at = time.monotonic() + self._rng.uniform(*AFTER_FIRST_GULP)

    @property
    def n_due(self) -> int:
        """Cards to claim now; 0 when it is not time."""
        has_few = len(self.cards) < URGENT
        is_time = time.monotonic() > self._next_gulp_at
        if len(self.cards) >= REFILL_AT * self._target or not (has_few or is_time):
            return 0
        return max(1, min(GULP, self._target - len(self.cards)))

    def fill(self, cards: Cards, n_waiting: int) -> None:
        """Take in what a claim gave."""
        self.n_given_again += sum(card["pair_id"] in self.seen for card in cards)
        self.seen.update(card["pair_id"] for card in cards)
        between = BETWEEN_GULPS if self.cards else AFTER_FIRST_GULP
        self._next_gulp_at = time.monotonic() + self._rng.uniform(*between)
        self.cards.extend(cards)
        self._n_waiting = n_waiting

    @property
    def _target(self) -> int:
        pace = max(1.0, median(self._seconds)) if self._seconds else FIRST_PACE
        fair = max(LEAST, self._n_waiting // 10)
        return max(LEAST, min(MOST, int(OFFLINE_SECONDS / pace), fair))

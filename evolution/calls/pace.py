"""How many calls may be under way: doubled round by round at first, then raised by a step, halved at a refusal.

AIMD as in TCP: a round is as many replies as the limit allows at once. A refusal or a breakdown halves the limit, once
for all requests that were under way together; while nothing gets through, the level to come back to stays what it was,
so that a server that was away for a minute is at full use a few rounds later, not at one call at a time. Where a higher
limit only made the replies slower in proportion, nothing was won, and the limit goes back. Pure: times come in.
"""

from __future__ import annotations

import random

FIRST_LIMIT = 16
N_STEPS = 32  # raises from nothing to the ceiling, past the level of the last trouble
PROBE_GROWTH = 1.5  # of the limit, between two looks at what it did to the time of a reply
NO_GAIN = 0.9  # of the limit's growth, in the time of a reply: the server is saturated
PAUSE_ROUNDS = 16  # without a raise, after a raise that won nothing
MIN_ROUND = 8  # replies, before their mean time says something
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 8.0


class Pace:
    """The limit of calls under way, between 1 and `ceiling`."""

    def __init__(self, ceiling: int) -> None:
        self._ceiling = float(ceiling)
        self.limit = min(self._ceiling, float(FIRST_LIMIT))
        self._comeback = self._ceiling  # up to here the limit doubles in a round
        self._cut_at = float("-inf")
        self._n_since_cut = 0
        self._held_until = float("-inf")
        self._round_seconds, self._n_round, self._round_limit = 0.0, 0, self.limit
        self._reference: tuple[float, float] | None = None  # a limit, and the mean time of a reply at it
        self._n_paused = 0

    def n_free(self, n_under_way: int, at: float) -> int:
        """Return how many more calls may start now."""
        return 0 if at < self._held_until else max(0, int(self.limit) - n_under_way)

    def seconds_held(self, at: float) -> float:
        """Return how long no call may start, whatever the limit."""
        return max(0.0, self._held_until - at)

    def hold(self, seconds: float, at: float) -> None:
        """Let no call start for a while."""
        self._held_until = max(self._held_until, at + seconds)

    def note_reply(self, seconds: float, *, n_under_way: int) -> None:
        """Learn that a call was answered, after so long, while so many were under way."""
        self._n_since_cut += 1
        if not self._n_round:
            self._round_limit = self.limit
        self._round_seconds += seconds
        self._n_round += 1
        if n_under_way >= 0.75 * self._round_limit:  # a limit that is not used has shown nothing
            self._raise()
        if self._n_round >= max(MIN_ROUND, self._round_limit):
            self._end_round()

    def note_trouble(self, *, sent_at: float, at: float) -> None:
        """Learn that a call was refused or broke down; what was sent before the last cut tells nothing new."""
        if sent_at < self._cut_at:
            return
        if self._n_since_cut:
            self._comeback = max(1.0, self.limit / 2)
        self.limit = max(1.0, self.limit / 2)
        self._cut_at, self._n_since_cut, self._n_paused = at, 0, 0
        self._round_seconds, self._n_round, self._reference = 0.0, 0, None

    def _raise(self) -> None:
        if self._n_paused:
            return
        step = 1.0 if self.limit < self._comeback else max(1.0, self._ceiling / N_STEPS) / self.limit
        self.limit = min(self._ceiling, self.limit + step)

    def _end_round(self) -> None:
        mean = self._round_seconds / self._n_round
        self._round_seconds, self._n_round = 0.0, 0
        self._n_paused = max(0, self._n_paused - 1)
        if self._reference is None:
            self._reference = (self._round_limit, mean)
            return
        limit, before = self._reference
        growth = self._round_limit / limit
        if growth < PROBE_GROWTH:
            return
        self._reference = (self._round_limit, mean)
        if mean >= NO_GAIN * growth * before:
            self.limit = self._comeback = limit
            self._n_paused, self._reference = PAUSE_ROUNDS, None


def backoff_seconds(n_before: int, wanted: float | None, chance: random.Random) -> float:
    """Return how long to wait before asking again: what the server wants, else twice as long each time, jittered."""
    if wanted is not None:
        return wanted * (1 + 0.1 * chance.random())
    return min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0**n_before) * (1 - 0.25 * chance.random())

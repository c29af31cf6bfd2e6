"""The `[pool]` table of `afrel.toml`: how many docs of each kind a query gets, and where they are looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from curation.config_tables import raise_mistakes

_COUNTS = ("top", "per_stratum", "hard", "hard_depth")


@dataclass(frozen=True, slots=True)
class Stratum:
    """A range of ranks, first and last included."""

    first: int
    last: int

    @property
    def source(self) -> str:
        return f"pool:ranks {self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """What a query gets: the `top` best, `per_stratum` drawn from each stratum, `hard` negatives.

    `strata` are last ranks: 30, 100 stands for 11–30 and 31–100 where `top` is 10. Hard negatives are looked for down
    to rank `hard_depth`. A doc that shares this share of its words with one a query has is no news to it
    (`near_duplicate`, Jaccard).
    """

    top: int = 10
    strata: tuple[int, ...] = (30, 100, 300)
    per_stratum: int = 2
    hard: int = 4
    hard_depth: int = 50
    near_duplicate: float = 0.7

    @property
    def per_query(self) -> int:
        """How many docs a query gets unless told otherwise."""
        return self.top + self.per_stratum * len(self.strata) + self.hard

    @property
    def depth(self) -> int:
        """Down to which rank docs are looked at."""
        return max(self.top, self.hard_depth, *self.strata, 1)

    def ranges(self) -> tuple[Stratum, ...]:
        """Return the strata as ranges of ranks."""
        firsts = (self.top, *self.strata)
        return tuple(Stratum(first + 1, last) for first, last in zip(firsts, self.strata, strict=False))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def checked_pool(table: object) -> PoolConfig:
    """Return the `[pool]` table of `afrel.toml`; UserError names every mistake in it."""
    if not isinstance(table, Mapping):
        raise_mistakes(["pool must be a table, under a line [pool]"])
        return PoolConfig()
    known = asdict(PoolConfig())
    mistakes = [f"[pool]: unknown key {key!r}; known are {', '.join(known)}" for key in table if key not in known]
    for key in _COUNTS:
        if key in table and (type(table[key]) is not int or table[key] < 0):
            mistakes.append(f"[pool]: {key} = {table[key]!r} is not a whole number from 0 on")
    mistakes += _strata_mistakes(table.get("strata", known["strata"]), table.get("top", known["top"]))
    near = table.get("near_duplicate", known["near_duplicate"])
    if type(near) not in (int, float) or not 0 < near <= 1:
        mistakes.append(f"[pool]: near_duplicate = {near!r} is not a share above 0 and up to 1")
    raise_mistakes(mistakes)
    given: dict[str, Any] = {key: tuple(value) if key == "strata" else value for key, value in table.items()}
    config = PoolConfig(**given)
    if config.per_query < 1:
        raise_mistakes(["[pool]: top, per_stratum and hard are all 0, so no query gets anything"])
    return config


def _strata_mistakes(strata: object, top: object) -> list[str]:
    if not isinstance(strata, list | tuple) or not all(type(last) is int for last in strata):
        return [f"[pool]: strata = {strata!r} is not a list of last ranks, as in [30, 100, 300]"]
    firsts = [top if type(top) is int else 0, *strata]
    if any(last <= first for first, last in zip(firsts, strata, strict=False)):
        return [f"[pool]: strata = {list(strata)} must rise, from above top = {top!r}"]
    return []

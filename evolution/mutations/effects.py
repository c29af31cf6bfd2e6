"""What a mutation declares of the grade, as a statement that is true or false of a grade before and one after.

The verifier holds the statement against grades it expects, with a margin; where the truth is known, a benchmark holds
the same statement against true grades, without one.
"""

from __future__ import annotations

from enum import StrEnum

from storage.grades import Scale


class Effect(StrEnum):
    """What happens to the grade. `LOWER` and `RAISE` may have a bound; `TO` names the grade."""

    KEEP = "keep"
    RAISE = "raise"
    LOWER = "lower"
    TO = "to"
    AT_MOST = "at_most"  # what it was, or lower
    AT_LEAST = "at_least"  # what it was, or higher


def holds(
    effect: Effect, *, before: float, after: float, bound: int | None = None, margin: float = 0.0, slack: float = 0.0
) -> bool:
    """Say whether an effect is true of two grades.

    `margin` is how far a grade must move to have moved, `slack` how near it must come to `bound`; both 0 for true
    grades.
    """
    moved = after - before
    if effect is Effect.TO:
        return bound is not None and abs(after - bound) <= slack
    if effect is Effect.LOWER:
        return moved < 0 and -moved >= margin and (bound is None or after <= bound + slack)
    if effect is Effect.RAISE:
        return moved > 0 and moved >= margin and (bound is None or after >= bound - slack)
    if effect is Effect.AT_MOST:
        return moved <= margin
    if effect is Effect.AT_LEAST:
        return -moved <= margin
    return abs(moved) <= margin


def has_room(effect: Effect, grade: int, scale: Scale, *, bound: int | None = None) -> bool:
    """Say whether an effect can be true of a pair of this grade: nothing falls below the lowest grade."""
    if effect is Effect.LOWER:
        return grade > scale.lowest and (bound is None or bound >= scale.lowest)
    if effect is Effect.RAISE:
        return grade < scale.highest and (bound is None or bound <= scale.highest)
    return effect is not Effect.TO or (bound is not None and bound in scale)


def say_effect(effect: Effect, bound: int | None) -> str:
    """Return an effect as it is written to a person: `lower to at most 1`."""
    if bound is None:
        return str(effect).replace("_", " ")
    joint = {Effect.LOWER: "lower to at most", Effect.RAISE: "raise to at least"}.get(effect, str(effect))
    return f"{joint} {bound}"


def fall(grade: int, scale: Scale, *, bound: int | None = None) -> tuple[Effect, int | None]:
    """Return what asking for something the doc has not does to its grade, and the bound of that.

    A pair of the highest grade falls for sure. One below it broke something already, and one fault more may cost
    nothing: it does not rise. Where the fault is so grave that it has a bound, what stood above it falls.
    """
    if grade == scale.highest or (bound is not None and grade > bound):
        return Effect.LOWER, bound
    return Effect.AT_MOST, None


def low_bound(scale: Scale) -> int:
    """Return the highest grade that still says `not what was asked`: the lowest, on four grades or more the next."""
    return scale.values[1] if len(scale.values) > 3 else scale.lowest

"""The colours of grades: one ramp of blues, light to dark, that of the card (`card/card.css`), in both themes."""

from __future__ import annotations

# ground and the ink that is read on it
RAMP = (
    ("#eaf1f8", "#14293d"),
    ("#cfe0f0", "#14293d"),
    ("#aecbe6", "#14293d"),
    ("#7faad0", "#0d1c2b"),
    ("#3f72a3", "#ffffff"),
    ("#1d4b78", "#ffffff"),
)


def ramp_step(place: int, n_grades: int) -> int:
    """Return the step of the ramp of the grade at a place of a scale."""
    last = len(RAMP) - 1
    return last if n_grades < 2 else int(place / (n_grades - 1) * last + 0.5)


def ramp_of(n_grades: int) -> list[tuple[str, str]]:
    """Return ground and ink of each grade of a scale."""
    return [RAMP[ramp_step(place, n_grades)] for place in range(n_grades)]

"""Which part of a completion a token belongs to: the grade, the format around the reasons, or one labelled step.

The parts are the columns of `verdicts` and the values of `segments`. That labels, line breaks and the end of text form
a part of their own, called format, is our reconstruction: what is known of CORE (Meituan, 2026) only names the groups
grade token, each reasoning step, format.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from curation.completion import STEP_LABELS

NOWHERE = -1  # padding: no part, carries nothing
GRADE = 0
FORMAT = 1
N_PARTS = 2 + len(STEP_LABELS)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # as the parser cuts; str.splitlines cuts at more than line feeds


def step_part(label: str) -> int:
    """Return the part of a labelled step; ValueError for an unknown label."""
    return 2 + STEP_LABELS.index(label)


def segment_tokens(text: str, ends: Sequence[int]) -> list[int]:
    """Return the part of each token of a completion.

    ends: where each token ends in `text`, in characters, ascending; an end-of-text token has no characters and ends
    where the one before it does. A token belongs where its first character that is no blank stands; a token of blanks
    or of nothing is format. A line that is no labelled step is format as a whole, so a broken completion is judged by
    its format there.
    """
    of_character = _character_parts(text)
    segments, start = [], 0
    for end in ends:
        visible = next((at for at in range(start, min(end, len(text))) if not text[at].isspace()), None)
        segments.append(FORMAT if visible is None else of_character[visible])
        start = end
    return segments


def pad_segments(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return rows of unequal length as one tensor (B, T), padded on the right with `NOWHERE`."""
    padded = torch.full((len(rows), max(map(len, rows), default=0)), NOWHERE)
    for at, row in enumerate(rows):
        padded[at, : len(row)] = torch.tensor(row, dtype=torch.long)
    return padded


def _character_parts(text: str) -> list[int]:
    """Return the part of each character; the first line that is not blank is the grade."""
    parts: list[int] = []
    has_grade = False
    for line in _LINE.findall(text):
        label, colon, _ = line.partition(": ")
        if not has_grade and line.strip():
            parts += [GRADE] * len(line)
            has_grade = True
        elif colon and label.strip() in STEP_LABELS:
            n_before = len(label) + len(colon)
            parts += [FORMAT] * n_before + [step_part(label.strip())] * (len(line) - n_before)
        else:
            parts += [FORMAT] * len(line)
    return parts

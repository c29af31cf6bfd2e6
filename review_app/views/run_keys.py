"""What the page of runs remembers in a session, under which names: its parts hand each other over what to open."""

from __future__ import annotations

PART, NEXT_PART = "runs.part", "runs.next_part"  # what is shown; what is to be shown next
OPEN_RUN, OPEN_JOB = "runs.open", "jobs.open"
SAID = "runs.said"  # what came of the last act, told once

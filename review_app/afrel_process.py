"""A verb of `afrel` as a process of its own, for what another room knows how to do and this one only shows.

Its words are a list no shell reads; what it refuses is refused here in its own words.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from storage.errors import UserError
from storage.jobs.line import with_code

REFUSED = 2  # the exit status of a mistake that a user can mend
_BEGIN = "afrel: "


def ask_afrel(root: Path, words: Sequence[str]) -> str:
    """Run `afrel -w ROOT WORDS`; return what it prints. UserError with its own words when it refuses."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "afrel", "-w", str(root), *words],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=with_code(),
    )
    if done.returncode == REFUSED and _BEGIN in done.stderr:
        raise UserError(done.stderr.rpartition(_BEGIN)[2].strip())
    if done.returncode:
        raise RuntimeError(f"afrel {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout

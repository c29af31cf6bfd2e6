"""Twenty kills of everything that can be killed: nothing acknowledged is lost, and nobody restarts anything by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.crash import CASES, Round, crash

SEED = 1
# Rounds of `benchmarks/crash.py --seed 1`: every victim at every moment, and never the same delay.
ROUNDS = [*range(1, 15), 18, 20, 22, 25, 31, 34]


@pytest.mark.slow
def test_no_kill_loses_or_doubles_an_acknowledged_row(tmp_path: Path) -> None:
    rounds = [Round.of(SEED, number) for number in ROUNDS]
    outcome = crash(tmp_path, rounds)
    assert set(outcome.cases) == set(CASES)
    found = outcome.findings
    assert (found.lost, found.repeated, found.unreadable, found.differing, outcome.failures) == ([], [], [], [], [])
    assert found.n_acknowledged > 1000
    assert found.n_snapshots > 2
    assert found.n_rebuilds > 1

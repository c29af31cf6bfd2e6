"""Watching an Argilla server: pulls again and again, but only when somebody did something there, and says what is new.

A round costs a few small requests: the server's time of last activity and each person's counts tell whether there is
anything to pull. Answers written in bulk that change neither are found by a pull of all every ten minutes. A server
that is away is waited for; it is told once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from review_app.argilla_bridge.api import ArgillaApi
from review_app.argilla_bridge.datasets import own_datasets
from review_app.argilla_bridge.pull import Pulled
from review_app.argilla_bridge.target import Target, read_target
from storage.errors import UserError
from storage.workspace import Workspace

ALL_SECONDS = 600.0  # between two pulls, whatever the server says

# Takes an open connection and where it leads to, pulls, and says what came of it.
Pull = Callable[[ArgillaApi, Target], Pulled]
Say = Callable[[str], None]


@dataclass(slots=True)
class Watch:
    """What is known between two rounds: what the server told last, and what was told of it."""

    workspace: Workspace
    pull: Pull
    say: Say
    signs: Any = None
    pulled_at: float = field(default=-ALL_SECONDS)
    trouble: str | None = None
    told: set[str] = field(default_factory=set)

    def look(self) -> Pulled | None:
        """Do a round: pull when there may be something, None when there is not; UserError as a pull raises it."""
        target = read_target(self.workspace)  # each time: the workspace's own server may come back elsewhere
        with ArgillaApi(target) as api:
            signs = activity(api, target)
            if signs == self.signs and time.monotonic() - self.pulled_at < ALL_SECONDS:
                return None
            pulled = self.pull(api, target)
        self.signs, self.pulled_at = signs, time.monotonic()
        return self._not_told(pulled)

    def look_patiently(self) -> Pulled | None:
        """Do a round, and say what hinders it once, instead of raising it."""
        try:
            pulled = self.look()
        except UserError as error:
            if str(error) != self.trouble:
                self.trouble = str(error)
                self.say(f"{error}. Looking again until it is mended")
            return None
        if self.trouble is not None:
            self.trouble = None
            self.say("it answers again")
        return pulled

    def _not_told(self, pulled: Pulled) -> Pulled:
        """Return what a pull found without the refusals that earlier ones named: they come back until mended."""
        named = {f"{one.record_id} {one.username} {one.reason}": one for one in pulled.refused}
        pulled.refused = [one for name, one in named.items() if name not in self.told]
        self.told = set(named)
        unreadable, pulled.unreadable = pulled.unreadable, [one for one in pulled.unreadable if one not in self.told]
        self.told.update(unreadable)
        return pulled


def activity(api: ArgillaApi, target: Target) -> Any:
    """Return what changes when people answer in our datasets: times of last activity, and each person's counts."""
    datasets = api.datasets(api.find_workspace())
    ours = {one.dataset_id for one in own_datasets(datasets, target.dataset)}
    signs = []
    for row in datasets:
        if str(row["id"]) in ours:
            counts = api.ask("GET", f"datasets/{row['id']}/users/progress")
            signs.append((str(row["id"]), row["status"], row["last_activity_at"], repr(counts)))
    return sorted(signs)


def has_news(pulled: Pulled) -> bool:
    """Say whether a pull found something that is worth a line."""
    return bool(
        pulled.n_new or pulled.n_comments or pulled.refused or pulled.conflicts or pulled.left_out or pulled.unreadable
    )


def watch(watching: Watch, *, every: float, tell: Callable[[Pulled], None], sleep: Callable[[float], None]) -> None:
    """Look every few seconds until Ctrl+C; the first round raises what is wrong, later ones wait till it is mended."""
    pulled: Pulled | None = watching.look()
    while True:
        if pulled is not None and has_news(pulled):
            tell(pulled)
        sleep(every)
        pulled = watching.look_patiently()


def stamped(words: str) -> str:
    """Return a line with the time of the day before it."""
    return f"{datetime.now():%H:%M:%S} {words}"

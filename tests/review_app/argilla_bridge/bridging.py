"""A store and a dataset of one's own on a real server: what a test pushes, and pulls again."""

from __future__ import annotations

from typing import Any

from review_app.argilla_bridge.api import ArgillaApi
from review_app.argilla_bridge.pull import Pulled, pull
from review_app.argilla_bridge.push import Pushed, look, push
from review_app.argilla_bridge.target import Target
from storage.people.accounts import Pin, Role
from storage.store import Store
from tests.review_app.argilla_bridge.running import Server
from tests.review_app.review_rows import STAMP, pair_id_of

KEY_VARIABLE = "TEST_ARGILLA_KEY"
PINS = {name: Pin(name, Role.REVIEWER, f"k{name}", f"p{name}") for name in ("ana", "bo", "cy")}


class Bridge:
    """Push and pull between a store and a dataset."""

    def __init__(self, store: Store, server: Server, name: str) -> None:
        self.store, self.server, self.name = store, server, name
        self.accounts: dict[str, str] = {}

    @property
    def target(self) -> Target:
        return Target(self.server.url, "review", KEY_VARIABLE, self.name, self.accounts)

    def push(self, **more: Any) -> Pushed:
        with ArgillaApi(self.target) as api:
            return push(self.store, api, self.target, look(self.store, api, self.target, quiet, **more), quiet)

    def pull(self, **more: Any) -> Pulled:
        with ArgillaApi(self.target) as api:
            return pull(self.store, api, self.target, PINS, quiet, account="cleo", **more)

    def acts(self, n: int) -> list[tuple[str, str, int | None]]:
        """Return what people did on pair n, in order."""
        rows = [
            {"account": who, **row}
            for who in PINS
            for row in self.store.read("own_acts", pair_id=pair_id_of(n), account=who).to_pylist()
        ]
        rows.sort(key=lambda row: row["effective_at"])
        return [(row["account"], row["act"], row["grade"]) for row in rows]

    @property
    def only_dataset(self) -> str:
        """Return the id of the only dataset there."""
        (dataset_id,) = self.server.datasets(self.name).values()
        return dataset_id


def quiet(*_: object) -> None:
    """Tell of no progress."""


def put_grades(store: Store) -> None:
    """Give a store the scale bad, fair, good, top."""
    made = STAMP["created_at"]
    names = enumerate(("bad", "fair", "good", "top"))
    store.append(
        {"grades": [{"grade_id": f"g_{n}", "grade": n, "name": name, "created_at": made} for n, name in names]}
    )

"""What every page is drawn with: who looks, the store they look into, and the words of their language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from review_app.texts import texts
from storage.people.accounts import Pin
from storage.store import Store
from storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Page:
    """A page for one person. `store` sees test rows, as human review must."""

    person: Pin
    workspace: Workspace
    store: Store
    language: str

    def say(self, key: str, **values: Any) -> str:
        """Return a text of the person's language; KeyError when there is none."""
        return texts(self.language)[key].format(**values)

"""What every page is drawn with: who looks, the store they look into, and the words of their language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from review_app.texts import texts
from review_app.texts.refusals import in_words, why_not
from storage.errors import UserError
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

    def why_not(self, error: UserError) -> str:
        """Return in the person's language why something was not done."""
        return why_not(self.language, error)

    def in_words(self, said: str) -> str:
        """Return in the person's language what is refused or found wrong elsewhere, told as a sentence."""
        return in_words(self.language, said)

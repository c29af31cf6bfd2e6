"""What a frame asks for, taken from its JSON head: a value of the wrong kind is the peer's error, said by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from storage.errors import UserError

Choice = TypeVar("Choice", bound=str)
MOST = 1_000_000  # of anything one may ask for at once


@dataclass(frozen=True, slots=True)
class Asked:
    """A verb and its parameters."""

    verb: str
    params: Mapping[str, Any]

    @classmethod
    def of(cls, head: Mapping[str, Any]) -> Asked:
        """Read a frame's head."""
        verb, params = head.get("verb"), head.get("params", {})
        if not isinstance(verb, str) or not isinstance(params, dict):
            raise UserError(f"a request is a text `verb` and an object `params`, not {verb!r:.80} and {params!r:.80}")
        return cls(verb, params)

    def text(self, name: str) -> str:
        """Return a text."""
        return str(self._of_kind(name, str, "a text"))

    def flag(self, name: str) -> bool:
        """Return a yes or no."""
        return bool(self._of_kind(name, bool, "true or false"))

    def count(self, name: str) -> int:
        """Return a whole number from 0 to a million."""
        value = self._of_kind(name, int, "a whole number")
        if isinstance(value, bool) or not 0 <= value <= MOST:
            raise UserError(f"{name} of {self.verb} goes from 0 to {MOST:,}, it is {value!r}")
        return int(value)

    def choice(self, name: str, known: Sequence[Choice]) -> Choice:
        """Return one of the known values."""
        value = self.text(name)
        for choice in known:
            if choice == value:
                return choice
        raise UserError(f"{name} of {self.verb} is one of {', '.join(known)}, not {value!r:.80}")

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return an object."""
        found: Mapping[str, Any] = self._of_kind(name, dict, "an object")
        return found

    def texts(self, name: str) -> Mapping[str, str]:
        """Return an object of texts; none when it is absent."""
        found = self.mapping(name) if name in self.params else {}
        if not all(isinstance(value, str) for value in found.values()):
            raise UserError(f"{name} of {self.verb} takes texts")
        return found

    def list_of_texts(self, name: str) -> list[str] | None:
        """Return a list of at most a million texts; None when it is absent."""
        if self.params.get(name) is None:
            return None
        found: list[str] = self._of_kind(name, list, "a list")
        if len(found) > MOST or not all(isinstance(value, str) for value in found):
            raise UserError(f"{name} of {self.verb} takes a list of at most {MOST:,} texts")
        return found

    def _of_kind(self, name: str, kind: type, called: str) -> Any:
        value = self.params.get(name)
        if not isinstance(value, kind):
            raise UserError(f"{name} of {self.verb} must be {called}, it is {value!r:.80}")
        return value

"""What a job runs: a verb, its words and its options, kept as JSON and made into a list of arguments, never a text.

The list is passed to the process as it is, no shell reads it: an option's value stays behind its `=`, and words stand
behind `--`, so that nothing typed into a field can become an option.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from storage.ids import canonical_json

Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class JobCommand:
    """A verb such as `train` or `judge steps`; options by their flag, a flag alone is True.

    `folder` is where relative paths lead from, None: the workspace.
    """

    verb: str
    words: tuple[str, ...] = ()
    options: Mapping[str, Scalar | list[Scalar]] = field(default_factory=dict)
    folder: str | None = None

    def to_fields(self) -> str:
        """Return all but the verb as JSON, as the row holds it."""
        return canonical_json({"words": list(self.words), "options": dict(self.options), "folder": self.folder})

    @classmethod
    def from_fields(cls, verb: str, fields: str) -> JobCommand:
        """Read what `to_fields` wrote."""
        held = json.loads(fields)
        return cls(verb, tuple(held["words"]), held["options"], held["folder"])

    def arguments(self, root: Path, *, config: Path | None) -> list[str]:
        """Return the words behind `afrel` that run it in a workspace."""
        options = {**self.options, **({} if config is None else {"--config": str(config)})}
        given: list[str] = []
        for flag, value in options.items():
            values = value if isinstance(value, list) else [value]
            given += [flag if one is True else f"{flag}={one}" for one in values]
        words = ["--", *self.words] if self.words else []
        return ["-w", str(root), *self.verb.split(), *given, *words]

    def told(self) -> str:
        """Return it as a person would type it, for lists."""
        given = [flag if value is True else f"{flag} {value}" for flag, value in self.options.items()]
        return " ".join([self.verb, *self.words, *given])

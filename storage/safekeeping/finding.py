"""What `afrel doctor` says of a workspace: one thing that is not as it should be, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """WRONG: facts contradict each other or are lost. NOT_LOOKED_AT is no fault: it says what was not checked."""

    WRONG = "wrong"
    LEFT_OVER = "left over"
    NOT_LOOKED_AT = "not looked at"


@dataclass(frozen=True, slots=True)
class Finding:
    """`n` rows, files or folders of which `what` is true, one of them as an example, and the act that mends."""

    severity: Severity
    what: str
    n: int
    mend: str
    example: str | None = None

    @property
    def is_fault(self) -> bool:
        return self.severity is not Severity.NOT_LOOKED_AT

    def to_mapping(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {**asdict(self), "severity": self.severity.value}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Finding:
        """Read back what `to_mapping` gave."""
        return cls(**{**values, "severity": Severity(values["severity"])})

"""What a server's headers say about waiting: Retry-After, and the rate limits that are nearly used up.

Pure: headers and the present time come in. What cannot be read says nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


def retry_seconds(headers: Mapping[str, str], at: datetime) -> float | None:
    """Return how long a refused request should wait (`retry-after-ms`, `retry-after` as seconds or date)."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return seconds * scale
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    moment = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (moment - at.replace(tzinfo=UTC)).total_seconds())


def hold_seconds(headers: Mapping[str, str], *, n_tokens: float) -> float | None:
    """Return how long no request should be sent, because a limit has no room for one of `n_tokens`; None: go on."""
    waits = []
    for what, needed in (("requests", 1.0), ("tokens", n_tokens)):
        left = _number(headers.get(f"x-ratelimit-remaining-{what}"))
        until = _span(headers.get(f"x-ratelimit-reset-{what}"))
        if left is not None and until is not None and left < needed:
            waits.append(until)
    return max(waits, default=None)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _span(text: str | None) -> float | None:
    """Read a span as servers write it: `6m0s`, `1.5s`, `20ms`, or plain seconds."""
    if text is None:
        return None
    plain = _number(text)
    if plain is not None:
        return plain
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)

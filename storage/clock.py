"""The one seam through which time comes in: UTC, without zone, as the store keeps it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present time, UTC without zone, to the microsecond."""
    return datetime.now(UTC).replace(tzinfo=None)

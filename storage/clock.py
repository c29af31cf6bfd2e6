"""The one seam through which time comes in: UTC, without zone, as the store keeps it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present time, UTC without zone, to the microsecond."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_ms(moment: datetime) -> float:
    """Return a time of the store as browsers count: milliseconds since 1970."""
    return moment.replace(tzinfo=UTC).timestamp() * 1000

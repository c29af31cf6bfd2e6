"""What headers say about waiting; what cannot be read says nothing."""

from __future__ import annotations

from datetime import datetime

import pytest

from evolution.calls.rate_limits import hold_seconds, retry_seconds

AT = datetime(2026, 3, 1, 12, 0, 0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_seconds(headers, AT) == seconds


@pytest.mark.parametrize(
    ("left", "reset", "seconds"),
    [
        ("0", "20ms", 0.02),
        ("0", "6m0s", 360.0),
        ("0", "1h2m3.5s", 3723.5),
        ("0", "7", 7.0),
        ("1", "20ms", None),
        ("0", "a while", None),
        ("none", "1s", None),
    ],
)
def test_no_request_goes_out_when_none_is_left(left: str, reset: str, seconds: float | None) -> None:
    headers = {"x-ratelimit-remaining-requests": left, "x-ratelimit-reset-requests": reset}
    assert hold_seconds(headers, n_tokens=100) == seconds


def test_tokens_hold_when_fewer_are_left_than_a_call_takes() -> None:
    headers = {"x-ratelimit-remaining-tokens": "99", "x-ratelimit-reset-tokens": "2s"}
    assert (hold_seconds(headers, n_tokens=100), hold_seconds(headers, n_tokens=99)) == (2.0, None)

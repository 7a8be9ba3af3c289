"""Retry-After: seconds or a date, within limits; everything else is as no header."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from common.remote import retry_after

NOW = datetime(2024, 2, 29, 12, 0, 0, 500_000, tzinfo=UTC)
DAY = 86_400.0


@pytest.fixture(autouse=True)
def _far_from_greenwich() -> Iterator[None]:
    """A date without a zone is in UTC, not in that of the host."""
    with pytest.MonkeyPatch.context() as host:
        host.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("120, 3600, 60", 3600.0),
        (" 120 ", 120.0),
        ("0", 60.0),
        ("64.57", 64.57),
        (64.57, 64.57),
        (90, 90.0),
        ("86401", DAY),
        ("9" * 5000, DAY),
        ("Thu, 29 Feb 2024 13:00:00 GMT", 3599.5),
        ("Thu, 29 Feb 2024 14:00:00 +0100", 3599.5),
        ("Thursday, 29-Feb-24 13:00:00 GMT", 3599.5),
        ("Thu Feb 29 13:00:00 2024", 3599.5),
        ("Thu, 29 Feb 2024 13:00:00", 3599.5),
        ("Fri, 01 Jan 2100 00:00:00 GMT", DAY),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 60.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        (-1, None),
        ("nan", None),
        ("inf", None),
        ("\u0661", None),
        ("Thu, 99 Feb 2024 13:00:00 GMT", None),
        (float("inf"), None),
        (True, None),
        (None, None),
        ({"seconds": 7}, None),
    ],
)
def test_a_wait_is_seconds_or_a_date_within_the_limits(
    value: object, seconds: float | None
) -> None:
    assert retry_after.seconds(value, NOW, least=60.0, most=DAY) == seconds

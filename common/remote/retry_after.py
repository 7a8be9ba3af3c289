"""How long another server asks to wait: the Retry-After header (RFC 9110, section 10.2.3)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def number(value: object) -> float | None:
    """A header's text or a JSON value as a number, not negative; None if it is not one."""
    text = str(value).strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def seconds(value: object, now: datetime, *, most: float, least: float = 0.0) -> float | None:
    """The wait that ``value`` asks for at the time ``now``, limited to ``least`` up to ``most``.

    ``value`` is a header's text or a JSON value: a number of seconds, also with a fraction, which
    some servers send, or an HTTP date. A date without a zone is in UTC, one in the past means no
    wait. Of several numbers, as two headers leave them, the longest counts. Returns None if it is
    neither.
    """
    numbers = [number(each) for each in str(value).split(",")]
    wait = None if None in numbers else max(filter(None, numbers), default=0.0)
    if wait is None:
        wait = _until(str(value), now)
    return None if wait is None else min(max(wait, least), most)


def _until(text: str, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()

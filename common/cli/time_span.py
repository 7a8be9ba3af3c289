"""A time span on the command line: a number of days such as 7d, or a Go duration such as 12h."""

import argparse
from datetime import timedelta

from common import config
from common.cli.services import UsageError

EXPECTED = "a number of days or a Go duration, such as 7d or 12h"

_DAYS = config.days("days", None, "")
_DURATION = config.duration("duration", None, "", minimum="1s", maximum="876000h")


def parse(text: str) -> timedelta:
    """The time span. Raises ValueError with the reason."""
    return _DAYS.parse(text[:-1]) if text.endswith("d") else _DURATION.parse(text)


def since(options: argparse.Namespace) -> timedelta | None:
    """The time span of ``--since``; None if it is not given. Raises UsageError."""
    if options.since is None:
        return None
    try:
        return parse(options.since)
    except ValueError as fault:
        raise UsageError(f"--since {options.since!r} ({fault}); expected {EXPECTED}") from None

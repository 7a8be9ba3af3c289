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
    return option("--since", options.since)


def option(name: str, text: str | None) -> timedelta | None:
    """The time span that an option has; None if it is not given. Raises UsageError."""
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as fault:
        raise UsageError(f"{name} {text!r} ({fault}); expected {EXPECTED}") from None

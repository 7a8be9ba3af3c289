"""How values look on every page."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from common.cli.status.text import counts

DASH = "\N{EN DASH}"

# The class of a state's colour in style.css; others are neutral.
_TONES = {
    "good": ("ok",),
    "bad": ("failing", "failed", "unknown"),
    "late": ("overdue", "waiting", "never ran", "set aside"),
    "busy": ("running", "due"),
    "held": ("paused",),
}
_TONE_OF = {state: tone for tone, states in _TONES.items() for state in states}


def moment(time: datetime | None) -> Markup:
    """A time in UTC, which page.js turns into the reader's zone; a dash for None."""
    if time is None:
        return Markup(DASH)
    utc = time.astimezone(UTC)
    shown = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), shown, shown
    )


def number(value: int | None) -> str:
    """A number with separators of thousands; a dash for None."""
    return DASH if value is None else f"{value:,}"


def seconds(value: float | None) -> str:
    """A duration in seconds, or in minutes if it is long; a dash for None."""
    if value is None:
        return DASH
    return f"{value:.2f} s" if value < 100 else f"{value / 60:,.0f} min"


def tone(state: str) -> str:
    """The class of a state's colour."""
    return _TONE_OF.get(state, "off")


FILTERS: Mapping[str, Callable[[Any], Any]] = {
    "counts": counts,
    **{each.__name__: each for each in (moment, number, seconds, tone)},
}

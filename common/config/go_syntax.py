"""Go's syntax of durations, booleans and integers, which existing settings use.

The rules are those of `time.ParseDuration`, `Duration.String`, `strconv.ParseBool` and
`strconv.Atoi`.
"""

import re
from datetime import timedelta
from types import MappingProxyType

_MICRO = 1_000
_MILLI = 1_000 * _MICRO
_SECOND = 1_000 * _MILLI
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE

_NANOSECONDS = MappingProxyType(
    {
        "ns": 1,
        "us": _MICRO,
        "\N{MICRO SIGN}s": _MICRO,
        "\N{GREEK SMALL LETTER MU}s": _MICRO,
        "ms": _MILLI,
        "s": _SECOND,
        "m": _MINUTE,
        "h": _HOUR,
    }
)
_INT64_MAX = 2**63 - 1

_PART = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>[^0-9.]*)")

TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")


def parse_duration(text: str) -> timedelta:
    """Read a Go duration: an optional sign, then "0" or numbers with a unit ("1h30m", "-1.5s").

    Units are ns, us, µs, ms, s, m and h. Fractions of a microsecond are cut off towards zero.
    Raises ValueError with the reason, also if the value exceeds Go's 64 bits of nanoseconds
    (about 292 years).
    """
    negative = text.startswith("-")
    rest = text[1:] if text.startswith(("-", "+")) else text
    if rest == "0":
        return timedelta()
    if not rest:
        raise ValueError("no number")
    nanoseconds, position = 0, 0
    while position < len(rest):
        part = _PART.match(rest, position)
        assert part is not None  # every piece of the pattern may be empty
        nanoseconds += _part_nanoseconds(part)
        position = part.end()
    if nanoseconds > _INT64_MAX + negative:
        raise ValueError("more than 64 bits of nanoseconds can hold")
    duration = timedelta(microseconds=nanoseconds // _MICRO)
    return -duration if negative else duration


def _part_nanoseconds(part: re.Match[str]) -> int:
    whole, fraction, unit = part["whole"], part["fraction"] or "", part["unit"]
    if not whole and not fraction:
        raise ValueError(f"no number before {part[0][:20]!r}")
    if not unit:
        raise ValueError(f"no unit after {part[0][:20]!r}")
    if unit not in _NANOSECONDS:
        raise ValueError(f"unknown unit {unit[:20]!r}")
    digits = whole.lstrip("0")
    if len(digits) > len(str(_INT64_MAX)):  # int() itself refuses thousands of digits
        raise ValueError("more than 64 bits of nanoseconds can hold")
    size = _NANOSECONDS[unit]
    return int(digits or "0") * size + _fraction_nanoseconds(fraction, size)


def _fraction_nanoseconds(digits: str, size: int) -> int:
    """Nanoseconds of the digits after the point, in a unit of `size` nanoseconds.

    In floating point, without the digits beyond 63 bits, as in Go: exact arithmetic would make
    0.3333333333333333333h a nanosecond less than twenty minutes.
    """
    value, scale = 0, 1.0
    for digit in digits:
        longer = value * 10 + int(digit)
        if value > _INT64_MAX // 10 or longer > _INT64_MAX + 1:
            break
        value, scale = longer, scale * 10
    return int(float(value) * (size / scale))


def parse_boolean(text: str) -> bool:
    """Read a Go boolean, a word of TRUE or FALSE. Raises ValueError for any other."""
    if text not in TRUE + FALSE:
        raise ValueError("not a Go boolean")
    return text in TRUE


def parse_integer(text: str) -> int:
    """Read a Go integer of 64 bits: decimal digits, perhaps with a sign. Raises ValueError."""
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text) or not -_INT64_MAX <= int(text) <= _INT64_MAX:
        raise ValueError("not an integer")
    return int(text)


def format_duration(duration: timedelta) -> str:
    """Write a duration as Go would, without the parts that are zero: "5m", "1h30m", "300ms"."""
    if duration < timedelta():
        return f"-{format_duration(-duration)}"
    microseconds = duration // timedelta(microseconds=1)
    if microseconds < 1_000:
        return f"{microseconds}µs" if microseconds else "0s"
    if microseconds < 1_000_000:
        return f"{_decimal(microseconds, 3)}ms"
    minutes, microseconds = divmod(microseconds, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    parts = (
        f"{hours}h" if hours else "",
        f"{minutes}m" if minutes else "",
        f"{_decimal(microseconds, 6)}s" if microseconds else "",
    )
    return "".join(parts)


def _decimal(value: int, places: int) -> str:
    """Write value / 10**places without trailing zeros."""
    whole, fraction = divmod(value, 10**places)
    digits = f"{fraction:0{places}}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)

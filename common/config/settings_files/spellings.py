"""Spellings in a settings file that other programs read differently.

One file may serve the workers, the live services (godotenv 1.5.1) and units of systemd
(`EnvironmentFile=`). `SPELLINGS` lists every way in which their readings of a setting part.
"""

import io
import re

from dotenv.parser import parse_stream

# What needs no quotes.
_PLAIN = re.compile(r"[\w.,:/@%+=~^*?!&|;()<>\[\]{}-]*", re.ASCII)
# Blanks that systemd takes for a part of the name or value.
_ODD = r"[^\S \t\r\n]"
_UNQUOTED = r"[^=]*=(?!\s*['\"])"
_QUOTED = r"[^=]*=\s*(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")"
_SINGLE = "write the value in single quotes"
_DOUBLE = r"write the value in double quotes, with \\ for a backslash and \" for a quote"
_NEITHER = "no spelling is the same for all: choose another value"

EXPANDED = "the live services expand a $"
BYTE_ORDER_MARK = (
    "begins with a byte order mark, which the live services and systemd refuse; "
    "save it as UTF-8 without one"
)

# What a statement begins with, why readings part, and what to write. The first that matches counts,
# and of quotes the first that are the same for all with this value.
SPELLINGS = tuple(
    (re.compile(pattern, re.DOTALL), difference, advices)
    for pattern, difference, *advices in (
        (
            r"\s*export\s",
            "systemd ignores a line that begins with export",
            "leave the word out",
        ),
        (
            r"\s*'",
            "the live services and systemd refuse a name in quotes",
            "leave the quotes out",
        ),
        (
            r"[^=]*:",
            "only the live services take a colon for the end of the name",
            "write = in its place",
        ),
        (
            rf"{_UNQUOTED}.*\s#|{_QUOTED}\s*#",
            "the value ends before the #, but not for systemd",
            "write a comment on a line of its own, and a value with # in quotes",
        ),
        (
            rf"[^=]*{_ODD}[^=]*=|[^=]*=[ \t]*{_ODD}|.*{_ODD}[ \t]*\Z",
            "a blank around the name or value is neither a space nor a tab, and systemd keeps it",
            "remove it",
        ),
        (
            r"[^=]*=(?!\s*').*(?:\\\$|\$\(?\{?[A-Z0-9_])",
            EXPANDED,
            *(_SINGLE, _DOUBLE),
        ),
        (
            rf"{_UNQUOTED}.*\\",
            "systemd drops a backslash outside quotes",
            *(_DOUBLE, _SINGLE),
        ),
        (
            r"[^=]*=\s*'[^']*\\[\\']",
            r"only the workers read \\ and \' in single quotes as one character",
            *(_DOUBLE, _SINGLE),
        ),
        (
            r'[^=]*=\s*"(?:\\.|[^"\\])*\\[\\"]"',
            "the live services take a backslash or quote before the last quote for its escape",
            _SINGLE,
        ),
        (
            r'[^=]*=\s*"(?!(?:[^"\\]|\\[\\"])*")',
            r"in double quotes only \\ and \" are the same for all",
            r"write \\ for a backslash",
        ),
    )
)


def difference(statement: str, value: str) -> str | None:
    """How other programs read this statement differently and what to write, or None.

    ``value`` is what the workers read. Blank lines before the statement are no part of it.
    """
    line = re.sub(r"\A\s*[\r\n]", "", statement).rstrip("\r\n")
    for pattern, text, advices in SPELLINGS:
        if pattern.match(line):
            return f"{text}; {next((each for each in advices if _helps(each, value)), _NEITHER)}"
    return None


def _helps(advice: str, value: str) -> bool:
    """True if all read this value alike when it is written so."""
    escaped = re.sub(r'[\\"]', r"\\\g<0>", value)
    written = {_SINGLE: f"NAME='{value}'", _DOUBLE: f'NAME="{escaped}"'}.get(advice, "")
    ends_early = advice == _SINGLE and "'" in value
    return not ends_early and not any(pattern.match(written) for pattern, *_ in SPELLINGS)


def written(name: str, value: str) -> str:
    """The statement by which all programs read this value of one line.

    If there is none, it is one by which the workers do.
    """
    escaped = re.sub(r'[\\"]', r"\\\g<0>", value)
    plain = [value] if _PLAIN.fullmatch(value) else []
    forms = [f"{name}={form}" for form in (*plain, f"'{value}'", f'"{escaped}"')]
    return next(form for form in forms if _value(form) == value)


def _value(statement: str) -> str | None:
    bindings = list(parse_stream(io.StringIO(statement)))
    return bindings[0].value if len(bindings) == 1 else None

"""What `toast check` has found out, and how it is told to people and to programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common import exit_codes
from common.cli import text_table
from common.logging.redaction import redact

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact: which check it is of, how bad it is, and what to do about it."""

    check: str
    level: str
    message: str
    fix: str = ""


# A finding and the service that it is about.
Found = tuple[str, Finding]


def ok(check: str, message: str, fix: str = "") -> Finding:
    """All is well, and could be better at most."""
    return Finding(check, OK, message, fix)


def warning(check: str, message: str, fix: str = "") -> Finding:
    """It works, but not as it should, or nobody knows."""
    return Finding(check, WARNING, message, fix)


def error(check: str, message: str, fix: str = "") -> Finding:
    """Some pass will fail, or do harm."""
    return Finding(check, ERROR, message, fix)


class Report:
    """All findings; what is the same for several services is told once."""

    def __init__(self, services: Sequence[str], found: Iterable[Found], bad_settings: bool) -> None:
        self._services = services
        self._bad_settings = bad_settings
        self._found: dict[Finding, list[str]] = {}
        for service, finding in found:
            about = self._found.setdefault(finding, [])
            if service not in about:
                about.append(service)

    @property
    def exit_code(self) -> int:
        if self._bad_settings:
            return exit_codes.BAD_SETTINGS
        return (
            exit_codes.FAILED
            if any(finding.level == ERROR for finding in self._found)
            else exit_codes.FINE
        )

    def as_text(self) -> str:
        """One aligned line for each; behind ``=>`` is what to do."""
        return text_table.render(
            ("level", "service", "check", "found"),
            ((row["level"], row["service"], row["check"], _message(row)) for row in self._rows()),
        )

    def as_json(self) -> str:
        """A list of objects: service, check, level, message, fix."""
        return json.dumps(self._rows(), ensure_ascii=False)

    def _rows(self) -> list[dict[str, str]]:
        """First what concerns several services, then one service after the other."""
        order = sorted(self._found.items(), key=lambda item: self._place(item[1]))
        return [
            {
                "service": self._label(about),
                "check": finding.check,
                "level": finding.level,
                "message": _line(finding.message),
                "fix": _line(finding.fix),
            }
            for finding, about in order
        ]

    def _place(self, about: Sequence[str]) -> tuple[bool, int]:
        return len(about) == 1, self._services.index(about[0])

    def _label(self, about: Sequence[str]) -> str:
        everyone = len(about) == len(self._services) > 1
        return "all" if everyone else ",".join(about)


def _line(text: str) -> str:
    return redact(" ".join(text.split()))


def _message(row: dict[str, str]) -> str:
    return f"{row['message']} => {row['fix']}" if row["fix"] else row["message"]

"""The findings of `toast check`, and their report as text or JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from common import exit_codes
from common.cli import output, text_table
from common.logging.redaction import redact

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact: its check, its level, and what to do."""

    check: str
    level: str
    message: str
    fix: str = ""


# A finding and the service that it is about.
Found = tuple[str, Finding]


def ok(check: str, message: str, fix: str = "") -> Finding:
    """Works; ``fix`` is an improvement at most."""
    return Finding(check, OK, message, fix)


def warning(check: str, message: str, fix: str = "") -> Finding:
    """Works but should be changed, or could not be checked."""
    return Finding(check, WARNING, message, fix)


def error(check: str, message: str, fix: str = "") -> Finding:
    """A pass will fail, or do harm."""
    return Finding(check, ERROR, message, fix)


class Report:
    """All findings; equal findings of several services are listed once."""

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
        """One aligned line for each; after ``=>`` is what to do."""
        return text_table.render(
            ("level", "service", "check", "found"),
            ((row["level"], row["service"], row["check"], _message(row)) for row in self._rows()),
        )

    def as_json(self) -> str:
        """A list of objects: service, check, level, message, fix."""
        return output.as_json(self._rows())

    def _rows(self) -> list[dict[str, str]]:
        """First the findings of several services, then one service after another."""
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
        is_all = len(about) == len(self._services) > 1
        return "all" if is_all else ",".join(about)


def _line(text: str) -> str:
    return redact(" ".join(text.split()))


def _message(row: dict[str, str]) -> str:
    return f"{row['message']} => {row['fix']}" if row["fix"] else row["message"]

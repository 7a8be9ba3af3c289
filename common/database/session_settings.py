"""Settings of a PostgreSQL session that our code depends on.

Role, database and environment may set other values, such as the date format and timeouts; these
override them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import psycopg
from psycopg.adapt import AdaptersMap, Buffer, Loader

STATEMENT_SECONDS = 120

PINNED: Mapping[str, str] = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    # A Go zero time (0001-01-01 UTC) cannot be read in a zone west of Greenwich.
    "TimeZone": "UTC",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # `toast check` compares names of tables.
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    "exit_on_error": "off",
    # Apply policies; with off, a table with policies raises an error.
    "row_security": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
    # A pass may wait for a remote API for longer than a session may be idle.
    "idle_session_timeout": "0",
}

_OLDEST_WITH_TRANSACTION_TIMEOUT = 170_000

# The encoding of a database that does not check its text.
SQL_ASCII = "SQL_ASCII"

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


class _Time(Loader):
    """Reads a timestamptz; infinity, years BC and beyond 9999 become Python's nearest."""

    def load(self, data: Buffer) -> datetime:
        text = bytes(data).decode()
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            return _EARLIEST if text.startswith("-") or text.endswith("BC") else _LATEST


class AnyText(Loader):
    """Reads text of a SQL_ASCII database; bytes that are not UTF-8 become U+FFFD, as in the
    messages of the live services."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "replace")


ADAPTERS = AdaptersMap(psycopg.adapters)
ADAPTERS.register_loader("timestamptz", _Time)

TEXT_TYPES = ("text", "varchar", "bpchar", "name", '"char"')


def late(server_version: int, server_encoding: str) -> dict[str, str]:
    """The settings besides PINNED that depend on the server."""
    # With UTF-8, a SQL_ASCII database would refuse to send other bytes.
    settings = {"client_encoding": SQL_ASCII if server_encoding == SQL_ASCII else "UTF8"}
    if server_version >= _OLDEST_WITH_TRANSACTION_TIMEOUT:
        settings["transaction_timeout"] = "0"
    return settings


def at_start(settings: Mapping[str, str]) -> str:
    """These settings as libpq's ``options``."""
    return " ".join(
        f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items()
    )


def for_transaction(settings: Mapping[str, str]) -> str:
    """These settings as SET LOCAL statements."""
    return "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())

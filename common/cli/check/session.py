"""Checks a worker's session: the settings it overrides, and those that it keeps."""

from collections.abc import Iterator

import psycopg
from psycopg.rows import DictRow

from common.cli.check.checked_service import Subject
from common.cli.check.findings import Finding, ok, warning
from common.database.advice import advice
from common.database.connection import Database
from common.database.session import Session
from common.database.session_settings import PINNED, SQL_ASCII

# Connections besides one per pass: for /readyz, and for the counts of /metrics.
_MORE_CONNECTIONS = 2

_SETTINGS = """
SELECT name, current_setting(name) AS value, source FROM pg_settings WHERE name = ANY (%(names)s)"""

_READ_ONLY = "default_transaction_read_only"

# Where a parameter was set, by pg_settings.source, except by our client.
_SET_BY = {
    "configuration file": "the server's configuration",
    "command line": "the server's command line",
    "global": "ALTER ROLE ALL",
    "database": "ALTER DATABASE",
    "user": "ALTER ROLE",
    "database user": "ALTER ROLE IN DATABASE",
}

_LIMITS = """
SELECT rolconnlimit AS of_role, datconnlimit AS of_database, quote_ident(rolname) AS role,
       quote_ident(datname) AS database
FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"""


def check(connection: Session, subject: Subject) -> Iterator[Finding]:
    """Compare our session with one without our settings."""
    limits = connection.execute(_LIMITS).fetchone()
    assert limits is not None
    ours = _settings(connection)
    try:
        with Database(subject.settings).connect_plainly() as plain:
            yield from _overridden(ours, _settings(plain), limits["role"])
    except psycopg.Error as fault:
        message = f"what role and database set is not known: {fault}"
        yield warning("session", message, advice(fault))
    if ours["synchronous_commit"]["value"] == "off":
        yield warning(
            "session",
            "synchronous_commit is off: with the server may go what it has acknowledged, and a"
            " message that was sent is sent again",
            f"ALTER ROLE {limits['role']} SET synchronous_commit = on;",
        )
    yield from _encoding(connection.server_encoding)
    yield from _connections(limits, subject)


def _settings(connection: psycopg.Connection[DictRow]) -> dict[str, DictRow]:
    names = [*PINNED, "synchronous_commit"]
    rows = connection.execute(_SETTINGS, {"names": names})
    return {row["name"]: row for row in rows}


def _overridden(
    ours: dict[str, DictRow], plain: dict[str, DictRow], role: str
) -> Iterator[Finding]:
    found = {
        name: f"{name} = {row['value']} ({_SET_BY[row['source']]})"
        for name, row in plain.items()
        if name in PINNED and row["source"] in _SET_BY
        if row["value"].lower() != ours[name]["value"].lower()
        # Each server has its local time zone.
        if (name, row["source"]) != ("TimeZone", "configuration file")
    }
    if read_only := found.pop(_READ_ONLY, ""):
        yield warning(
            "session",
            f"{read_only}: a worker writes all the same",
            f"ALTER ROLE {role} SET {_READ_ONLY} = off; or set DB_USER to another role",
        )
    if found:
        yield ok("session", f"workers set their own instead of {', '.join(found.values())}")


def _encoding(encoding: str) -> Iterator[Finding]:
    if encoding == SQL_ASCII:
        yield warning(
            "session",
            f"the database's encoding is {SQL_ASCII}, which checks nothing: it works, but what is"
            " not UTF-8 goes out as U+FFFD",
            "move the database into one with ENCODING 'UTF8'",
        )
    elif encoding != "UTF8":
        yield warning(
            "session",
            f"the database's encoding is {encoding}: it works, but a character that it lacks is"
            " stored escaped",
            "move the database into one with ENCODING 'UTF8'",
        )


def _connections(limits: DictRow, subject: Subject) -> Iterator[Finding]:
    publishers = 1 if subject.topics else 0
    needed = len(subject.schedulers) + publishers + _MORE_CONNECTIONS
    for kind, owner in (("role", "ROLE"), ("database", "DATABASE")):
        limit, name = limits[f"of_{kind}"], limits[kind]
        if 0 <= limit < needed:
            yield warning(
                "session",
                f"{kind} {name} allows {limit} connections at once; this worker takes up to"
                f" {needed}",
                f"ALTER {owner} {name} CONNECTION LIMIT -1;",
            )

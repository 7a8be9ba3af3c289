"""The worlds that a test's database may be in: as ours, hostile, or behind a pooler.

TEST_WORLD names the one that the fixtures `database`, `module_database` and `private_database`
give: `plain`, `hostile` or `pooler`. What a worker meets differs. The tests' own connections,
those of TestDatabase.connect, are the same in all of them.
"""

import dataclasses
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from testing.database import TestDatabase

PLAIN, HOSTILE, POOLER = WORLDS = ("plain", "hostile", "pooler")

# What an administrator may have set for a database, for the sake of others, and what the tests
# set instead.
_SETTINGS = {
    "DateStyle": ("German, DMY", "ISO, MDY"),
    "IntervalStyle": ("sql_standard", "postgres"),
    "TimeZone": ("America/New_York", "UTC"),
    "client_encoding": ("LATIN1", "UTF8"),
    "standard_conforming_strings": ("off", "on"),
    "bytea_output": ("escape", "hex"),
    "extra_float_digits": ("-15", "1"),
    "row_security": ("off", "on"),
    "default_transaction_read_only": ("on", "off"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "default_transaction_deferrable": ("on", "off"),
    "statement_timeout": ("20ms", "0"),
    "lock_timeout": ("1ms", "0"),
    "idle_in_transaction_session_timeout": ("50ms", "0"),
    "idle_session_timeout": ("50ms", "0"),
    "exit_on_error": ("on", "off"),
    "quote_all_identifiers": ("on", "off"),
    "transform_null_equals": ("on", "off"),
    "synchronous_commit": ("off", "on"),
}
_SETTINGS_SINCE_17 = {"transaction_timeout": ("50ms", "0")}

# What a shell may have set for another server; no server listens at that address of loopback.
_VARIABLES = {
    "PGHOST": "127.0.0.9",
    "PGHOSTADDR": "127.0.0.9",
    "PGPORT": "1",
    "PGUSER": "stranger",
    "PGPASSWORD": "wrong",
    "PGPASSFILE": "/nowhere",
    "PGDATABASE": "nowhere",
    "PGSERVICE": "stranger",
    "PGSYSCONFDIR": "/nowhere",
    "PGAPPNAME": "stranger",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PGCLIENTENCODING": "LATIN1",
    "PGDATESTYLE": "German, DMY",
    "PGTZ": "Asia/Kathmandu",
    "PGGEQO": "off",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nowhere",
    "PGGSSENCMODE": "disable",
    "PGREQUIREAUTH": "none",
    "PGCHANNELBINDING": "require",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "random",
    "PGCONNECT_TIMEOUT": "1",
}
_SERVICE = """\
[stranger]
host=127.0.0.9
hostaddr=127.0.0.9
sslmode=verify-full
options=-c default_transaction_read_only=on
"""
# libpq sends these three with any keywords, and after `options`.
_GREETING = "SET DateStyle = ISO, MDY; SET TimeZone = 'UTC'; SET geqo = on"


def hostile(database: TestDatabase) -> TestDatabase:
    """The same database, with every setting that may disturb a client."""
    settings = dict(_SETTINGS)
    if database.server.installation.version >= 17:
        settings |= _SETTINGS_SINCE_17
    change = sql.SQL("ALTER DATABASE {} SET {} = {}")
    statements = [
        change.format(sql.Identifier(database.name), sql.Identifier(name), sql.Literal(set_to))
        for name, (set_to, _) in settings.items()
    ]
    with psycopg.connect(**database.server.connection()) as connection:
        connection.execute(sql.SQL("; ").join(statements))
    ours = {name: value.replace(" ", r"\ ") for name, (_, value) in settings.items()}
    options = " ".join(f"-c {name}={value}" for name, value in ours.items())
    return dataclasses.replace(database, options=options, greeting=_GREETING)


def set_hostile_variables(environment: pytest.MonkeyPatch, folder: Path) -> None:
    """Set every variable of libpq that could lead a client astray.

    Without its file a service that is named would end the tests' own connections too: no
    keyword stands above that. With it, every keyword does.
    """
    service_file = folder / "pg_service.conf"
    service_file.write_text(_SERVICE)
    for name, value in {**_VARIABLES, "PGSERVICEFILE": str(service_file)}.items():
        environment.setenv(name, value)

"""Fixtures: one database for all tests of a file, emptied before each of what operators act on."""

import pytest

from testing.database import TestDatabase

TABLES = (
    *("toast_outbox", "toast_outbox_set_aside", "toast_failed_rows", "toast_runs"),
    *("toast_pauses", "toast_triggers", "toast_audit", "link_links"),
)


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    """A new database for each test would take much longer."""
    module_database.query("DROP FUNCTION IF EXISTS pause CASCADE")
    module_database.query("; ".join(f"DELETE FROM {table}" for table in TABLES))
    return module_database

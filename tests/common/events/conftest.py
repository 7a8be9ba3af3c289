"""Fixtures of the events' tests."""

import pytest

from testing.database import TestDatabase


@pytest.fixture
def database(module_database: TestDatabase) -> TestDatabase:
    """One database for all tests of a file, its outbox empty: a new one takes much longer."""
    module_database.query("DELETE FROM toast_outbox; DELETE FROM toast_outbox_set_aside")
    return module_database

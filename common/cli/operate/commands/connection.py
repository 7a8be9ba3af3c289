"""The database connection of a command."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from common.cli.loading import database_of, settings_of
from common.cli.operate.action import connected
from common.cli.services import Services
from common.database import own_tables
from common.database.session import Session
from common.database.table_access import TableAccess


@contextmanager
def connected_for(
    services: Services,
    options: argparse.Namespace,
    tables: Iterable[TableAccess] = own_tables.OPERATING,
) -> Iterator[Session]:
    """A connection to the database of the service that is named, or of the common settings.

    As ``connected``; raises UsageError and SettingsError, too.
    """
    database = database_of(settings_of(services, options), options)
    with connected(database, tables) as connection:
        yield connection
